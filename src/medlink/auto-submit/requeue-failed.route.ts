import { z } from "@hono/zod-openapi";
import { WHOLE_HUB } from "../audit/audit.store.ts";
import { toldId } from "../audit/trail.ts";
import { clinicInReach, none, ok, staffOperation } from "../operation.edge.ts";
import { encodeCursor } from "../page.ts";
import { cursorSchema } from "../page-query.ts";
import { wakeConsumers } from "./drain.edge.ts";
import { listFailedJobs } from "./jobs.store.ts";
import { REQUEUE_REFUSALS, requeue } from "./requeue.edge.ts";
import { queueRoom } from "./submit.edge.ts";

export const requeueFailed = staffOperation(
  {
    method: "post",
    path: "/api/itrans/auto-submit/requeue",
    summary:
      "Queue failed jobs again, longest failed first: a bounded number a call; go on with nextCursor until it is null",
    roles: ["billing", "admin"],
    params: none,
    body: z.object({
      filter: z
        .object({
          clinicId: z.string().max(64).optional().openapi({ description: "The operator's choice; else one's own" }),
          error: z
            .string()
            .regex(/^[a-z0-9_]{1,60}(:[a-z_]{1,40})?$/)
            .optional()
            .openapi({ description: "A job's lastError, or its part before the colon" }),
          since: z.iso.datetime({ offset: true }).optional().openapi({ description: "Failed at this time or later" }),
        })
        .default({}),
      limit: z.number().int().min(1).max(200).default(100),
      cursor: cursorSchema,
    }),
    trail: ({ body: { filter } }) => ({
      action: "HUB_AUTO_SUBMIT_REQUEUE",
      to: [filter.clinicId === undefined ? WHOLE_HUB : toldId(filter.clinicId)],
    }),
    answers: {
      200: {
        description: "What this call did; nextCursor is null when no failed job is left after it",
        schema: z.object({
          requeued: z.number().int(),
          refused: z.array(z.object({ jobId: z.string(), claimId: z.string(), reason: z.enum(REQUEUE_REFUSALS) })),
          queueFull: z.boolean(),
          nextCursor: z.string().nullable(),
        }),
      },
    },
  },
  async ({ hub, actor, body, correlationId }) => {
    const reach = clinicInReach(actor, body.filter.clinicId);
    if (!reach.ok) return reach.answer;
    const { error, since } = body.filter;
    const filter = { clinicId: reach.clinicId, error, since: since === undefined ? undefined : Date.parse(since) };
    const page = await listFailedJobs(hub.db, filter, { limit: body.limit, after: body.cursor });
    let room = await queueRoom(hub);
    let requeued = 0;
    let seen = body.cursor;
    const refused: { jobId: string; claimId: string; reason: (typeof REQUEUE_REFUSALS)[number] }[] = [];
    let queueFull = false;
    for (const job of page.items) {
      if (room === 0) {
        queueFull = true;
        break;
      }
      const result = await requeue(hub, job, { requestedBy: actor.name, correlationId });
      seen = { createdAt: job.updatedAt, id: job.jobId };
      if (result.type === "requeued") {
        requeued++;
        room--;
      } else {
        refused.push({ jobId: job.jobId, claimId: job.claimId, reason: result.reason });
      }
    }
    if (requeued > 0) await wakeConsumers(hub);
    // Jobs put back have left the list, so a full queue's caller may also begin anew.
    const stoppedAt = seen === undefined ? "" : encodeCursor(seen);
    return ok(200, { requeued, refused, queueFull, nextCursor: queueFull ? stoppedAt : (page.nextCursor ?? null) });
  },
);
