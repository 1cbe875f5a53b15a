/** Puts a failed job back into the queue, if its claim still wants submitting. */
import { isTaken } from "../batch.store.ts";
import { isSubmittable } from "../claims/claim-state.ts";
import { findClaim } from "../claims/claims.store.ts";
import type { Hub } from "../hub.edge.ts";
import type { Job } from "./job.ts";
import { changeJob } from "./submit.edge.ts";

export const REQUEUE_REFUSALS = ["not_failed", "already_submitted", "other_job_live"] as const;

export type Requeued =
  | { readonly type: "requeued"; readonly job: Job }
  | { readonly type: "refused"; readonly reason: (typeof REQUEUE_REFUSALS)[number] };

export async function requeue(
  hub: Hub,
  job: Job,
  by: { readonly requestedBy: string; readonly correlationId: string },
): Promise<Requeued> {
  if (job.state !== "failed") return { type: "refused", reason: "not_failed" };
  const claim = await findClaim(hub.db, hub.fields, job.clinicId, job.claimId);
  if (claim === undefined || !isSubmittable(claim)) return { type: "refused", reason: "already_submitted" };
  try {
    const maxAttempts = hub.settings.ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS;
    const change = await changeJob(hub, job.jobId, { type: "requeue", maxAttempts, ...by });
    return change.type === "changed"
      ? { type: "requeued", job: change.job }
      : { type: "refused", reason: "not_failed" };
  } catch (thrown) {
    if (!isTaken(thrown, "auto_submit_jobs.claim_id")) throw thrown;
    return { type: "refused", reason: "other_job_live" };
  }
}
