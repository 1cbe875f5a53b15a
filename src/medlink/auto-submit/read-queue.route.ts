import { z } from "@hono/zod-openapi";
import { none, ok, operation } from "../operation.edge.ts";
import { countJobs, listJobs } from "./jobs.store.ts";
import { jobCountsSchema, showCounts } from "./read-status.route.ts";
import { jobSchema, showJob } from "./show-job.ts";

const count = z.number().int();

export const readQueue = operation(
  {
    method: "get",
    path: "/api/itrans/auto-submit/queue",
    summary: "The clinic's auto-submit jobs, newest first, with the limits in force",
    params: z.object({ limit: z.coerce.number().int().min(1).max(200).default(50) }),
    body: none,
    answers: {
      200: {
        description: "Limits, counts by state, jobs",
        schema: z.object({
          config: z.object({ maxAttempts: count, baseDelayMs: count, maxDelayMs: count, queueLimit: count }),
          stats: jobCountsSchema,
          jobs: z.array(jobSchema),
        }),
      },
    },
  },
  async ({ hub, user, params }) => {
    const [counts, jobs] = await Promise.all([
      countJobs(hub.db, user.clinicId),
      listJobs(hub.db, user.clinicId, params.limit),
    ]);
    const { settings } = hub;
    return ok(200, {
      config: {
        maxAttempts: settings.ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS,
        baseDelayMs: settings.ITRANS_AUTO_SUBMIT_BASE_DELAY_MS,
        maxDelayMs: settings.ITRANS_AUTO_SUBMIT_MAX_DELAY_MS,
        queueLimit: settings.ITRANS_AUTO_SUBMIT_QUEUE_LIMIT,
      },
      stats: showCounts(counts),
      jobs: jobs.map(showJob),
    });
  },
);
