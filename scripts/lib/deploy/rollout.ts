/**
 * A rollout as a plan: what to do next, given what was done and seen. Nothing here calls, waits or knows the time.
 *
 * Order: core, then relay, then hub. Relay and hub call core through service bindings and never the other way round but over HTTP
 * contracts that are older than either, so a core must serve both versions of its callers, while a caller may need what only the
 * new core has. A return goes the other way round for the same reason.
 */
import type { WorkerName } from "../../../src/platform/secrets.ts";

export const ORDER: readonly WorkerName[] = ["itrans-core", "itrans-relay", "medlink-hub"];

/** Of requests, to the new version. At 0 it is reached by name alone, which is how it is smoke-tested. */
export const PERCENTAGES = [0, 5, 25, 50, 100] as const;
export type Percentage = (typeof PERCENTAGES)[number];

export interface WorkerRollout {
  readonly worker: WorkerName;
  /** Version id that served before; null: none did; undefined: not looked yet. */
  readonly former?: string | null;
  readonly next?: string;
  /** What the platform was told to give to `next`. */
  readonly set?: Percentage;
  /** The highest at which every check passed. */
  readonly passed?: Percentage;
  readonly triggers?: boolean;
  /** The former version serves alone again. */
  readonly returned?: boolean;
}

export interface Halt {
  readonly at: string;
  readonly worker: WorkerName;
  readonly because: readonly string[];
}

export interface Rollout {
  readonly environment: string;
  readonly commit: string;
  readonly startedAt: string;
  readonly workers: readonly WorkerRollout[];
  readonly halted?: Halt;
  readonly ended?: { readonly at: string; readonly outcome: "done" | "returned" };
}

export type RolloutAction =
  | { readonly type: "look"; readonly worker: WorkerName }
  | { readonly type: "upload"; readonly worker: WorkerName }
  /** There is nothing to share requests with. */
  | { readonly type: "first"; readonly worker: WorkerName }
  | { readonly type: "set"; readonly worker: WorkerName; readonly percentage: Percentage }
  | { readonly type: "check"; readonly worker: WorkerName; readonly percentage: Percentage }
  | { readonly type: "triggers"; readonly worker: WorkerName }
  | { readonly type: "return"; readonly worker: WorkerName }
  | { readonly type: "end"; readonly outcome: "done" | "returned" }
  | { readonly type: "ended"; readonly outcome: "done" | "returned" };

export type RolloutEvent =
  | { readonly type: "looked"; readonly worker: WorkerName; readonly former: string | null }
  | { readonly type: "uploaded"; readonly worker: WorkerName; readonly next: string }
  | { readonly type: "set"; readonly worker: WorkerName; readonly percentage: Percentage }
  | { readonly type: "checked"; readonly worker: WorkerName; readonly percentage: Percentage }
  | { readonly type: "triggers"; readonly worker: WorkerName }
  | { readonly type: "halted"; readonly worker: WorkerName; readonly because: readonly string[]; readonly at: string }
  | { readonly type: "returned"; readonly worker: WorkerName }
  | { readonly type: "ended"; readonly outcome: "done" | "returned"; readonly at: string };

export const newRollout = (
  environment: string,
  commit: string,
  startedAt: string,
  workers: readonly WorkerName[] = ORDER,
): Rollout => ({
  environment,
  commit,
  startedAt,
  workers: ORDER.filter((worker) => workers.includes(worker)).map((worker) => ({ worker })),
});

/** Whether requests may reach its new version. */
const isTouched = ({ set, next, returned }: WorkerRollout): boolean =>
  next !== undefined && set !== undefined && returned !== true;

export function nextAction(rollout: Rollout): RolloutAction {
  if (rollout.ended !== undefined) return { type: "ended", outcome: rollout.ended.outcome };
  if (rollout.halted !== undefined) {
    const last = rollout.workers.findLast(isTouched);
    return last === undefined ? { type: "end", outcome: "returned" } : { type: "return", worker: last.worker };
  }
  for (const one of rollout.workers) {
    const action = nextOf(one);
    if (action !== undefined) return action;
  }
  return { type: "end", outcome: "done" };
}

function nextOf({ worker, former, next, set, passed, triggers }: WorkerRollout): RolloutAction | undefined {
  if (former === undefined) return { type: "look", worker };
  if (next === undefined) return { type: former === null ? "first" : "upload", worker };
  if (passed === 100) return triggers === true ? undefined : { type: "triggers", worker };
  const step: Percentage = former === null ? 100 : following(passed);
  return set === step ? { type: "check", worker, percentage: step } : { type: "set", worker, percentage: step };
}

const following = (passed: Percentage | undefined): Percentage =>
  passed === undefined ? 0 : (PERCENTAGES[PERCENTAGES.indexOf(passed) + 1] ?? 100);

export function applyEvent(rollout: Rollout, event: RolloutEvent): Rollout {
  const change = (worker: WorkerName, with_: Partial<WorkerRollout>): Rollout => ({
    ...rollout,
    workers: rollout.workers.map((one) => (one.worker === worker ? { ...one, ...with_ } : one)),
  });
  switch (event.type) {
    case "looked":
      return change(event.worker, { former: event.former });
    case "uploaded":
      return change(event.worker, { next: event.next });
    case "set":
      return change(event.worker, { set: event.percentage });
    case "checked":
      return change(event.worker, { passed: event.percentage });
    case "triggers":
      return change(event.worker, { triggers: true });
    case "halted":
      return { ...rollout, halted: { at: event.at, worker: event.worker, because: event.because } };
    case "returned":
      return change(event.worker, { returned: true });
    case "ended":
      return { ...rollout, ended: { at: event.at, outcome: event.outcome } };
  }
}

/** 0 to 1: how much of it is done. */
export function shareDone(rollout: Rollout): number {
  const steps = PERCENTAGES.length + 1;
  const done = rollout.workers.reduce(
    (sum, { passed, triggers }) =>
      sum + (passed === undefined ? 0 : PERCENTAGES.indexOf(passed) + 1) + (triggers === true ? 1 : 0),
    0,
  );
  return done / (steps * Math.max(1, rollout.workers.length));
}

export interface Reading {
  readonly requests: number;
  readonly serverErrors: number;
  /** Counts of durations by upper bound in seconds, rising and cumulative. */
  readonly buckets: readonly (readonly [le: number, count: number])[];
  readonly deadLetters: number;
}

export interface Limits {
  /** Of requests answered 5xx. */
  readonly errorShare: number;
  readonly p95Ms: number;
  /** Fewer requests than this say nothing about a share. */
  readonly enough: number;
}

export const DEFAULT_LIMITS: Limits = { errorShare: 0.01, p95Ms: 400, enough: 20 };

/** @returns the upper bound of the bucket that holds the quantile, in seconds; undefined when nothing was observed. */
export function quantileBetween(before: Reading, after: Reading, q: number): number | undefined {
  const earlier = new Map(before.buckets);
  const counts = after.buckets.map(([le, count]) => [le, count - (earlier.get(le) ?? 0)] as const);
  const total = counts.at(-1)?.[1] ?? 0;
  if (total <= 0) return undefined;
  return counts.find(([, count]) => count >= q * total)?.[0];
}

/** @returns what speaks against going on; empty: nothing. */
export function faultsBetween(before: Reading, after: Reading, limits: Limits): readonly string[] {
  const faults: string[] = [];
  const requests = after.requests - before.requests;
  const errors = after.serverErrors - before.serverErrors;
  if (requests >= limits.enough && errors / requests > limits.errorShare) {
    faults.push(`${errors} of ${requests} requests were answered 5xx`);
  }
  const p95 = requests >= limits.enough ? quantileBetween(before, after, 0.95) : undefined;
  if (p95 !== undefined && p95 * 1_000 > limits.p95Ms) {
    faults.push(
      `p95 is ${Number.isFinite(p95) ? `up to ${p95 * 1_000}` : "over every bound"} ms, limit ${limits.p95Ms} ms`,
    );
  }
  if (after.deadLetters > before.deadLetters) {
    faults.push(`dead letters rose from ${before.deadLetters} to ${after.deadLetters}`);
  }
  return faults;
}
