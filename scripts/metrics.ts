/**
 * `npm run metrics:app`, `metrics:db`, `metrics:performance`: tables from a running system, of the last hours. Core is asked with
 * OPERATOR_API_KEY (ITRANS_CORE_URL), the hub with HUB_OPERATOR_API_KEY (MEDLINK_HUB_URL); on this machine .dev.vars has the keys.
 */
import { parseArgs } from "node:util";
import * as z from "zod";
import { type HistogramName, METRIC_NAMES, type MetricName, specOf } from "../src/operations/metrics.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { coreAt, ENV_OPTION, hubAt, systemAt, WHERE } from "./lib/sites.ts";

const USAGE = `npm run metrics:app            requests, errors, queues, claims: now and over the last three hours
npm run metrics:db             sizes and growth of the databases and the ledger, and what a commit takes
npm run metrics:performance    p50, p95 and p99 of everything that is timed, and of the slowest routes

${WHERE}`;
answerHelp(import.meta.filename, USAGE);

const points = z.array(z.tuple([z.number(), z.number().nullable()]));
const curve = z.object({ points, quantiles: z.object({ p50: points, p95: points, p99: points }).optional() });
const seriesSchema = curve.extend({
  name: z.string(),
  unit: z.string(),
  series: z.array(curve.extend({ label: z.string() })).optional(),
});
type Series = z.output<typeof seriesSchema>;
type Curve = z.output<typeof curve>;

const HOURS = 3;

const {
  values: { env },
  positionals: [command],
} = parseArgs({ allowPositionals: true, options: ENV_OPTION });

async function read(name: string, more: Readonly<Record<string, string>> = {}): Promise<Series> {
  const ofHub = name.startsWith("medlink_");
  const now = Math.floor(Date.now() / 1000);
  const query = new URLSearchParams({ name, from: String(now - HOURS * 3_600), to: String(now), ...more });
  const path = `${ofHub ? "/api" : ""}/operations/series?${query}`;
  return seriesSchema.parse(await (ofHub ? hubAt(env) : coreAt(env)).ask(path));
}

const known = (values: Curve["points"]): readonly number[] =>
  values.flatMap(([, value]) => (value === null ? [] : [value]));
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function show(value: number | undefined, unit: string): string {
  if (value === undefined) return "-";
  switch (unit) {
    case "seconds":
      return value < 1 ? `${(value * 1000).toFixed(1)} ms` : `${value.toFixed(2)} s`;
    case "bytes":
      return `${(value / 1e6).toFixed(2)} MB`;
    default:
      return Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(1);
  }
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  ");
  console.log([line(header), ...rows.map(line)].join("\n"));
}

/** A row each; of a metric that cannot be read, why. */
async function rowsOf(
  names: readonly string[],
  more: Readonly<Record<string, string>>,
  rowOf: (series: Series) => readonly string[],
): Promise<readonly (readonly string[])[]> {
  const rows: (readonly string[])[] = [];
  for (const name of names) {
    try {
      rows.push(rowOf(await read(name, more)));
    } catch (error) {
      rows.push([name, messageOf(error).slice(0, 80)]);
    }
  }
  return rows;
}

const GAUGE_HEADER = ["now", "worst"];
const gaugeRow = (series: Series): readonly string[] => {
  const values = known(series.points);
  return [
    series.name,
    show(values.at(-1), series.unit),
    show(values.length === 0 ? undefined : Math.max(...values), series.unit),
  ];
};

const gaugesOf = (...prefixes: readonly string[]): readonly MetricName[] =>
  METRIC_NAMES.filter((name) => specOf(name).type === "gauge" && prefixes.some((prefix) => name.startsWith(prefix)));

async function app(): Promise<void> {
  const counters = METRIC_NAMES.filter((name) => specOf(name).type === "counter" && !name.includes("_metrics_"));
  table(
    ["counters", "last minute", `last ${HOURS} h`, "busiest minute"],
    await rowsOf(counters, { step: "60" }, ({ name, points: all }) => {
      const values = known(all);
      return [name, show(values.at(-2), "none"), show(sum(values), "none"), show(Math.max(0, ...values), "none")];
    }),
  );
  console.log();
  const errors = { step: "3600", match: "status:5xx" };
  table(
    ["5xx", `last ${HOURS} h`],
    await rowsOf(
      ["itrans_core_http_requests_total", "medlink_http_requests_total"],
      errors,
      ({ name, points: all }) => [name, show(sum(known(all)), "none")],
    ),
  );
  console.log();
  const levels = gaugesOf(
    "itrans_core_outbox",
    "itrans_core_relay",
    "itrans_core_anchor_pending",
    "medlink_auto_submit",
  );
  table(["levels", ...GAUGE_HEADER], await rowsOf(levels, { step: "60" }, gaugeRow));
}

/** Each bucket's size at its newest whole count. */
async function buckets(): Promise<void> {
  const rows: (readonly string[])[] = [];
  for (const name of ["itrans_core_bucket_size_bytes", "medlink_bucket_size_bytes"]) {
    try {
      const { series = [], unit } = await read(name, { step: "60", by: "bucket" });
      const holder = name.startsWith("medlink") ? "the hub's" : "core's";
      for (const one of series) rows.push([`${holder} ${one.label}`, ...gaugeRow({ ...one, name, unit }).slice(1)]);
    } catch (error) {
      rows.push([name, messageOf(error).slice(0, 80)]);
    }
  }
  table(["buckets", ...GAUGE_HEADER], rows);
}

async function db(): Promise<void> {
  table(
    ["sizes", "now", "an hour ago", "growth"],
    await rowsOf(
      [
        "itrans_core_database_size_bytes",
        "medlink_database_size_bytes",
        "itrans_core_ledger_size_entries",
        "itrans_core_anchored_entries",
        "itrans_core_bucket_objects",
        "medlink_bucket_objects",
      ],
      { step: "60" },
      ({ name, unit, points: all }) => {
        const last = all.findLast(([, value]) => value !== null);
        const before =
          last === undefined ? undefined : all.find(([at, value]) => value !== null && at >= last[0] - 3_600);
        const [now, then] = [last?.[1] ?? undefined, before?.[1] ?? undefined];
        const growth = now === undefined || then === undefined ? undefined : now - then;
        return [name, show(now, unit), show(then, unit), show(growth, unit)];
      },
    ),
  );
  console.log();
  await buckets();
  console.log();
  await timings(
    METRIC_NAMES.filter(
      (name): name is HistogramName => name.startsWith("itrans_core_ledger_") && specOf(name).type === "histogram",
    ),
  );
}

/** Of the newest hour in which anything was observed. */
function timingCells({ quantiles }: Curve, unit: string): readonly string[] {
  const at = (values: Curve["points"] | undefined) => show(known(values ?? []).at(-1), unit);
  return [at(quantiles?.p50), at(quantiles?.p95), at(quantiles?.p99)];
}

async function timings(names: readonly string[]): Promise<void> {
  table(
    ["this hour, or the newest with any", "p50", "p95", "p99"],
    await rowsOf(names, { step: "3600" }, (series) => [series.name, ...timingCells(series, series.unit)]),
  );
}

const SLOWEST = 10;

async function performance(): Promise<void> {
  await timings(METRIC_NAMES.filter((name) => specOf(name).type === "histogram"));
  for (const name of ["itrans_core_http_request_duration_seconds", "medlink_http_request_duration_seconds"]) {
    const { series = [], unit } = await read(name, { step: "3600", by: "route" });
    const p95 = (one: Curve): number => known(one.quantiles?.p95 ?? []).at(-1) ?? 0;
    const slowest = series.toSorted((a, b) => p95(b) - p95(a)).slice(0, SLOWEST);
    console.log();
    table(
      [`slowest routes of ${name.startsWith("medlink") ? "the hub" : "core"}`, "p50", "p95", "p99"],
      slowest.map((one) => [one.label, ...timingCells(one, unit)]),
    );
  }
}

try {
  // What is not set is told once, not in every row.
  if (env !== undefined) systemAt(env, process.env);
  switch (command) {
    case "app":
      await app();
      break;
    case "db":
      await db();
      break;
    case "performance":
      await performance();
      break;
    default:
      throw new Failure(USAGE);
  }
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
