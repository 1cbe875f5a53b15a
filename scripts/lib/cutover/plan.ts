/** A cutover as a plan: its eleven steps in order, what a failure of each means, and when to roll back. No clock, no calls. */

import type { EnvironmentName } from "../platform.ts";
import { remedyIn } from "../remedy.ts";

export type StepId =
  | "backup"
  | "deploy-core"
  | "verify-core"
  | "deploy-relay"
  | "verify-relay"
  | "deploy-hub"
  | "verify-hub"
  | "synthetic-claim"
  | "verify-callback"
  | "enable-auto-submit"
  | "first-ten";

export interface Step {
  readonly id: StepId;
  readonly title: string;
  /** What any failure of it leads to. A trigger seen in it rolls back whatever stands here. */
  readonly onFailure: "stop" | "rollback";
  /** What to do after it stopped. */
  readonly remedy: string;
}

const again = "then npm run cutover again goes on from this step; npm run rollback takes everything back";

export const STEPS: readonly Step[] = [
  {
    id: "backup",
    title: "Take the backup before the cutover",
    onFailure: "stop",
    remedy: `Nothing was changed. npm run diagnose:all says what is out; ${again}.`,
  },
  {
    id: "deploy-core",
    title: "Deploy core",
    onFailure: "stop",
    remedy: `The rollout returned by itself. npm run logs:errors shows why; mend it, commit, and begin a new cutover.`,
  },
  {
    id: "verify-core",
    title: "Verify core's health and ledger",
    onFailure: "stop",
    remedy: `Core serves the new version. Look at /health and /ledger/verify (docs/runbook.md); ${again}.`,
  },
  {
    id: "deploy-relay",
    title: "Deploy the relay",
    onFailure: "stop",
    remedy: `The rollout returned by itself. npm run logs:errors shows why; mend it, commit, and begin a new cutover.`,
  },
  {
    id: "verify-relay",
    title: "Verify the relay's status",
    onFailure: "stop",
    remedy: `npm run relay:status and npm run relay:dead-letters; replay or discard what is parked, let a backlog drain; ${again}.`,
  },
  {
    id: "deploy-hub",
    title: "Deploy the hub, auto-submit off",
    onFailure: "stop",
    remedy: `The rollout returned by itself, or auto-submit is on: npm run auto-submit:off; ${again}.`,
  },
  {
    id: "verify-hub",
    title: "Verify the hub's health",
    onFailure: "rollback",
    remedy: "The hub was unhealthy for too long: everything goes back.",
  },
  {
    id: "synthetic-claim",
    title: "Run a synthetic claim through to its anchor",
    onFailure: "rollback",
    remedy: "The synthetic claim did not get through: everything goes back.",
  },
  {
    id: "verify-callback",
    title: "Verify the callback and the claim's status",
    onFailure: "rollback",
    remedy: "The synthetic claim was not called back: everything goes back.",
  },
  {
    id: "enable-auto-submit",
    title: "Enable auto-submit",
    onFailure: "stop",
    remedy: `npm run auto-submit:status says what holds it; ${again}.`,
  },
  {
    id: "first-ten",
    title: "Watch the first ten claims",
    onFailure: "stop",
    remedy:
      "Stop and evaluate (npm run auto-submit:status, npm run relay:dead-letters). Then npm run cutover again looks again, with --accept N --reason TEXT it goes on without N of the ten, npm run rollback takes everything back.",
  },
];

const ABOUT_A_CUTOVER = /npm run (cutover|rollback)\b/g;

/** What to do after a step stopped, as commands that ask the environment it is about. */
export const remedyOf = ({ remedy }: Step, environment: EnvironmentName): string =>
  remedyIn(
    environment === "local" ? remedy : remedy.replaceAll(ABOUT_A_CUTOVER, `npm run $1 -- --env ${environment}`),
    environment,
  );

export const stepOf = (id: StepId): Step => {
  const found = STEPS.find((step) => step.id === id);
  if (found === undefined) throw new Error(`there is no step ${id}`);
  return found;
};

export interface StepRecord {
  readonly step: StepId;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly status: "passed" | "failed";
  readonly because?: string;
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** What is known of the first claims, whichever run saw it. */
export interface FirstClaims {
  /** requestIdHash of each, oldest first, at most as many as are watched. */
  readonly claims: readonly string[];
  /** Those that were in the ledger, anchored and called back. */
  readonly through: readonly string[];
  /** What auto-submit had given up when the first of them was waited for. */
  readonly givenUpBefore: number;
  /** As of the newest look. */
  readonly failed: number;
}

/** A person's word that the cutover goes on without some of the first ten claims. */
export interface Acceptance {
  /** How many of the ten need not get through. */
  readonly claims: number;
  readonly reason: string;
  readonly by: string;
  readonly at: string;
}

export interface Cutover {
  readonly environment: string;
  readonly commit: string;
  readonly startedAt: string;
  readonly records: readonly StepRecord[];
  readonly firstTen?: FirstClaims;
  readonly accepted?: Acceptance;
  readonly watched?: { readonly from: string; readonly to: string; readonly readings: number };
  readonly rollback?: { readonly because: string; readonly at: string; readonly complete?: boolean };
}

export type CutoverAction =
  | { readonly type: "step"; readonly step: Step }
  /** All steps passed: the triggers are watched until their time is over. */
  | { readonly type: "watch" }
  | { readonly type: "rollback"; readonly because: string }
  | { readonly type: "stopped"; readonly step: Step; readonly because: string }
  | { readonly type: "rolled-back"; readonly because: string }
  /** To another process, which takes everything back. */
  | { readonly type: "left"; readonly because: string }
  | { readonly type: "passed" };

/** The newest word on a step counts: one that failed is tried again by a later run. */
const lastOf = (cutover: Cutover, id: StepId): StepRecord | undefined =>
  cutover.records.findLast(({ step }) => step === id);

/** @param again a later run: a step that stopped the one before is next, instead of the end. */
export function nextOf(cutover: Cutover, again = false): CutoverAction {
  if (cutover.rollback !== undefined) {
    const { because, complete } = cutover.rollback;
    return complete === true ? { type: "rolled-back", because } : { type: "rollback", because };
  }
  for (const step of STEPS) {
    const record = lastOf(cutover, step.id);
    if (record === undefined) return { type: "step", step };
    if (record.status === "passed") continue;
    const because = record.because ?? "failed";
    return again ? { type: "step", step } : { type: "stopped", step, because };
  }
  return cutover.watched === undefined ? { type: "watch" } : { type: "passed" };
}

/** The newest time that auto-submit was switched on, epoch ms; undefined: it was not. */
export function enabledAt(cutover: Cutover): number | undefined {
  const record = cutover.records.findLast(({ step, status }) => step === "enable-auto-submit" && status === "passed");
  return record === undefined ? undefined : Date.parse(record.endedAt);
}

/**
 * Until when the rollback triggers are watched although the cutover has stopped: claims may flow from the moment on that auto-submit
 * was tried. @returns epoch ms; undefined: nothing of the kind was begun.
 */
export function watchedUntil(cutover: Cutover, compress: number): number | undefined {
  const tried = lastOf(cutover, "enable-auto-submit");
  return tried === undefined ? undefined : (enabledAt(cutover) ?? Date.parse(tried.endedAt)) + WATCH_MS / compress;
}

/** @param triggered a rollback trigger was what failed it. */
export function recordStep(cutover: Cutover, record: StepRecord, triggered: boolean): Cutover {
  const next = { ...cutover, records: [...cutover.records, record] };
  if (record.status === "passed" || (stepOf(record.step).onFailure === "stop" && !triggered)) return next;
  return { ...next, rollback: { because: record.because ?? record.step, at: record.endedAt } };
}

export interface TriggerReading {
  /** Epoch ms. */
  readonly at: number;
  readonly requests: number;
  readonly serverErrors: number;
  readonly deadLetters: number;
  /** undefined: not asked or not answered. */
  readonly intact: boolean | undefined;
  readonly hubHealthy: boolean;
  /** Of the first ten organic claims. */
  readonly claimsFailed: number;
}

export type Verdict =
  | { readonly type: "well" }
  /** A person looks; unless it is mended by then, it rolls back. */
  | { readonly type: "evaluate"; readonly because: string; readonly until: number }
  | { readonly type: "rollback"; readonly because: string };

const MINUTE = 60_000;
/** How long after the cutover's last step its triggers are watched. */
export const WATCH_MS = 4 * 60 * MINUTE;
const ERRORS_FOR = 5 * MINUTE;
const ERRORS_OVER = 0.05;
const ENOUGH = 20;
const UNHEALTHY_FOR = 2 * MINUTE;
const DEAD_WITHIN = 60 * MINUTE;
const DEAD_OVER = 10;
const DEAD_EVALUATE = 15 * MINUTE;
const FAILED_OVER = 2;

/**
 * The rollback triggers over what was read, oldest first: dead letters are counted from the first reading on.
 * @param enabled when auto-submit was switched on, epoch ms: the first hour begins there, and all before it counts; undefined: it was not.
 * @param compress divides every length of time, for a rehearsal.
 */
export function judge(
  readings: readonly TriggerReading[],
  now: number,
  enabled: number | undefined,
  compress = 1,
): Verdict {
  const [first, last] = [readings[0], readings.at(-1)];
  if (first === undefined || last === undefined) return { type: "well" };
  if (readings.some(({ intact }) => intact === false))
    return { type: "rollback", because: "the ledger does not verify" };
  if (last.claimsFailed > FAILED_OVER)
    return { type: "rollback", because: `${last.claimsFailed} of the first ten claims failed` };
  const unhealthy = readings.slice(readings.findLastIndex(({ hubHealthy }) => hubHealthy) + 1);
  const [since] = unhealthy;
  if (since !== undefined && last.at - since.at > UNHEALTHY_FOR / compress)
    return { type: "rollback", because: `the hub was unhealthy for ${Math.round((last.at - since.at) / 1_000)} s` };
  const before = readings.findLast(({ at }) => last.at - at >= ERRORS_FOR / compress);
  if (before !== undefined) {
    const requests = last.requests - before.requests;
    const share = (last.serverErrors - before.serverErrors) / Math.max(1, requests);
    if (requests >= ENOUGH && share > ERRORS_OVER)
      return { type: "rollback", because: `${(share * 100).toFixed(1)} % of requests were answered 5xx` };
  }
  const over = readings.findLast(({ deadLetters }) => deadLetters - first.deadLetters <= DEAD_OVER);
  const risen = readings.find(({ at }) => over === undefined || at > over.at);
  if (risen !== undefined && (enabled === undefined || risen.at - enabled <= DEAD_WITHIN / compress)) {
    const because = `${last.deadLetters - first.deadLetters} dead letters`;
    const until = risen.at + DEAD_EVALUATE / compress;
    return now > until ? { type: "rollback", because } : { type: "evaluate", because, until };
  }
  return { type: "well" };
}
