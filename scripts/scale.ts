/**
 * `npm run scale`: what 1, 100 and 10,000 claims a second take: ledgers, latency, a month's price. Operations and prices of a claim
 * come from the newest result of `npm run bench -- --only cost`; the platform's times are assumptions and printed as such.
 * `--rates 1,50 --commit-ms 30 --command-ms 0.3 --around-ms 30 --seed 1`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { projectRoot } from "./lib/bundle.ts";
import { addBills, type Bill, NO_BILL } from "./lib/cost/bill.ts";
import { PLAN_DOLLARS } from "./lib/cost/prices.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import {
  type Assumptions,
  databasesFor,
  daysUntilFull,
  ledgersFor,
  monthOf,
  simulateLedger,
} from "./lib/scale/model.ts";

answerHelp(import.meta.filename);

const billSchema = z.object({
  requests: z.number(),
  cpuMs: z.number(),
  rowsRead: z.number(),
  rowsWritten: z.number(),
  objectRequests: z.number(),
  objectRowsRead: z.number(),
  objectRowsWritten: z.number(),
  objectGbSeconds: z.number(),
  queueOperations: z.number(),
  r2ClassA: z.number(),
  r2ClassB: z.number(),
});
const byWorker = z.record(z.string(), billSchema);
const resultSchema = z.looseObject({
  at: z.string(),
  alone: z.looseObject({ perClaim: byWorker }),
  loaded: z.looseObject({
    perClaim: byWorker,
    carriedPerSecond: z.number(),
    bytes: z.object({ core: z.number(), hub: z.number() }),
  }),
  idleMinute: byWorker,
});

const sumOf = (bills: Readonly<Record<string, Bill>>): Bill => Object.values(bills).reduce(addBills, NO_BILL);

function newestResult() {
  const directory = join(projectRoot, "bench", "results");
  const [newest] = readdirSync(directory)
    .filter((name) => /^cost-.*\.json$/.test(name))
    .toSorted()
    .reverse();
  if (newest === undefined) throw new Failure("run npm run bench -- --only cost first");
  return { newest, result: resultSchema.parse(JSON.parse(readFileSync(join(directory, newest), "utf8"))) };
}

/** The same numbers each run (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What is looked at often: a claim and its decision, and what goes back and forth about it. */
const KEPT_DAYS = 90;

/** Enough for a steady p99 of one ledger. */
const COMMANDS = 60_000;

function read() {
  const { values } = parseArgs({
    options: {
      rates: { type: "string", default: "1,100,10000" },
      "commit-ms": { type: "string", default: "40" },
      "command-ms": { type: "string", default: "0.4" },
      "around-ms": { type: "string", default: "30" },
      seed: { type: "string", default: "1" },
    },
  });
  const number = (name: Exclude<keyof typeof values, "rates">): number => {
    const value = Number(values[name]);
    if (!(value >= 0)) throw new Failure(`--${name} is not a number`);
    return value;
  };
  const rates = values.rates.split(",").map(Number);
  if (rates.some((rate) => !(rate > 0 && rate <= 1_000_000))) throw new Failure("--rates are claims a second");
  return {
    rates,
    times: { commitMs: number("commit-ms"), commandMs: number("command-ms"), aroundMs: number("around-ms") },
    seed: number("seed"),
  };
}

function main(): void {
  const { rates, times, seed } = read();
  const { newest, result } = newestResult();
  const { bytes } = result.loaded;
  const assumptions: Assumptions = { ...times, coreBytes: bytes.core, hubBytes: bytes.hub };
  const loaded = { ...sumOf(result.loaded.perClaim), cpuMs: 0 };
  const idleMinute = sumOf(result.idleMinute);
  console.log(
    `operations and sizes of bench/results/${newest}; CPU time is left out, since there it is the whole machine's`,
  );
  console.log(
    `assumed: a commit takes ${assumptions.commitMs} ms and ${assumptions.commandMs} ms for each command, the way around it ${assumptions.aroundMs} ms`,
  );
  const columns = rates.map((rate) => {
    const ledgers = ledgersFor(rate, assumptions);
    const latency = simulateLedger((3 * rate) / ledgers, assumptions, {
      commands: COMMANDS,
      random: seededRandom(seed),
    });
    const month = monthOf(rate, ledgers, latency.busy, { claim: loaded, idleMinute }, assumptions);
    return { rate, ledgers, latency, month };
  });
  const money = (dollars: number): string => `$${dollars.toLocaleString("en", { maximumFractionDigits: 0 })}`;
  const row = (name: string, of: (column: (typeof columns)[number]) => string): void =>
    console.log(`${name.padEnd(42)}${columns.map((column) => of(column).padStart(16)).join("")}`);
  console.log();
  row("claims a second", ({ rate }) => rate.toLocaleString("en"));
  row("ledgers, each with its own database", ({ ledgers }) => ledgers.toLocaleString("en"));
  row("a submit's answer, p50 ms", ({ latency }) => latency.p50Ms.toFixed(0));
  row("a submit's answer, p95 ms", ({ latency }) => latency.p95Ms.toFixed(0));
  row("a submit's answer, p99 ms", ({ latency }) => latency.p99Ms.toFixed(0));
  row("commands that share a commit", ({ latency }) => latency.group.toFixed(1));
  row(`databases of core for ${KEPT_DAYS} days`, ({ rate }) =>
    databasesFor(rate, KEPT_DAYS, assumptions.coreBytes).toLocaleString("en"),
  );
  row("days until a database is full", ({ rate, ledgers }) =>
    daysUntilFull(rate, ledgers, assumptions.coreBytes).toFixed(1),
  );
  row("claims a month", ({ month }) => month.claims.toLocaleString("en"));
  row("  operations of claims", ({ month }) => money(month.operationsDollars));
  row("  objects that are awake", ({ month }) => money(month.objectsDollars));
  row("  crons, alerts, metrics of idle minutes", ({ month }) => money(month.idleDollars));
  row("  a month's growth of the databases", ({ month }) => money(month.storageDollars));
  row("a month", ({ month }) => money(month.dollars + PLAN_DOLLARS));
  row("a thousand claims", ({ month }) => `$${((1_000 * month.dollars) / month.claims).toFixed(3)}`);
}

try {
  main();
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
