/** A run of reconciliation as it is stored, and what each step makes of it. */
import type { Counts, Position, StepResult } from "./step.ts";

export const RUN_STATES = ["running", "completed", "failed"] as const;

export interface Run extends Position, Counts {
  readonly runId: string;
  readonly kind: "daily" | "custom";
  readonly fromDay: string;
  readonly state: (typeof RUN_STATES)[number];
  readonly startedBy: string;
  /** Epoch ms; items of the day that were not seen since are gone. */
  readonly dayStartedAt: number;
  /** Settlements of ours in the range when it began. */
  readonly expected: number;
  readonly version: number;
  readonly leaseUntil: number;
  readonly dueAt: number;
  /** In a row. */
  readonly failures: number;
  readonly reason: string | null;
  readonly startedAt: number;
  readonly endedAt: number | null;
}

/** Hours of an operator that does not answer. */
export const MAX_FAILURES = 60;
const MAX_WAIT_MS = 600_000;
const MIN_WAIT_MS = 1_000;

/** What a step leaves to be stored; the day that it closed is that of `run`. */
export function afterStep(run: Run, step: StepResult, now: number): Run {
  if (step.type === "waiting") {
    const failures = run.failures + 1;
    if (failures >= MAX_FAILURES) return { ...run, failures, state: "failed", reason: step.reason, endedAt: now };
    // The limiter's own waits are short and no failure of anybody's; what goes on is asked for less and less often.
    const waitMs = Math.max(step.waitMs, MIN_WAIT_MS * 2 ** Math.min(failures - 1, 10));
    return { ...run, failures, reason: step.reason, dueAt: now + Math.min(MAX_WAIT_MS, waitMs) };
  }
  const { counts, position } = step;
  return {
    ...run,
    ...position,
    dayStartedAt: step.dayEnded ? now : run.dayStartedAt,
    ours: run.ours + counts.ours,
    theirs: run.theirs + counts.theirs,
    agreed: run.agreed + counts.agreed,
    inFlight: run.inFlight + counts.inFlight,
    asked: run.asked + counts.asked,
    mismatches: run.mismatches + counts.mismatches,
    failures: 0,
    reason: null,
    dueAt: now + Math.min(MAX_WAIT_MS, step.waitMs),
    ...(step.ended ? ({ state: "completed", endedAt: now } as const) : {}),
  };
}

/** 0 to 1, for a bar: ours that are compared; 1 only at the end. */
export const progressOf = ({ state, ours, expected }: Run): number =>
  state === "completed" ? 1 : expected === 0 ? 0 : Math.min(0.99, ours / expected);

export const reportKey = (ledgerId: string, runId: string): string => `reconciliation/${ledgerId}/${runId}.csv`;
