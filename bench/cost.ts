/**
 * `npm run bench -- --only cost`: what one claim is billed for through its whole life, filed in the hub, submitted, acknowledged,
 * decided, called back to the clinic and the insurer, anchored; alone and among many. Every worker runs as it is deployed, with a
 * tally in front of its bindings (bench/workers/tally.ts); what an idle minute costs is taken off and told apart.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { bundleWorker } from "../scripts/lib/bundle.ts";
import {
  addBills,
  BILLED,
  type Bill,
  billOfTally,
  type Ceiling,
  ceilings,
  dollarsOf,
  minus,
  NO_BILL,
  times,
  WORKERS,
  type Worker,
} from "../scripts/lib/cost/bill.ts";
import { type Billed, PRICES } from "../scripts/lib/cost/prices.ts";
import type { TallyReport } from "../scripts/lib/cost/tally.ts";
import { call, summaryOf } from "../scripts/lib/http.ts";
import { type Clinic, signIn } from "../scripts/lib/lifecycle.ts";
import { type System, startSystem } from "../scripts/lib/system.ts";

const TALLY = "/bench/tally";
const PATIENCE_MS = 180_000;
const IDLE_CRONS = 3;
/** Measurements are handed on at most this long after they were made. */
const FLUSHED_AFTER_MS = 11_000;
const CRON_EVERY_MS = 5_000;
const STATEMENTS_KEPT = 60;

const ENTRIES: Readonly<Record<Worker, string>> = {
  "itrans-core": "counted-core.ts",
  "itrans-relay": "counted-relay.ts",
  "medlink-hub": "counted-hub.ts",
};

type ByWorker = Readonly<Record<Worker, Bill>>;
type Tables = Readonly<Record<string, number>>;

interface WritingStatement {
  readonly worker: Worker;
  readonly sql: string;
  /** A claim. */
  readonly rows: number;
  readonly times: number;
}

interface Measured {
  readonly claims: number;
  /** Offered, and carried from the first filing to the last anchor. */
  readonly offeredPerSecond: number;
  readonly carriedPerSecond: number;
  readonly perClaim: ByWorker;
  /** Of the D1 rows written, those of metrics. */
  readonly measuringRows: number;
  /** Rows written, by worker and table. */
  readonly tables: Readonly<Record<Worker, Tables>>;
  readonly statements: readonly WritingStatement[];
  /** By which the databases grew, a claim. */
  readonly bytes: { readonly core: number; readonly hub: number };
  readonly dollars: { readonly core: number; readonly hub: number };
}

export interface CostFigures {
  readonly destinations: number;
  readonly alone: Measured;
  /** Alone too, with nothing that waits for its anchor. */
  readonly aloneAtCommit: Measured;
  readonly loaded: Measured;
  /** A minute in which nothing happens, the evaluation of alerts among it. */
  readonly idleMinute: ByWorker;
  readonly ceilings: readonly Ceiling[];
  readonly held: boolean;
}

const countsSchema = z.record(z.string(), z.number());
const tallySchema = z.object({
  byLabel: z.record(z.string(), countsSchema),
  byTable: countsSchema,
  byStatement: z.record(z.string(), z.object({ rows: z.number(), times: z.number() })),
});

interface Snapshot {
  readonly tallies: Readonly<Record<Worker, TallyReport>>;
  readonly cpuMs: number;
}

const byWorker = <T>(make: (worker: Worker) => T): Readonly<Record<Worker, T>> => ({
  "itrans-core": make("itrans-core"),
  "itrans-relay": make("itrans-relay"),
  "medlink-hub": make("medlink-hub"),
});

const urlOf = ({ stack }: System, worker: Worker): string =>
  worker === "itrans-core" ? stack.urls.core : worker === "itrans-relay" ? stack.urls.relay : stack.urls.hub;

/** User and system time of a process, in ms: clock ticks are 10 ms on Linux. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

const COUNT_NAMES = [
  "requests",
  "batches",
  "calls",
  "statements",
  "rowsRead",
  "rowsWritten",
  "rowsMeasuring",
  "queueWrites",
  "queueReads",
  "queueDeletes",
  "objectRequests",
  "alarms",
  "objectRowsRead",
  "objectRowsWritten",
  "r2ClassA",
  "r2ClassB",
] as const;

const completeCounts = (counts: Readonly<Record<string, number>>) => {
  const count = (name: (typeof COUNT_NAMES)[number]): number => counts[name] ?? 0;
  return {
    requests: count("requests"),
    batches: count("batches"),
    calls: count("calls"),
    statements: count("statements"),
    rowsRead: count("rowsRead"),
    rowsWritten: count("rowsWritten"),
    rowsMeasuring: count("rowsMeasuring"),
    queueWrites: count("queueWrites"),
    queueReads: count("queueReads"),
    queueDeletes: count("queueDeletes"),
    objectRequests: count("objectRequests"),
    alarms: count("alarms"),
    objectRowsRead: count("objectRowsRead"),
    objectRowsWritten: count("objectRowsWritten"),
    r2ClassA: count("r2ClassA"),
    r2ClassB: count("r2ClassB"),
  };
};

async function tallyOf(system: System, worker: Worker): Promise<TallyReport> {
  const answer = await call(`${urlOf(system, worker)}${TALLY}`);
  const parsed = tallySchema.safeParse(answer.body);
  if (!parsed.success) throw new Error(`${worker} does not say what it counted: ${summaryOf(answer)}`);
  const { byLabel, byTable, byStatement } = parsed.data;
  return {
    byLabel: Object.fromEntries(Object.entries(byLabel).map(([label, counts]) => [label, completeCounts(counts)])),
    byTable,
    byStatement,
  };
}

async function snapshot(system: System): Promise<Snapshot> {
  const [core, relay, hub] = await Promise.all(WORKERS.map((worker) => tallyOf(system, worker)));
  if (core === undefined || relay === undefined || hub === undefined) throw new Error("a tally is missing");
  return {
    tallies: { "itrans-core": core, "itrans-relay": relay, "medlink-hub": hub },
    cpuMs: cpuOf(system.stack.workerdPid()),
  };
}

const since = (before: Snapshot, after: Snapshot): ByWorker =>
  byWorker((worker) => minus(billOfTally(after.tallies[worker]), billOfTally(before.tallies[worker])));

const tablesSince = (before: Snapshot, after: Snapshot): Readonly<Record<Worker, Tables>> =>
  byWorker((worker) =>
    Object.fromEntries(
      Object.entries(after.tallies[worker].byTable)
        .map(([table, rows]): [string, number] => [table, rows - (before.tallies[worker].byTable[table] ?? 0)])
        .filter(([, rows]) => rows > 0),
    ),
  );

/** What wrote most, first. */
const statementsSince = (before: Snapshot, after: Snapshot, claims: number): readonly WritingStatement[] =>
  WORKERS.flatMap((worker) =>
    Object.entries(after.tallies[worker].byStatement).map(([sql, { rows, times: ran }]) => {
      const earlier = before.tallies[worker].byStatement[sql];
      return {
        worker,
        sql,
        rows: (rows - (earlier?.rows ?? 0)) / claims,
        times: (ran - (earlier?.times ?? 0)) / claims,
      };
    }),
  )
    .filter(({ rows }) => rows > 0)
    .toSorted((a, b) => b.rows - a.rows)
    .slice(0, STATEMENTS_KEPT);

/** A connection that was cut says nothing of what was done behind it. */
async function cron(system: System): Promise<void> {
  await Promise.allSettled([system.stack.scheduled("itrans-core"), system.stack.scheduled("medlink-hub")]);
}

const measuringIn = ({ byLabel }: TallyReport): number =>
  Object.values(byLabel).reduce((sum, { rowsMeasuring }) => sum + rowsMeasuring, 0);

const measuringSince = (before: Snapshot, after: Snapshot): number =>
  WORKERS.reduce((sum, worker) => sum + measuringIn(after.tallies[worker]) - measuringIn(before.tallies[worker]), 0);

/** What one cron costs where there is nothing to do. */
interface Idle {
  readonly bills: ByWorker;
  readonly measuringRows: number;
}

interface Progress {
  readonly paid: number;
  readonly undelivered: number;
  readonly unanchored: number;
}

async function look(system: System): Promise<Progress> {
  const [core, hub] = await Promise.all([system.stack.database("itrans-core"), system.stack.database("medlink-hub")]);
  const number = async (database: typeof core, sql: string): Promise<number> =>
    Number((await database.prepare(sql).first<number>("n")) ?? 0);
  const [paid, undelivered, size, anchored] = await Promise.all([
    number(hub, "SELECT COUNT(*) AS n FROM claims WHERE status = 'paid'"),
    number(core, "SELECT COUNT(*) AS n FROM outbox WHERE state NOT IN ('delivered', 'discarded')"),
    number(core, "SELECT SUM(size) AS n FROM ledger_heads"),
    number(core, "SELECT MAX(size) AS n FROM anchors WHERE state = 'confirmed'"),
  ]);
  return { paid, undelivered, unanchored: size - anchored };
}

const sizeSchema = z.looseObject({ size_after: z.number() });

/** Bytes of the databases, as D1 reports them. */
async function sizes({ stack }: System): Promise<{ readonly core: number; readonly hub: number }> {
  const sizeOf = async (worker: Worker): Promise<number> => {
    const { meta } = await (await stack.database(worker)).prepare("SELECT 1 AS one").all();
    return sizeSchema.parse(meta).size_after;
  };
  return { core: await sizeOf("itrans-core"), hub: await sizeOf("medlink-hub") };
}

async function fileClaim(clinic: Clinic, cookie: string): Promise<void> {
  const { patientId, providerId, insurerId } = clinic;
  const file = () =>
    call(`${clinic.hubUrl}/api/claims`, {
      method: "POST",
      headers: { cookie },
      body: {
        patientId,
        providerId,
        insurerId,
        type: "claim",
        amount: "120.00",
        currency: "CAD",
        codes: ["11101"],
        notes: "",
      },
      timeoutMs: 60_000,
    });
  // An idle connection that the server was just closing: asked again on another.
  const answer = await file().catch(file);
  if (answer.status !== 201) throw new Error(`a claim was not filed: ${summaryOf(answer)}`);
}

/** Files claims at a steady rate, whatever becomes of those before. */
async function fileAt(clinic: Clinic, cookie: string, count: number, perSecond: number): Promise<void> {
  const startedAt = performance.now();
  const filed: Promise<void>[] = [];
  for (let n = 0; n < count; n++) {
    const wait = startedAt + (1_000 * n) / perSecond - performance.now();
    if (wait > 0) await sleep(wait);
    filed.push(fileClaim(clinic, cookie));
  }
  await Promise.all(filed);
}

interface Life {
  readonly claims: number;
  readonly offeredPerSecond: number;
}

async function live(
  system: System,
  clinic: Clinic,
  cookie: string,
  life: Life,
  idleCron: Idle,
  progress: (text: string) => void,
): Promise<Measured> {
  const paidBefore = (await look(system)).paid;
  const sizeBefore = await sizes(system);
  const before = await snapshot(system);
  const startedAt = performance.now();
  let crons = 0;
  let done = false;
  const cronsRun = (async () => {
    while (!done) {
      await sleep(CRON_EVERY_MS);
      if (done) break;
      await cron(system);
      crons += 1;
    }
  })();
  let endedAt = startedAt;
  try {
    await fileAt(clinic, cookie, life.claims, life.offeredPerSecond);
    for (;;) {
      await sleep(500);
      const seen = await look(system).catch(() => undefined);
      endedAt = performance.now();
      if (endedAt - startedAt > PATIENCE_MS) throw new Error("the claims did not come to their end");
      if (seen === undefined) continue;
      progress(
        `cost: ${seen.paid - paidBefore} of ${life.claims} paid, ${seen.undelivered} to deliver, ${seen.unanchored} to anchor`,
      );
      if (seen.paid - paidBefore >= life.claims && seen.undelivered === 0 && seen.unanchored === 0) break;
    }
  } finally {
    done = true;
    await cronsRun;
  }
  await sleep(FLUSHED_AFTER_MS);
  await cron(system);
  crons += 1;
  await sleep(1_000);
  const after = await snapshot(system);
  const sizeAfter = await sizes(system);
  const spent = since(before, after);
  const measuringRows = Math.max(0, measuringSince(before, after) - crons * idleCron.measuringRows) / life.claims;
  const own = byWorker((worker) => times(minus(spent[worker], times(idleCron.bills[worker], crons)), 1 / life.claims));
  const cpuMs = (after.cpuMs - before.cpuMs) / life.claims;
  // One process holds all three, and the databases too: an upper bound, put where most of it belongs.
  const perClaim = { ...own, "itrans-core": { ...own["itrans-core"], cpuMs } };
  return {
    ...life,
    carriedPerSecond: (1_000 * life.claims) / (endedAt - startedAt),
    perClaim,
    measuringRows,
    tables: byWorker((worker) =>
      Object.fromEntries(
        Object.entries(tablesSince(before, after)[worker]).map(([table, rows]) => [table, rows / life.claims]),
      ),
    ),
    statements: statementsSince(before, after, life.claims),
    bytes: {
      core: (sizeAfter.core - sizeBefore.core) / life.claims,
      hub: (sizeAfter.hub - sizeBefore.hub) / life.claims,
    },
    dollars: {
      core: dollarsOf(addBills(perClaim["itrans-core"], perClaim["itrans-relay"])),
      hub: dollarsOf(perClaim["medlink-hub"]),
    },
  };
}

/** Everything quiet: nothing to deliver, nothing to anchor, measurements handed on. */
async function settle(system: System): Promise<void> {
  for (const until = performance.now() + PATIENCE_MS; ; ) {
    await cron(system);
    await sleep(1_000);
    const { undelivered, unanchored } = await look(system);
    if (undelivered === 0 && unanchored === 0) break;
    if (performance.now() > until) throw new Error("the system does not come to rest");
  }
  await sleep(FLUSHED_AFTER_MS);
  await cron(system);
}

async function idle(system: System): Promise<Idle> {
  const before = await snapshot(system);
  for (let n = 0; n < IDLE_CRONS; n++) {
    await cron(system);
    await sleep(1_000);
  }
  const after = await snapshot(system);
  const spent = since(before, after);
  return {
    bills: byWorker((worker) => times(spent[worker], 1 / IDLE_CRONS)),
    measuringRows: measuringSince(before, after) / IDLE_CRONS,
  };
}

async function withSystem<T>(settings: Readonly<Record<string, string>>, work: (system: System) => Promise<T>) {
  const directory = mkdtempSync(join(tmpdir(), "bench-cost-"));
  const system = await startSystem({
    dataDir: join(directory, "data"),
    secretsFile: join(directory, "secrets"),
    environment: { LOG_LEVEL: "warn", ...settings },
    ports: { core: 0, hub: 0, relay: 0, anvil: 0, insurer: 0, operator: 0 },
    cronEveryMs: 0,
    script: (worker, _entry, facts) => bundleWorker(join(import.meta.dirname, "workers", ENTRIES[worker]), facts),
  });
  try {
    return await work(system);
  } finally {
    await system.dispose();
    rmSync(directory, { recursive: true, force: true });
  }
}

const IDLE_MINUTES = 1;

/** Alerts are evaluated between the crons, so a minute is waited for. */
const measureIdleMinute = (progress: (text: string) => void): Promise<ByWorker> =>
  withSystem({}, async (system) => {
    progress("cost: an idle minute");
    await settle(system);
    const before = await snapshot(system);
    for (let n = 0; n < IDLE_MINUTES; n++) {
      await cron(system);
      await sleep(60_000);
    }
    const spent = since(before, await snapshot(system));
    return byWorker((worker) => times(spent[worker], 1 / IDLE_MINUTES));
  });

export async function benchCost(
  options: { readonly claims: number; readonly perSecond: number },
  progress: (text: string) => void,
): Promise<CostFigures> {
  progress("cost: starting");
  // What goes on whether or not there are claims is measured apart.
  const quiet = { ALERT_INTERVAL_MS: "0", LEDGER_SCRUB_ENTRIES_PER_MINUTE: "0" };
  const fast = {
    ITRANS_AUTO_SUBMIT_STARTS_PER_SECOND: String(2 * options.perSecond),
    ITRANS_AUTO_SUBMIT_QUEUE_LIMIT: "100000",
  };
  const { alone, aloneAtCommit, loaded } = await withSystem({ ...quiet, ...fast }, async (system) => {
    const { clinic } = system;
    if (clinic === undefined) throw new Error("there is no demo clinic");
    const cookie = await signIn(clinic);
    // How many posts a minute the insurer takes is its own choice, and no cost.
    await (await system.stack.database("itrans-core"))
      .prepare("UPDATE destinations SET requests_per_minute = 100000")
      .run();
    // The first makes destinations, keys and caches, and is not counted.
    const nothing: Idle = { bills: byWorker(() => NO_BILL), measuringRows: 0 };
    await live(system, clinic, cookie, { claims: 1, offeredPerSecond: 1 }, nothing, progress);
    await settle(system);
    const idleCron = await idle(system);
    const single = { claims: 1, offeredPerSecond: 1 };
    const one = await live(system, clinic, cookie, single, idleCron, progress);
    await settle(system);
    const deliverAfter = async (when: "commit" | "anchor"): Promise<void> => {
      const database = await system.stack.database("itrans-core");
      await database.prepare("UPDATE destinations SET deliver_after = ? WHERE kind = 'INSURER'").bind(when).run();
    };
    await deliverAfter("commit");
    const atCommit = await live(system, clinic, cookie, single, idleCron, progress);
    await deliverAfter("anchor");
    await settle(system);
    const many = { claims: options.claims, offeredPerSecond: options.perSecond };
    return {
      alone: one,
      aloneAtCommit: atCommit,
      loaded: await live(system, clinic, cookie, many, idleCron, progress),
    };
  });
  const idleMinute = await measureIdleMinute(progress);
  const held = ceilings(
    { ...allOf(alone.perClaim), measuringRows: alone.measuringRows },
    { ...allOf(loaded.perClaim), measuringRows: loaded.measuringRows },
  );
  return {
    destinations: 2,
    alone,
    aloneAtCommit,
    loaded,
    idleMinute,
    ceilings: held,
    held: held.every((each) => each.held),
  };
}

export const allOf = (bills: ByWorker): Bill => WORKERS.map((worker) => bills[worker]).reduce(addBills, NO_BILL);

const LABELS: Readonly<Record<Billed, string>> = {
  requests: "requests",
  cpuMs: "CPU ms, all of workerd",
  rowsRead: "D1 rows read",
  rowsWritten: "D1 rows written",
  objectRequests: "object requests",
  objectRowsRead: "object rows read",
  objectRowsWritten: "object rows written",
  objectGbSeconds: "object GB-seconds",
  queueOperations: "queue operations",
  r2ClassA: "R2 class A",
  r2ClassB: "R2 class B",
};

function billTable(bills: ByWorker): readonly string[] {
  const cell = (value: number): string => value.toFixed(value >= 100 ? 0 : 1).padStart(12);
  const all = allOf(bills);
  return [
    `${"".padEnd(26)}${"core".padStart(12)}${"relay".padStart(12)}${"hub".padStart(12)}${"all".padStart(12)}${"micro-$".padStart(12)}`,
    ...BILLED.filter((what) => all[what] > 0).map(
      (what) =>
        `${LABELS[what].padEnd(26)}${WORKERS.map((worker) => cell(bills[worker][what])).join("")}${cell(all[what])}${cell(all[what] * PRICES[what].perMillion)}`,
    ),
  ];
}

const tableLines = ({ tables }: Measured): readonly string[] =>
  WORKERS.flatMap((worker) => {
    const rows = Object.entries(tables[worker]).toSorted(([, a], [, b]) => b - a);
    if (rows.length === 0) return [];
    return [`  ${worker}: ${rows.map(([table, n]) => `${table} ${n.toFixed(n >= 10 ? 0 : 1)}`).join(", ")}`];
  });

export function costReport({ alone, aloneAtCommit, loaded, idleMinute, ceilings: limits }: CostFigures): string {
  const price = ({ dollars }: Measured): string =>
    `price: $${(1_000 * (dollars.core + dollars.hub)).toFixed(3)} a thousand claims, core and relay $${(1_000 * dollars.core).toFixed(3)}, hub $${(1_000 * dollars.hub).toFixed(3)}`;
  return [
    "one claim alone, two destinations",
    ...billTable(alone.perClaim),
    price(alone),
    `of the D1 rows written ${alone.measuringRows.toFixed(0)} are metrics: so many a minute and series, however many claims`,
    "rows written, crons' own among them:",
    ...tableLines(alone),
    `both destinations at commit: ${allOf(aloneAtCommit.perClaim).queueOperations.toFixed(0)} queue operations, ${(allOf(aloneAtCommit.perClaim).rowsWritten - aloneAtCommit.measuringRows).toFixed(0)} rows that are no metrics`,
    "",
    `one of ${loaded.claims} claims, ${loaded.offeredPerSecond} filed a second, ${loaded.carriedPerSecond.toFixed(1)} a second carried to the end`,
    ...billTable(loaded.perClaim),
    price(loaded),
    `of the D1 rows written ${loaded.measuringRows.toFixed(1)} are metrics`,
    `the databases grew by ${loaded.bytes.core.toFixed(0)} bytes a claim in core and ${loaded.bytes.hub.toFixed(0)} in the hub`,
    "rows written, crons' own among them:",
    ...tableLines(loaded),
    "",
    "an idle minute, alerts and crons",
    ...billTable(idleMinute),
    `a month of them: $${(dollarsOf(allOf(idleMinute)) * 43_200).toFixed(2)} before what the plan includes`,
    "",
    ...limits.map(
      ({ name, value, most, held }) => `${held ? "holds" : "FAILS"}  ${name}: ${value.toFixed(1)}, at most ${most}`,
    ),
  ].join("\n");
}
