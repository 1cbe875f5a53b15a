/**
 * A job that submits one claim to core: queued, running, retrying, then succeeded or failed. `decide` says what a command
 * makes of a job, `evolve` applies it. An attempt is counted when it starts, so a crash in the middle has spent it; one that
 * core never answered is given back.
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
  /** Attempts without an answer, while core answers other jobs, after which a person must look. */
  readonly maxDeferrals: number;
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
  /** When its last attempt began. */
  readonly startedAt: number | undefined;
  /** Attempts that did not reach core while it answered others; they are not among `attempt`. */
  readonly deferrals: number;
}

/** What one attempt came to. */
export type AttemptOutcome =
  | { readonly type: "accepted"; readonly requestId: string; readonly requestIdHash: string; readonly status: number }
  /** `error` is a closed code; `status` undefined when core was not asked. */
  | { readonly type: "refused"; readonly error: string; readonly status: number | undefined }
  /** Core could not be reached: no answer of its own. `status` is that of what stands before it. */
  | { readonly type: "unreached"; readonly error: string; readonly status: number | undefined };

export type JobCommand =
  | { readonly type: "start" }
  | {
      readonly type: "finish";
      readonly attempt: number;
      readonly outcome: AttemptOutcome;
      /** The breaker toward core is open: an attempt that did not reach core says nothing of this job. */
      readonly coreDown: boolean;
    }
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
  | {
      readonly type: "deferred";
      readonly nextAttemptAt: number;
      readonly error: string;
      readonly status: number | undefined;
      readonly deferrals: number;
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
    startedAt: undefined,
    deferrals: 0,
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
      return event(
        outcome.type === "unreached"
          ? afterSilence(job, outcome, command.coreDown, limits, now)
          : afterFailure(job, outcome.error, outcome.status, now + retryDelayMs(job.attempt, limits)),
      );
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

/** An outage of core spends no attempt. A job that stays without an answer while core answers others does end. */
function afterSilence(
  job: Job,
  { error, status }: Pick<Extract<AttemptOutcome, { type: "unreached" }>, "error" | "status">,
  coreDown: boolean,
  limits: JobLimits,
  now: number,
): JobEvent {
  const deferrals = job.deferrals + (coreDown ? 0 : 1);
  if (deferrals > limits.maxDeferrals) return { type: "failed", error, status };
  return { type: "deferred", nextAttemptAt: now + retryDelayMs(deferrals, limits), error, status, deferrals };
}

export function evolve(job: Job, happened: JobEvent, now: number): Job {
  const next = { ...job, version: job.version + 1, updatedAt: now, leaseUntil: undefined, nextAttemptAt: undefined };
  switch (happened.type) {
    case "started":
      return { ...next, state: "running", attempt: job.attempt + 1, leaseUntil: happened.leaseUntil, startedAt: now };
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
    case "deferred":
      return {
        ...next,
        state: job.attempt > 1 ? "retrying" : "queued",
        attempt: job.attempt - 1,
        nextAttemptAt: happened.nextAttemptAt,
        lastError: happened.error,
        lastUpstreamStatus: happened.status,
        deferrals: happened.deferrals,
      };
    case "failed":
      return { ...next, state: "failed", lastError: happened.error, lastUpstreamStatus: happened.status };
    case "requeued":
      return {
        ...next,
        state: "queued",
        attempt: 0,
        deferrals: 0,
        maxAttempts: happened.maxAttempts,
        nextAttemptAt: happened.nextAttemptAt,
        correlationId: happened.correlationId,
        requestedBy: happened.requestedBy,
      };
  }
}
