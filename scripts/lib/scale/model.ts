/**
 * What a rate of claims takes, by the platform's ceilings: how many ledgers, what a caller waits for, what a month costs. Pure; random
 * numbers are passed in. The rules are those of the code: one commit at a time for each ledger, all that waits in the next one.
 */
import { type Bill, monthlyDollars, times } from "../cost/bill.ts";
import { OBJECT_GB, STORAGE_DOLLARS } from "../cost/prices.ts";

/** Of a ledger of its own, with margin: the platform gives about 1,000 requests a second to one object. */
export const OBJECT_CALLS_PER_SECOND = 1_000;
export const SAFE_SHARE = 0.6;
/** Submit, acknowledge, adjudicate. */
export const COMMANDS_PER_CLAIM = 3;
export const COMMIT_MAX_COMMANDS = 128;
export const MONTH_S = 30 * 86_400;
export const D1_LIMIT_BYTES = 10_000_000_000;
/** The share of it from which on an alert opens. */
export const D1_FULL = 0.85;

export interface Assumptions {
  /** A batch of D1 that appends: the way there and back, and what each command adds. */
  readonly commitMs: number;
  readonly commandMs: number;
  /** Around the commit: the route, keys, the way to the object. */
  readonly aroundMs: number;
  /** Per claim, in core's database. */
  readonly coreBytes: number;
  readonly hubBytes: number;
}

export interface Latency {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Commands that shared a commit, on average. */
  readonly group: number;
  /** Of the time, how much the ledger is committing. */
  readonly busy: number;
}

/** Commands a second that one ledger can take: full groups, one after another. */
export const groupsCeiling = ({ commitMs, commandMs }: Assumptions): number =>
  (1_000 * COMMIT_MAX_COMMANDS) / (commitMs + COMMIT_MAX_COMMANDS * commandMs);

/** How many ledgers take in a rate, so that neither object nor database is over its safe share. */
export function ledgersFor(claimsPerSecond: number, assumptions: Assumptions): number {
  const commands = claimsPerSecond * COMMANDS_PER_CLAIM;
  const ceiling = Math.min(OBJECT_CALLS_PER_SECOND, groupsCeiling(assumptions));
  return Math.max(1, Math.ceil(commands / (SAFE_SHARE * ceiling)));
}

/** How many databases of core hold what so many days bring: full ones are read, and the newest of each ledger is written. */
export const databasesFor = (claimsPerSecond: number, days: number, bytesPerClaim: number): number =>
  Math.max(1, Math.ceil((claimsPerSecond * 86_400 * days * bytesPerClaim) / (D1_FULL * D1_LIMIT_BYTES)));

/** One ledger with arrivals as they come (Poisson), for so many commands. */
export function simulateLedger(
  commandsPerSecond: number,
  assumptions: Assumptions,
  options: { readonly commands: number; readonly random: () => number },
): Latency {
  const { commitMs, commandMs, aroundMs } = assumptions;
  const arrivals: number[] = [];
  let at = 0;
  for (let n = 0; n < options.commands; n++) {
    at += (-1_000 * Math.log(1 - options.random())) / commandsPerSecond;
    arrivals.push(at);
  }
  const waits: number[] = [];
  let freeAt = 0;
  let commits = 0;
  let busyMs = 0;
  for (let next = 0; next < arrivals.length; ) {
    const beginAt = Math.max(freeAt, arrivals[next] ?? 0);
    let size = 0;
    while (size < COMMIT_MAX_COMMANDS && (arrivals[next + size] ?? Number.POSITIVE_INFINITY) <= beginAt) size += 1;
    const tookMs = commitMs + size * commandMs;
    for (let n = 0; n < size; n++) waits.push(beginAt + tookMs - (arrivals[next + n] ?? 0) + aroundMs);
    freeAt = beginAt + tookMs;
    busyMs += tookMs;
    commits += 1;
    next += size;
  }
  const sorted = waits.toSorted((a, b) => a - b);
  const quantile = (q: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0;
  return {
    p50Ms: quantile(0.5),
    p95Ms: quantile(0.95),
    p99Ms: quantile(0.99),
    group: options.commands / commits,
    busy: Math.min(1, busyMs / Math.max(freeAt, 1)),
  };
}

export interface Month {
  readonly claims: number;
  readonly operationsDollars: number;
  /** Objects that are awake: their time is billed, whatever they do. */
  readonly objectsDollars: number;
  readonly idleDollars: number;
  /** Of what a month adds to the databases, kept for a month. */
  readonly storageDollars: number;
  readonly dollars: number;
  readonly bytes: number;
}

const MONTH_MINUTES = MONTH_S / 60;
/** Publisher, anchor and the evaluator of alerts beside the sequencer. */
const OBJECTS_AWAKE = 3;

/**
 * @param claim what one claim is billed for at a rate like this; @param idleMinute of one ledger.
 * @param busy of the sequencers' time.
 */
export function monthOf(
  claimsPerSecond: number,
  ledgers: number,
  busy: number,
  bills: { readonly claim: Bill; readonly idleMinute: Bill },
  { coreBytes, hubBytes }: Pick<Assumptions, "coreBytes" | "hubBytes">,
): Month {
  const claims = claimsPerSecond * MONTH_S;
  const awake = Math.min(1, claimsPerSecond / ledgers) * OBJECTS_AWAKE + busy;
  const gbSeconds = ledgers * awake * OBJECT_GB * MONTH_S;
  const operations = times(bills.claim, claims);
  const operationsDollars = monthlyDollars(operations);
  const objectsDollars = monthlyDollars({ ...operations, objectGbSeconds: gbSeconds }) - operationsDollars;
  const idle = times(bills.idleMinute, ledgers * MONTH_MINUTES);
  const idleDollars = monthlyDollars(idle);
  const bytes = claims * (coreBytes + hubBytes);
  const storageDollars = (bytes / 1e9) * STORAGE_DOLLARS.d1;
  return {
    claims,
    operationsDollars,
    objectsDollars,
    idleDollars,
    storageDollars,
    dollars: operationsDollars + objectsDollars + idleDollars + storageDollars,
    bytes,
  };
}

/** Until a database of one ledger is full, in days. */
export const daysUntilFull = (claimsPerSecond: number, ledgers: number, bytesPerClaim: number): number =>
  (D1_FULL * D1_LIMIT_BYTES) / ((claimsPerSecond / ledgers) * 86_400 * bytesPerClaim);
