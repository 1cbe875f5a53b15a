/**
 * A job that submits one claim to core: queued, running, retrying, then succeeded or failed. `decide` says what a command
 * makes of a job, `evolve` applies it. An attempt is counted when it starts, so a crash in the middle has spent it.
 */
import type { ClaimType } from "../claims/claim.ts";

export const JOB_STATES = ["queued", "running", "retrying", "succeeded", "failed"] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface JobLimits {
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** How long an attempt may run before it is taken for crashed; longer than core's timeout. */
  readonly leaseMs: number;
}

export interface Job {
  readonly jobId: string;
  readonly clinicId: string;
  readonly claimId: string;
  readonly claimType: ClaimType;
  readonly state: JobState;
  /** Attempts started so far. */
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly nextAttemptAt: number | undefined;
  readonly leaseUntil: number | undefined;
  readonly lastError: string | undefined;
  readonly lastUpstreamStatus: number | undefined;
  readonly requestId: string | undefined;
  readonly requestIdHash: string | undefined;
  readonly correlationId: string;
  /** The user who asked for it. */
  readonly requestedBy: string;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What one attempt came to. */
export type AttemptOutcome =
  | { readonly type: "accepted"; readonly requestId: string; readonly requestIdHash: string; readonly status: number }
  /** `error` is a closed code; `status` undefined when there was no answer. */
  | { readonly type: "refused"; readonly error: string; readonly status: number | undefined };

export type JobCommand =
  | { readonly type: "start" }
  | { readonly type: "finish"; readonly attempt: number; readonly outcome: AttemptOutcome }
  | { readonly type: "recover" }
  | {
      readonly type: "requeue";
      readonly maxAttempts: number;
      readonly correlationId: string;
      readonly requestedBy: string;
    };

export type JobEvent =
  | { readonly type: "started"; readonly leaseUntil: number }
  | { readonly type: "succeeded"; readonly requestId: string; readonly requestIdHash: string; readonly status: number }
  | {
      readonly type: "retryScheduled";
      readonly nextAttemptAt: number;
      readonly error: string;
      readonly status: number | undefined;
    }
  | { readonly type: "failed"; readonly error: string; readonly status: number | undefined }
  | {
      readonly type: "requeued";
      readonly maxAttempts: number;
      readonly nextAttemptAt: number;
      readonly correlationId: string;
      readonly requestedBy: string;
    };

export type JobDecision =
  | { readonly type: "event"; readonly event: JobEvent }
  /** Nothing to do: ended already, not due yet, someone else's attempt. `dueInMs` when it only came early. */
  | { readonly type: "ignored"; readonly dueInMs?: number };

export const isLive = (state: JobState): boolean => state === "queued" || state === "running" || state === "retrying";

/** The gap after attempt `attempt` (1 is the first): base * 2^(attempt-1), capped. Milliseconds. */
export const retryDelayMs = (attempt: number, limits: Pick<JobLimits, "baseDelayMs" | "maxDelayMs">): number =>
  Math.min(limits.baseDelayMs * 2 ** Math.max(attempt - 1, 0), limits.maxDelayMs);

export function newJob(
  fields: Pick<Job, "jobId" | "clinicId" | "claimId" | "claimType" | "correlationId" | "requestedBy" | "maxAttempts">,
  now: number,
): Job {
  return {
    ...fields,
    state: "queued",
    attempt: 0,
    nextAttemptAt: now,
    leaseUntil: undefined,
    lastError: undefined,
    lastUpstreamStatus: undefined,
    requestId: undefined,
    requestIdHash: undefined,
    version: 0,
    createdAt: now,
    updatedAt: now,
  };
}

const event = (made: JobEvent): JobDecision => ({ type: "event", event: made });

export function decide(job: Job, command: JobCommand, limits: JobLimits, now: number): JobDecision {
  switch (command.type) {
    case "start": {
      if (job.state !== "queued" && job.state !== "retrying") return { type: "ignored" };
      const dueInMs = (job.nextAttemptAt ?? 0) - now;
      if (dueInMs > 0) return { type: "ignored", dueInMs };
      return event({ type: "started", leaseUntil: now + limits.leaseMs });
    }
    case "finish": {
      const { outcome } = command;
      // A success counts whoever brings it: core has the claim. A failure counts only from the attempt that is running.
      if (outcome.type === "accepted") {
        if (job.state === "succeeded") return { type: "ignored" };
        return event({
          type: "succeeded",
          requestId: outcome.requestId,
          requestIdHash: outcome.requestIdHash,
          status: outcome.status,
        });
      }
      if (job.state !== "running" || job.attempt !== command.attempt) return { type: "ignored" };
      return event(afterFailure(job, outcome.error, outcome.status, now + retryDelayMs(job.attempt, limits)));
    }
    case "recover":
      if (job.state !== "running" || (job.leaseUntil ?? 0) > now) return { type: "ignored" };
      return event(afterFailure(job, "crashed", undefined, now));
    case "requeue":
      if (job.state !== "failed") return { type: "ignored" };
      return event({
        type: "requeued",
        maxAttempts: command.maxAttempts,
        nextAttemptAt: now,
        correlationId: command.correlationId,
        requestedBy: command.requestedBy,
      });
  }
}

function afterFailure(job: Job, error: string, status: number | undefined, nextAttemptAt: number): JobEvent {
  return job.attempt >= job.maxAttempts
    ? { type: "failed", error, status }
    : { type: "retryScheduled", nextAttemptAt, error, status };
}

export function evolve(job: Job, happened: JobEvent, now: number): Job {
  const next = { ...job, version: job.version + 1, updatedAt: now, leaseUntil: undefined, nextAttemptAt: undefined };
  switch (happened.type) {
    case "started":
      return { ...next, state: "running", attempt: job.attempt + 1, leaseUntil: happened.leaseUntil };
    case "succeeded":
      return {
        ...next,
        state: "succeeded",
        lastError: undefined,
        lastUpstreamStatus: happened.status,
        requestId: happened.requestId,
        requestIdHash: happened.requestIdHash,
      };
    case "retryScheduled":
      return {
        ...next,
        state: "retrying",
        nextAttemptAt: happened.nextAttemptAt,
        lastError: happened.error,
        lastUpstreamStatus: happened.status,
      };
    case "failed":
      return { ...next, state: "failed", lastError: happened.error, lastUpstreamStatus: happened.status };
    case "requeued":
      return {
        ...next,
        state: "queued",
        attempt: 0,
        maxAttempts: happened.maxAttempts,
        nextAttemptAt: happened.nextAttemptAt,
        correlationId: happened.correlationId,
        requestedBy: happened.requestedBy,
      };
  }
}
