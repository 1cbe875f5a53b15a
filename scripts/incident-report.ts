/**
 * `npm run incident:report -- --output DIR`: a folder that somebody who was not there can work from. What a running system says of
 * itself, each answer in a file of its own, and a page that says which is which. No secrets and no personal data: everything
 * comes from operators' calls and from the log, which have none.
 */
import { createReadStream, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import * as z from "zod";
import { projectRoot } from "./lib/bundle.ts";
import { DIAGNOSIS_CHECKS, runChecks, SMOKE_CHECKS } from "./lib/checks.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { readEvent } from "./lib/log-lines.ts";
import type { Operator } from "./lib/operator.ts";
import type { RemoteEnvironment } from "./lib/platform.ts";
import { makePrinter } from "./lib/print.ts";
import { remedyIn } from "./lib/remedy.ts";
import { ENV_OPTION, systemAt, WHERE } from "./lib/sites.ts";
import { pastLines, telemetryAccess } from "./lib/telemetry.ts";

const USAGE = `npm run incident:report -- --output DIR [--hours N] [--ticket INC-7] [--env E]

Without --ticket it is about the newest open incident of the register. The log of this machine's run is found under .data, or
--data DIR; that of a deployed environment takes CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN.

${WHERE} RELAY_URL names the relay.`;

interface Part {
  readonly file: string;
  readonly of: "core" | "hub";
  readonly path: string;
  readonly says: string;
}

const PARTS: readonly Part[] = [
  { file: "core-health.json", of: "core", path: "/health", says: "what of core works" },
  { file: "core-version.json", of: "core", path: "/version", says: "which core is deployed" },
  {
    file: "ledger-verify.json",
    of: "core",
    path: "/ledger/verify",
    says: "whether the ledger verifies, and every finding",
  },
  {
    file: "anchors.json",
    of: "core",
    path: "/ledger/anchors?limit=50",
    says: "the signer, the last anchors and their events",
  },
  { file: "relay-status.json", of: "core", path: "/relay/workflow/status", says: "destinations, queues, breakers" },
  {
    file: "dead-letters.json",
    of: "core",
    path: "/relay/workflow/dead-letters?limit=100",
    says: "deliveries that were given up",
  },
  { file: "alerts.json", of: "core", path: "/operations/alerts", says: "alerts, incidents, and who was told" },
  {
    file: "incidents.json",
    of: "core",
    path: "/operations/incidents?limit=50",
    says: "the incident register: what operators noted",
  },
  {
    file: "backups.json",
    of: "core",
    path: "/operations/backups",
    says: "core's snapshots and restore drills, newest first",
  },
  { file: "secrets.json", of: "core", path: "/operations/secrets", says: "secrets by name and age, and rotations" },
  {
    file: "settlements.json",
    of: "core",
    path: "/settlements?limit=100",
    says: "the newest settlements and their states",
  },
  {
    file: "reconciliation.json",
    of: "core",
    path: "/settlements/reconciliation/runs?limit=20",
    says: "runs of reconciliation, and how many mismatches are open",
  },
  {
    file: "reconciliation-items.json",
    of: "core",
    path: "/settlements/reconciliation/items?limit=100",
    says: "each mismatch with the payer's operator",
  },
  { file: "hub-backups.json", of: "hub", path: "/api/operations/backups", says: "the hub's snapshots, newest first" },
  { file: "hub-health.json", of: "hub", path: "/api/health", says: "what of the hub works" },
  { file: "hub-version.json", of: "hub", path: "/api/version", says: "which hub is deployed" },
  {
    file: "auto-submit.json",
    of: "hub",
    path: "/api/itrans/auto-submit/status",
    says: "auto-submit's switch, queue and failures",
  },
];

const SERIES: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["itrans_core_http_requests_total", { by: "status" }],
  ["itrans_core_http_requests_total", { by: "route", match: "status:500" }],
  ["itrans_core_http_requests_total", { by: "route", match: "status:503" }],
  ["itrans_core_cron_runs_total", { by: "outcome" }],
  ["itrans_core_cron_runs_total", { by: "job", match: "outcome:failed" }],
  ["itrans_core_cron_lateness_seconds", {}],
  ["itrans_core_settlements_stuck", {}],
  ["itrans_core_http_request_duration_seconds", {}],
  ["itrans_core_ledger_appends_total", {}],
  ["itrans_core_ledger_append_duration_seconds", {}],
  ["itrans_core_delivery_attempts_total", { by: "outcome" }],
  ["itrans_core_outbox_dead_letters", {}],
  ["medlink_http_requests_total", { by: "status" }],
  ["medlink_http_requests_total", { by: "route", match: "status:500" }],
  ["medlink_http_requests_total", { by: "route", match: "status:503" }],
  ["medlink_cron_runs_total", { by: "outcome" }],
  ["medlink_cron_runs_total", { by: "job", match: "outcome:failed" }],
  ["medlink_http_request_duration_seconds", {}],
  ["medlink_auto_submit_jobs", { by: "state" }],
  ["medlink_claim_callback_seconds", {}],
];

/** Of the log. */
const LINES_KEPT = 20_000;

const registerSchema = z.object({
  incidents: z.array(
    z.object({
      ticket: z.string(),
      severity: z.string(),
      summary: z.string(),
      detectedAt: z.string(),
      closedAt: z.string().nullable(),
      notes: z.array(z.object({ at: z.string(), note: z.string() })),
    }),
  ),
});
type Registered = z.output<typeof registerSchema>["incidents"][number];

/** @param ticket undefined: the newest that is open. */
async function registered(core: Operator, ticket: string | undefined): Promise<Registered | undefined> {
  const parsed = registerSchema.safeParse(await core.ask("/operations/incidents?limit=200").catch(() => undefined));
  if (!parsed.success) return undefined;
  return parsed.data.incidents.find((one) => (ticket === undefined ? one.closedAt === null : one.ticket === ticket));
}

const factsOf = (incident: Registered | undefined): readonly string[] =>
  incident === undefined
    ? ["- Severity (S1 to S4), began, detected by, ended:"]
    : [
        `- ${incident.ticket}, ${incident.severity}, detected ${incident.detectedAt}: ${incident.summary}`,
        ...incident.notes.map(({ at, note }) => `- ${at}: ${note}`),
        ...(incident.closedAt === null ? [] : [`- closed ${incident.closedAt}`]),
      ];

/** Of the local run, whose log is on this machine. */
async function localLines(data: string, since: number): Promise<readonly string[]> {
  const path = join(resolve(projectRoot, data), "workers.log");
  if (!existsSync(path)) throw new Failure(`there is no ${path}: npm run logs reads it where npm start wrote it`);
  const lines: string[] = [];
  for await (const line of createInterface(createReadStream(path))) {
    const event = readEvent(line);
    if (event === undefined || !(Date.parse(event.at) >= since)) continue;
    lines.push(line);
    if (lines.length >= 2 * LINES_KEPT) lines.splice(0, LINES_KEPT);
  }
  return lines;
}

async function deployedLines(
  settings: Readonly<Record<string, string | undefined>>,
  environment: RemoteEnvironment,
  since: number,
  to: number,
): Promise<readonly string[]> {
  const access = telemetryAccess(settings);
  const workers = ["itrans-core", "itrans-relay", "medlink-hub"] as const;
  const read = await Promise.all(workers.map((worker) => pastLines(access, worker, environment, since, to)));
  return read
    .flatMap(({ lines }) => lines.flatMap((line) => ({ line, at: readEvent(line)?.at })))
    .flatMap(({ line, at }) => (at === undefined ? [] : [{ line, at }]))
    .sort((a, b) => a.at.localeCompare(b.at))
    .map(({ line }) => line);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean" },
      output: { type: "string" },
      hours: { type: "string", default: "6" },
      ticket: { type: "string" },
      ...ENV_OPTION,
      data: { type: "string", default: ".data" },
    },
  });
  const printer = makePrinter(process.stdout, process.env);
  if (values.help === true) return printer.line(USAGE);
  const hours = Number(values.hours);
  if (values.output === undefined || !Number.isInteger(hours) || hours < 1 || hours > 72) throw new Failure(USAGE);
  const { environment, values: settings, sites, ...operators } = systemAt(values.env, process.env);
  const at = new Date();
  const folder = join(values.output, `incident-${at.toISOString().replaceAll(/[:.]/g, "-")}`);
  mkdirSync(folder, { recursive: true });
  const lines: string[] = [];
  const missing: string[] = [];
  const total = PARTS.length + SERIES.length + 2;
  let done = 0;
  const keep = async (file: string, says: string, read: () => Promise<unknown>): Promise<void> => {
    try {
      const found = await read();
      writeFileSync(join(folder, file), typeof found === "string" ? found : `${JSON.stringify(found, null, 2)}\n`);
      lines.push(`- \`${file}\`: ${says}`);
    } catch (error) {
      missing.push(`- ${says}: ${messageOf(error).slice(0, 200)}`);
    }
    done += 1;
    printer.note(`${String(done).padStart(3)}/${total} ${says}`);
  };
  for (const { file, of, path, says } of PARTS) await keep(file, says, () => operators[of].ask(path));
  const to = Math.floor(at.getTime() / 1000);
  for (const [name, more] of SERIES) {
    const query = new URLSearchParams({ name, from: String(to - hours * 3_600), to: String(to), ...more });
    const of = name.startsWith("medlink_") ? "hub" : "core";
    const path = `${of === "hub" ? "/api" : ""}/operations/series?${query}`;
    const cut = Object.entries(more).map(([option, value]) => `${option} ${value.replace(":", " ")}`);
    const file = ["series", name, ...cut].join("-").replaceAll(" ", "-");
    const says = `${[name, ...cut].join(", ")}, the last ${hours} h`;
    await keep(`${file}.json`, says, () => operators[of].ask(path));
  }
  await keep("checks.json", "every check, with its remedy", async () => {
    const results = await runChecks([...SMOKE_CHECKS, ...DIAGNOSIS_CHECKS], sites);
    return results.map((result) => ({ ...result, remedy: remedyIn(result.remedy, environment) }));
  });
  const since = at.getTime() - hours * 3_600_000;
  await keep(
    "logs.jsonl",
    `what the workers logged in the last ${hours} h, the newest ${LINES_KEPT} lines at most`,
    async () => {
      const lines =
        environment === "local"
          ? await localLines(values.data, since)
          : await deployedLines(settings, environment, since, at.getTime());
      return lines
        .slice(-LINES_KEPT)
        .map((line) => `${line}\n`)
        .join("");
    },
  );
  const incident = await registered(operators.core, values.ticket);
  const ticket = values.ticket ?? incident?.ticket;
  const page = [
    `# Incident report${ticket === undefined ? "" : ` ${ticket}`}`,
    "",
    `Taken ${at.toISOString()} (${environment}) from core at ${operators.core.url} and the hub at ${operators.hub.url}.`,
    "",
    "## The incident",
    "",
    ...factsOf(incident),
    "",
    "## What is here",
    "",
    ...lines,
    ...(missing.length === 0 ? [] : ["", "## What could not be read", "", ...missing]),
    "",
    "## To fill in",
    "",
    "- What people noticed:",
    "- What was done, with times:",
    "- Root cause and what will prevent it:",
    "",
    "Runbook: docs/runbook.md has a section for each alert.",
    "",
  ].join("\n");
  writeFileSync(join(folder, "README.md"), page);
  printer.line(`Written to ${folder}; begin with README.md.`);
  if (missing.length > 0) printer.warn(`${missing.length} parts could not be read: README.md says which.`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
