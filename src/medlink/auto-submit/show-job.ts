/** A job as the API shows it. */
import { z } from "@hono/zod-openapi";
import { CLAIM_TYPES } from "../claims/claim.ts";
import { iso } from "../page-query.ts";
import { JOB_STATES, type Job } from "./job.ts";

export const jobSchema = z
  .object({
    jobId: z.string(),
    claimId: z.string(),
    claimType: z.enum(CLAIM_TYPES),
    state: z.enum(JOB_STATES),
    attempt: z.number().int(),
    maxAttempts: z.number().int(),
    nextAttemptAt: z.string().nullable(),
    createdAt: z.string(),
    updatedAt: z.string(),
    lastError: z.string().nullable(),
    lastUpstreamStatus: z.number().int().nullable(),
    requestId: z.string().nullable(),
    requestIdHash: z.string().nullable(),
  })
  .openapi("AutoSubmitJob");

export const showJob = (job: Job): z.output<typeof jobSchema> => ({
  jobId: job.jobId,
  claimId: job.claimId,
  claimType: job.claimType,
  state: job.state,
  attempt: job.attempt,
  maxAttempts: job.maxAttempts,
  nextAttemptAt: job.nextAttemptAt === undefined ? null : iso(job.nextAttemptAt),
  createdAt: iso(job.createdAt),
  updatedAt: iso(job.updatedAt),
  lastError: job.lastError ?? null,
  lastUpstreamStatus: job.lastUpstreamStatus ?? null,
  requestId: job.requestId ?? null,
  requestIdHash: job.requestIdHash ?? null,
});
