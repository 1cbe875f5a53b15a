import { and, desc, eq, inArray } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { autoSubmitJobs } from "../schema.ts";
import type { Job, JobState } from "./job.ts";

const readRow = (row: typeof autoSubmitJobs.$inferSelect): Job => ({
  ...row,
  nextAttemptAt: row.nextAttemptAt ?? undefined,
  leaseUntil: row.leaseUntil ?? undefined,
  lastError: row.lastError ?? undefined,
  lastUpstreamStatus: row.lastUpstreamStatus ?? undefined,
  requestId: row.requestId ?? undefined,
  requestIdHash: row.requestIdHash ?? undefined,
});

/** For the consumer and the sweep, which know a job by its id alone. */
export async function findJob(db: D1Database, jobId: string): Promise<Job | undefined> {
  const row = await drizzle(db).select().from(autoSubmitJobs).where(eq(autoSubmitJobs.jobId, jobId)).get();
  return row === undefined ? undefined : readRow(row);
}

export async function findLiveJob(db: D1Database, clinicId: string, claimId: string): Promise<Job | undefined> {
  const row = await drizzle(db)
    .select()
    .from(autoSubmitJobs)
    .where(
      and(
        eq(autoSubmitJobs.claimId, claimId),
        eq(autoSubmitJobs.clinicId, clinicId),
        inArray(autoSubmitJobs.state, ["queued", "running", "retrying"]),
      ),
    )
    .get();
  return row === undefined ? undefined : readRow(row);
}

/** Newest first. */
export async function listJobs(db: D1Database, clinicId: string, limit: number): Promise<readonly Job[]> {
  const rows = await drizzle(db)
    .select()
    .from(autoSubmitJobs)
    .where(eq(autoSubmitJobs.clinicId, clinicId))
    .orderBy(desc(autoSubmitJobs.createdAt), desc(autoSubmitJobs.jobId))
    .limit(limit);
  return rows.map(readRow);
}

export async function countJobs(db: D1Database, clinicId: string): Promise<ReadonlyMap<string, number>> {
  const { results } = await db
    .prepare("SELECT state, COUNT(*) AS count FROM auto_submit_jobs WHERE clinic_id = ? GROUP BY state")
    .bind(clinicId)
    .all<{ state: JobState; count: number }>();
  return new Map(results.map(({ state, count }) => [state, count]));
}

const LIVE = "state IN ('queued', 'running', 'retrying')";

/** Adds a job unless its claim has a live one or the queue is full; `meta.changes` of the result tells. */
export const jobInsert = (db: D1Database, job: Job, queueLimit: number): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO auto_submit_jobs (job_id, clinic_id, claim_id, claim_type, state, attempt, max_attempts, next_attempt_at,
         correlation_id, requested_by, version, created_at, updated_at)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
       WHERE (SELECT COUNT(*) FROM auto_submit_jobs WHERE ${LIVE}) < ?14
         AND NOT EXISTS (SELECT 1 FROM auto_submit_jobs WHERE claim_id = ?3 AND ${LIVE})`,
    )
    .bind(
      job.jobId,
      job.clinicId,
      job.claimId,
      job.claimType,
      job.state,
      job.attempt,
      job.maxAttempts,
      job.nextAttemptAt ?? null,
      job.correlationId,
      job.requestedBy,
      job.version,
      job.createdAt,
      job.updatedAt,
      queueLimit,
    );

/** The row must still have the version before `job.version`, or the batch fails. */
export const jobUpdate = (db: D1Database, job: Job): D1PreparedStatement =>
  db
    .prepare(
      `UPDATE auto_submit_jobs SET state = ?, attempt = ?, max_attempts = ?, next_attempt_at = ?, lease_until = ?,
         last_error = ?, last_upstream_status = ?, request_id = ?, request_id_hash = ?, correlation_id = ?,
         requested_by = ?, version = ?, updated_at = ?
       WHERE job_id = ?`,
    )
    .bind(
      job.state,
      job.attempt,
      job.maxAttempts,
      job.nextAttemptAt ?? null,
      job.leaseUntil ?? null,
      job.lastError ?? null,
      job.lastUpstreamStatus ?? null,
      job.requestId ?? null,
      job.requestIdHash ?? null,
      job.correlationId,
      job.requestedBy,
      job.version,
      job.updatedAt,
      job.jobId,
    );

export async function countLiveJobs(db: D1Database): Promise<number> {
  const row = await db
    .prepare(`SELECT COUNT(*) AS count FROM auto_submit_jobs WHERE ${LIVE}`)
    .first<{ count: number }>();
  return row?.count ?? 0;
}

/** Jobs whose time has come, longest due first. */
export async function dueJobIds(db: D1Database, now: number, limit: number): Promise<readonly string[]> {
  const { results } = await db
    .prepare(
      `SELECT job_id AS jobId FROM auto_submit_jobs WHERE state IN ('queued', 'retrying') AND next_attempt_at <= ?
       ORDER BY next_attempt_at LIMIT ?`,
    )
    .bind(now, limit)
    .all<{ jobId: string }>();
  return results.map(({ jobId }) => jobId);
}

/** Jobs still marked running after their lease. */
export async function crashedJobIds(db: D1Database, now: number, limit: number): Promise<readonly string[]> {
  const { results } = await db
    .prepare(
      "SELECT job_id AS jobId FROM auto_submit_jobs WHERE state = 'running' AND lease_until <= ? ORDER BY lease_until LIMIT ?",
    )
    .bind(now, limit)
    .all<{ jobId: string }>();
  return results.map(({ jobId }) => jobId);
}

/** Removes jobs that ended before `before`. The claim and its timeline stay. @returns how many. */
export async function pruneJobs(db: D1Database, before: number, limit: number): Promise<number> {
  const result = await db
    .prepare(
      `DELETE FROM auto_submit_jobs WHERE job_id IN
       (SELECT job_id FROM auto_submit_jobs WHERE state IN ('succeeded', 'failed') AND updated_at < ? LIMIT ?)`,
    )
    .bind(before, limit)
    .run();
  return result.meta.changes;
}
