import { z } from "@hono/zod-openapi";
import { findLatestJob } from "../auto-submit/jobs.store.ts";
import { requeue } from "../auto-submit/requeue.edge.ts";
import { queueClaim, queueRoom, type Submission, showSubmission } from "../auto-submit/submit.edge.ts";
import { wake } from "../auto-submit/wake.edge.ts";
import { none, notFound, ok, operation, refuse } from "../operation.edge.ts";
import { isSubmittable } from "./claim-state.ts";
import { findClaim } from "./claims.store.ts";
import { claimSchema, showClaim, submissionSchema } from "./show-claim.ts";

export const requeueClaim = operation(
  {
    method: "post",
    path: "/api/claims/{claimId}/requeue",
    summary: "Queue a claim again whose submission failed, with all its attempts",
    roles: ["billing", "admin"],
    params: z.object({ claimId: z.string() }),
    body: none,
    answers: {
      202: {
        description: "Queued, or queued before",
        schema: claimSchema.extend({ itransSubmission: submissionSchema }),
      },
    },
  },
  async ({ hub, user, params, correlationId }) => {
    const claim = await findClaim(hub.db, hub.fields, user.clinicId, params.claimId);
    if (claim === undefined) return notFound("claim");
    if (!isSubmittable(claim)) return refuse("conflict", "This claim is submitted already.");
    const failed = await findLatestJob(hub.db, user.clinicId, claim.claimId);
    let itransSubmission: Submission | undefined;
    // A failed job is forgotten after a day; the claim then gets a new one.
    if (failed?.state === "failed" && (await queueRoom(hub)) > 0) {
      const again = await requeue(hub, failed, { requestedBy: user.userId, correlationId });
      if (again.type === "requeued") {
        await wake(hub, again.job.jobId);
        itransSubmission = showSubmission(again.job);
      }
    }
    itransSubmission ??= await queueClaim(hub, claim, { userId: user.userId, correlationId }, wake);
    if (itransSubmission === undefined) return refuse("conflict", "The claim changed meanwhile. Try again.");
    if (!itransSubmission.queued) {
      return refuse("overloaded", "The queue is full. Try again in a minute.", { retryAfterSeconds: 60 });
    }
    return ok(202, { ...showClaim(claim), itransSubmission });
  },
);
