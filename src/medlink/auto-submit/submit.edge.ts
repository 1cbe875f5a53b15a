/**
 * The life of auto-submit jobs around their pure state machine: put one in the queue, run it, apply what came of it. A
 * change of a job and what it means for the claim are one batch.
 */
import { auditInsert } from "../audit/audit.store.ts";
import { DECIDE_AGAIN_LIMIT, isVersionMoved } from "../batch.store.ts";
import type { Claim } from "../claims/claim.ts";
import { statusAfterFailure, statusAfterSubmission } from "../claims/claim-state.ts";
import {
  type ClaimRow,
  claimOfJobSelect,
  claimSelect,
  claimStateUpdate,
  findClaim,
  queuedAtSelect,
  readClaimRow,
  timelineInsert,
} from "../claims/claims.store.ts";
import { offchainPayload } from "../claims/offchain-payload.ts";
import { batchWithEvents } from "../claims/write-events.edge.ts";
import type { Hub } from "../hub.edge.ts";
import { newId } from "../ids.ts";
import { insurerOfClaimSelect } from "../records/records.store.ts";
import { LEASE_MARGIN_MS, MAX_DEFERRALS } from "../settings.ts";
import { type BreakerRow, breakerSelect, readBreakerRow, type StoredBreaker } from "./core-breaker.store.ts";
import {
  type AttemptOutcome,
  decide,
  evolve,
  type Job,
  type JobCommand,
  type JobEvent,
  type JobLimits,
  newJob,
} from "./job.ts";
import { countLiveJobs, findLiveJob, type JobRow, jobInsert, jobSelect, jobUpdate, readJobRow } from "./jobs.store.ts";
import { readSwitches } from "./settings.store.ts";
import { readSubmission } from "./submission.ts";
import { isOn } from "./switches.ts";

const ACTOR = "auto-submit";

export const jobLimits = (hub: Hub): JobLimits => ({
  maxAttempts: hub.settings.ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS,
  baseDelayMs: hub.settings.ITRANS_AUTO_SUBMIT_BASE_DELAY_MS,
  maxDelayMs: hub.settings.ITRANS_AUTO_SUBMIT_MAX_DELAY_MS,
  leaseMs: hub.settings.ITRANS_API_TIMEOUT_MS + LEASE_MARGIN_MS,
  maxDeferrals: MAX_DEFERRALS,
});

export const isAutoSubmitOn = async (hub: Hub, clinicId: string): Promise<boolean> =>
  isOn({ ...(await readSwitches(hub.db, clinicId)), setting: hub.settings.ITRANS_AUTO_SUBMIT_ENABLED });

/** A hint wakes a consumer for whatever is due; the job it names only says why. Never fails: the sweep sends more. */
export async function sendHint(hub: Hub, jobId: string, delayMs = 0): Promise<void> {
  try {
    await hub.queue.send({ jobId }, { delaySeconds: Math.ceil(delayMs / 1_000) });
  } catch {
    hub.log("warn", "auto-submit.hint-not-sent", { jobId });
  }
}

/** What `POST /api/claims` says of a claim's way to core. */
export type Submission =
  | {
      readonly status: Job["state"];
      readonly queued: true;
      readonly jobId: string;
      readonly attempt: number;
      readonly maxAttempts: number;
    }
  | { readonly status: "rejected"; readonly queued: false; readonly reason: "queue_full" };

export const showSubmission = (job: Job): Submission => ({
  status: job.state,
  queued: true,
  jobId: job.jobId,
  attempt: job.attempt,
  maxAttempts: job.maxAttempts,
});

/** The statements that queue a claim, for a batch; the first one's changes tell whether the job was taken. */
export function queueStatements(
  hub: Hub,
  claim: Pick<Claim, "claimId" | "clinicId" | "type" | "status">,
  by: { readonly userId: string; readonly correlationId: string },
): { readonly job: Job; readonly statements: readonly [D1PreparedStatement, ...D1PreparedStatement[]] } {
  const now = hub.now();
  const job = newJob(
    {
      jobId: newId("job", hub.random),
      clinicId: claim.clinicId,
      claimId: claim.claimId,
      claimType: claim.type,
      correlationId: by.correlationId,
      requestedBy: by.userId,
      maxAttempts: hub.settings.ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS,
    },
    now,
  );
  const timeline = timelineInsert(
    hub.db,
    {
      claimId: claim.claimId,
      clinicId: claim.clinicId,
      kind: "queued",
      status: claim.status,
      actor: by.userId,
      at: now,
    },
    job.jobId,
  );
  return { job, statements: [jobInsert(hub.db, job, hub.settings.ITRANS_AUTO_SUBMIT_QUEUE_LIMIT), timeline] };
}

/**
 * Queues a claim that exists. A claim with a live job keeps it: asking twice is asking once. The claim's version moves
 * with it, so that an edit decided before the job was there fails: what is sent must not change between attempts.
 * @param wake called when there is a job to run; without it the caller wakes for many.
 * @returns undefined when the claim changed since it was read.
 */
export async function queueClaim(
  hub: Hub,
  claim: Claim,
  by: { readonly userId: string; readonly correlationId: string },
  wake?: (hub: Hub, jobId: string) => Promise<void>,
): Promise<Submission | undefined> {
  const { job, statements } = queueStatements(hub, claim, by);
  let inserted: D1Result | undefined;
  try {
    const touched = { ...claim, version: claim.version + 1, updatedAt: job.createdAt };
    [inserted] = await batchWithEvents(hub, [...statements, claimStateUpdate(hub.db, touched, claim)]);
  } catch (thrown) {
    if (!isVersionMoved(thrown)) throw thrown;
    return undefined;
  }
  if (inserted?.meta.changes === 1) {
    await wake?.(hub, job.jobId);
    return showSubmission(job);
  }
  const live = await findLiveJob(hub.db, claim.clinicId, claim.claimId);
  return live === undefined ? { status: "rejected", queued: false, reason: "queue_full" } : showSubmission(live);
}

export type JobChange =
  | { readonly type: "changed"; readonly job: Job; readonly event: JobEvent }
  | { readonly type: "ignored"; readonly job: Job | undefined; readonly dueInMs?: number | undefined };

/** A job and its claim as they stand. */
export interface JobWithClaim {
  readonly job: Job;
  /** undefined: erased. */
  readonly claim: Claim | undefined;
  /** When the claim was queued first. */
  readonly queuedAt: number | undefined;
  readonly breaker: StoredBreaker;
}

/** One way to the database. */
export async function readJobWithClaim(hub: Hub, jobId: string): Promise<JobWithClaim | undefined> {
  const { db } = hub;
  const [jobs, claims, queued, breakers] = await db.batch<
    JobRow & ClaimRow & { readonly queuedAt: number | null } & BreakerRow
  >([jobSelect(db, jobId), claimOfJobSelect(db, jobId), queuedAtSelect(db, jobId), breakerSelect(db)]);
  const row = jobs?.results[0];
  if (row === undefined) return undefined;
  return {
    job: readJobRow(row),
    claim: await readClaimRow(hub.fields, claims),
    queuedAt: queued?.results[0]?.queuedAt ?? undefined,
    breaker: readBreakerRow(breakers?.results[0]),
  };
}

/**
 * Decides and writes; when another writer was faster, reads and decides again.
 * @param read what the caller has just read.
 */
export async function changeJob(hub: Hub, jobId: string, command: JobCommand, read?: JobWithClaim): Promise<JobChange> {
  for (let round = 0; round < DECIDE_AGAIN_LIMIT; round++) {
    const whole = (round === 0 ? read : undefined) ?? (await readJobWithClaim(hub, jobId));
    if (whole === undefined) return { type: "ignored", job: undefined };
    const { job } = whole;
    const now = hub.now();
    const decision = decide(job, command, jobLimits(hub), now);
    if (decision.type === "ignored") return { type: "ignored", job, dueInMs: decision.dueInMs };
    const { event } = decision;
    const next = evolve(job, event, now);
    try {
      await batchWithEvents(hub, [jobUpdate(hub.db, next), ...(await claimStatements(hub, next, whole.claim, event))]);
      if (event.type === "succeeded" && whole.claim !== undefined && whole.queuedAt !== undefined) {
        hub.measure.observe("medlink_claim_submission_seconds", {}, (now - whole.queuedAt) / 1_000);
      }
      return { type: "changed", job: next, event };
    } catch (thrown) {
      if (!isVersionMoved(thrown)) throw thrown;
    }
  }
  throw new Error("a job changed too often to be written");
}

/** What a job's event means for its claim: state, timeline, audit. */
async function claimStatements(
  hub: Hub,
  job: Job,
  claim: Claim | undefined,
  event: JobEvent,
): Promise<readonly D1PreparedStatement[]> {
  if (event.type === "started" || event.type === "deferred" || claim === undefined) return [];
  const at = job.updatedAt;
  const entry = { claimId: claim.claimId, clinicId: claim.clinicId, actor: ACTOR, at };
  const moved = { ...claim, version: claim.version + 1, updatedAt: at };
  const audit = (action: string, actor: string, detail: string | undefined) =>
    auditInsert(hub.db, {
      clinicId: claim.clinicId,
      actor,
      action,
      subject: claim.claimId,
      detail,
      correlationId: job.correlationId,
      at,
    });
  switch (event.type) {
    case "succeeded": {
      const status = statusAfterSubmission(claim);
      const { requestId, requestIdHash } = event;
      return [
        claimStateUpdate(hub.db, { ...moved, status, requestId, requestIdHash }, claim),
        timelineInsert(hub.db, { ...entry, kind: "submissionAccepted", status }),
        ...(await supersededStatements(hub, claim, at)),
        audit("claim.submitted", ACTOR, undefined),
      ];
    }
    case "retryScheduled":
      return [timelineInsert(hub.db, { ...entry, kind: "attemptFailed", status: claim.status, detail: event.error })];
    case "failed": {
      const status = statusAfterFailure(claim);
      return [
        claimStateUpdate(hub.db, { ...moved, status }, claim),
        timelineInsert(hub.db, { ...entry, kind: "submissionFailed", status, detail: event.error }),
        audit("autoSubmit.failed", ACTOR, event.error),
      ];
    }
    case "requeued":
      return [
        claimStateUpdate(hub.db, moved, claim),
        timelineInsert(hub.db, { ...entry, actor: event.requestedBy, kind: "queued", status: claim.status }),
        audit("autoSubmit.requeued", event.requestedBy, undefined),
      ];
  }
}

/** Core has taken a correction: the claim that it supersedes says so too, if it is still there. */
async function supersededStatements(hub: Hub, claim: Claim, at: number): Promise<readonly D1PreparedStatement[]> {
  if (claim.corrects === undefined) return [];
  const corrected = await findClaim(hub.db, hub.fields, claim.clinicId, claim.corrects.claimId);
  if (corrected === undefined) return [];
  const { claimId, clinicId, status } = corrected;
  return [
    timelineInsert(hub.db, { claimId, clinicId, kind: "corrected", status, actor: ACTOR, detail: claim.claimId, at }),
  ];
}

/** Asks core to take the claim of a job that was started. */
export async function attempt(hub: Hub, job: Job): Promise<AttemptOutcome> {
  const [claims, insurers] = await hub.db.batch<ClaimRow & { readonly insurerAddress: string }>([
    claimSelect(hub.db, job.clinicId, job.claimId),
    insurerOfClaimSelect(hub.db, job.clinicId, job.claimId),
  ]);
  const claim = await readClaimRow(hub.fields, claims);
  const insurer = insurers?.results[0];
  if (claim === undefined || insurer === undefined) {
    return { type: "refused", error: "claim_incomplete", status: undefined };
  }
  const answer = await hub.core.call({
    method: "POST",
    path: claim.type === "claim" ? "/workflow/claims" : "/workflow/preauths",
    surface: "workflow",
    body: {
      insurerAddress: insurer.insurerAddress,
      ...hub.core.sign(offchainPayload(claim)),
      externalRequestId: claim.claimId,
      ...(claim.corrects === undefined ? {} : { corrects: claim.corrects.requestIdHash }),
      ...(claim.corrects?.incidentTicket === undefined ? {} : { incidentTicket: claim.corrects.incidentTicket }),
    },
    correlationId: job.correlationId,
  });
  switch (answer.type) {
    case "answered":
      return readSubmission(answer);
    case "timeout":
      return { type: "unreached", error: "upstream_timeout", status: undefined };
    case "unreachable":
      return { type: "unreached", error: "upstream_unreachable", status: undefined };
  }
}

/** How many further jobs are taken now. */
export const queueRoom = async (hub: Hub): Promise<number> =>
  Math.max(0, hub.settings.ITRANS_AUTO_SUBMIT_QUEUE_LIMIT - (await countLiveJobs(hub.db)));
