import { z } from "@hono/zod-openapi";
import { isTaken } from "../batch.store.ts";
import { isSubmittable } from "../claims/claim-state.ts";
import { findClaim } from "../claims/claims.store.ts";
import { none, notFound, ok, operation, refuse } from "../operation.edge.ts";
import { findJob } from "./jobs.store.ts";
import { jobSchema, showJob } from "./show-job.ts";
import { changeJob, isQueueFull, sendHint } from "./submit.edge.ts";

export const requeueJob = operation(
  {
    method: "post",
    path: "/api/itrans/auto-submit/jobs/{jobId}/requeue",
    summary: "Queue a failed job again, with all its attempts",
    params: z.object({ jobId: z.string() }),
    body: none,
    answers: { 200: { description: "The job, queued", schema: z.object({ job: jobSchema }) } },
  },
  async ({ hub, user, params, correlationId }) => {
    const job = await findJob(hub.db, params.jobId);
    if (job === undefined || job.clinicId !== user.clinicId) return notFound("job");
    if (job.state !== "failed") return refuse("conflict", "Only a failed job can be queued again.");
    const claim = await findClaim(hub.db, hub.fields, user.clinicId, job.claimId);
    if (claim === undefined || !isSubmittable(claim)) return refuse("conflict", "Its claim is submitted already.");
    if (await isQueueFull(hub)) return refuse("overloaded", "The queue is full. Try again in a minute.");
    const { userId } = user;
    const maxAttempts = hub.settings.ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS;
    try {
      const change = await changeJob(hub, job.jobId, {
        type: "requeue",
        maxAttempts,
        correlationId,
        requestedBy: userId,
      });
      if (change.type === "ignored") return refuse("conflict", "Only a failed job can be queued again.");
      await sendHint(hub, job.jobId);
      return ok(200, { job: showJob(change.job) });
    } catch (thrown) {
      if (!isTaken(thrown, "auto_submit_jobs.claim_id")) throw thrown;
      return refuse("conflict", "Its claim has another job under way.");
    }
  },
);
