/** `npm run diagnose:all` and `npm run perf:diagnose`: what is wrong with a running system, and what to do about it. */
import { parseArgs } from "node:util";
import * as z from "zod";
import { printResult } from "./lib/check-lines.ts";
import { type CheckResult, DIAGNOSIS_CHECKS, runChecks, SMOKE_CHECKS } from "./lib/checks.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { makePrinter, type Printer } from "./lib/print.ts";
import { remedyIn } from "./lib/remedy.ts";
import { type AskedSystem, ENV_OPTION, systemAt, WHERE } from "./lib/sites.ts";

const USAGE = `npm run diagnose:all  [-- --json] [--env E]     everything that can be asked, with a remedy for what is bad; exit 1 when something is
npm run perf:diagnose [-- --hours N] [--env E]  which route is slow, and whether requests, commits, the database or callbacks are to blame

${WHERE} RELAY_URL names the relay.`;

async function diagnose(printer: Printer, { environment, sites }: AskedSystem, json: boolean): Promise<void> {
  const inPlace = (result: CheckResult): CheckResult => ({ ...result, remedy: remedyIn(result.remedy, environment) });
  const checked = await runChecks([...SMOKE_CHECKS, ...DIAGNOSIS_CHECKS], sites, (result) => {
    if (!json) printResult(printer, inPlace(result));
  });
  const results = checked.map(inPlace);
  if (json) printer.line(JSON.stringify(results, null, 2));
  const failed = results.filter(({ ok }) => !ok);
  if (failed.length > 0) throw new Failure(`${failed.length} of ${results.length} checks failed`);
  if (!json) printer.line(`All ${results.length} checks passed.`);
}

const points = z.array(z.tuple([z.number(), z.number().nullable()]));
const quantiles = z.object({ p50: points, p95: points, p99: points });
const seriesSchema = z.object({
  quantiles: quantiles.optional(),
  series: z.array(z.object({ label: z.string(), points, quantiles: quantiles.optional() })).optional(),
});

const worst = (values: z.output<typeof points> | undefined): number | undefined => {
  const known = (values ?? []).flatMap(([, value]) => (value === null ? [] : [value]));
  return known.length === 0 ? undefined : Math.max(...known);
};

interface Suspect {
  readonly metric: string;
  readonly what: string;
  /** Seconds; above it is slow. */
  readonly limit: number;
  readonly remedy: string;
}

const SUSPECTS: readonly Suspect[] = [
  {
    metric: "itrans_core_ledger_append_duration_seconds",
    what: "waiting for, deciding and committing an append",
    limit: 0.4,
    remedy: "Compare with the commit below: when commits are quick, appends wait for one another (docs/scale.md).",
  },
  {
    metric: "itrans_core_ledger_commit_duration_seconds",
    what: "one batch of D1 that appends",
    limit: 0.2,
    remedy: "npm run db:slow-queries, and Cloudflare's status: D1 itself is slow.",
  },
  {
    metric: "itrans_core_delivery_latency_seconds",
    what: "a callback, from commit to 2xx",
    limit: 2,
    remedy: "npm run relay:status: which destination lags, and is its breaker open?",
  },
  {
    metric: "medlink_core_request_duration_seconds",
    what: "the hub's calls into core",
    limit: 0.5,
    remedy: "Slow here and quick at core: the way between them. Slow at both: core.",
  },
  {
    metric: "medlink_claim_callback_seconds",
    what: "a claim, from queueing to its first callback",
    limit: 2,
    remedy: "npm run auto-submit:status: is there a backlog, is the switch on?",
  },
];
const ROUTE_LIMIT = 0.4;
const ROUTES_SHOWN = 8;

async function performanceReport(
  printer: Printer,
  { environment, core, hub }: AskedSystem,
  hours: number,
): Promise<void> {
  const to = Math.floor(Date.now() / 1000);
  const read = async (metric: string, more: Readonly<Record<string, string>> = {}) => {
    const query = new URLSearchParams({ name: metric, from: String(to - hours * 3_600), to: String(to), ...more });
    const ofHub = metric.startsWith("medlink_");
    const path = `${ofHub ? "/api" : ""}/operations/series?${query}`;
    return seriesSchema.parse(await (ofHub ? hub : core).ask(path));
  };
  printer.line(printer.paint("bold", `Worst p95 of the last ${hours} h`));
  let slow = 0;
  const show = (name: string, seconds: number | undefined, limit: number, remedy: string): void => {
    const bad = seconds !== undefined && seconds > limit;
    if (bad) slow += 1;
    const value = seconds === undefined ? "nothing" : `${(seconds * 1000).toFixed(0)} ms`;
    printer.line(`  ${printer.paint(bad ? "red" : "green", value.padStart(9))}  ${name}`);
    if (bad) printer.line(`${" ".repeat(13)}${printer.paint("yellow", remedyIn(remedy, environment))}`);
  };
  for (const { metric, what, limit, remedy } of SUSPECTS) {
    show(what, worst((await read(metric)).quantiles?.p95), limit, remedy);
  }
  for (const metric of ["itrans_core_http_request_duration_seconds", "medlink_http_request_duration_seconds"]) {
    const { series = [] } = await read(metric, { by: "route" });
    const routes = series
      .flatMap((route) => {
        const seconds = worst(route.quantiles?.p95);
        return seconds === undefined ? [] : [{ label: route.label, seconds }];
      })
      .sort((a, b) => b.seconds - a.seconds);
    printer.line(
      printer.paint("bold", metric.startsWith("medlink_") ? "Slowest routes of the hub" : "Slowest routes of core"),
    );
    for (const { label, seconds } of routes.slice(0, ROUTES_SHOWN)) {
      show(label, seconds, ROUTE_LIMIT, "npm run logs -- --since 1h shows its lines, each with durationMs.");
    }
  }
  printer.line(slow === 0 ? "Nothing is slow." : `${slow} of these are slow.`);
}

async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2);
  const { values } = parseArgs({
    args: rest,
    options: {
      help: { type: "boolean" },
      json: { type: "boolean" },
      hours: { type: "string", default: "3" },
      ...ENV_OPTION,
    },
  });
  const printer = makePrinter(process.stdout, process.env);
  if (values.help === true) return printer.line(USAGE);
  if (command === "all") return diagnose(printer, systemAt(values.env, process.env), values.json === true);
  if (command === "performance") {
    const hours = Number(values.hours);
    if (!Number.isInteger(hours) || hours < 1 || hours > 72)
      throw new Failure("--hours is a whole number from 1 to 72");
    return performanceReport(printer, systemAt(values.env, process.env), hours);
  }
  throw new Failure(USAGE);
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
