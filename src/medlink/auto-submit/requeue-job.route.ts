import { z } from "@hono/zod-openapi";
import { toldId } from "../audit/trail.ts";
import { none, notFound, ok, refuse, staffOperation } from "../operation.edge.ts";
import { findJob } from "./jobs.store.ts";
import { type Requeued, requeue } from "./requeue.edge.ts";
import { jobSchema, showJob } from "./show-job.ts";
import { queueRoom } from "./submit.edge.ts";
import { wake } from "./wake.edge.ts";

const WHY: Readonly<Record<Extract<Requeued, { type: "refused" }>["reason"], string>> = {
  not_failed: "Only a failed job can be queued again.",
  already_submitted: "Its claim is submitted already.",
  other_job_live: "Its claim has another job under way.",
};

export const requeueJob = staffOperation(
  {
    method: "post",
    path: "/api/itrans/auto-submit/jobs/{jobId}/requeue",
    summary: "Queue a failed job again, with all its attempts",
    roles: ["billing", "admin"],
    params: z.object({ jobId: z.string() }),
    body: none,
    trail: ({ params }) => ({ action: "HUB_AUTO_SUBMIT_REQUEUE", to: [toldId(params.jobId)] }),
    answers: { 200: { description: "The job, queued", schema: z.object({ job: jobSchema }) } },
  },
  async ({ hub, actor, params, correlationId }) => {
    const job = await findJob(hub.db, params.jobId);
    if (job === undefined || (actor.clinicId !== undefined && job.clinicId !== actor.clinicId)) return notFound("job");
    if ((await queueRoom(hub)) === 0) return refuse("overloaded", "The queue is full. Try again in a minute.");
    const requeued = await requeue(hub, job, { requestedBy: actor.name, correlationId });
    if (requeued.type === "refused") return refuse("conflict", WHY[requeued.reason]);
    await wake(hub, job.jobId);
    return ok(200, { job: showJob(requeued.job) });
  },
);
