import { and, asc, desc, eq, gte, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { columnsOf } from "../columns.store.ts";
import { cutPage, type Page, type PageKey } from "../page.ts";
import { autoSubmitJobs } from "../schema.ts";
import { breakerOf } from "./core-breaker.store.ts";
import type { Traffic } from "./core-breaker.ts";
import type { Job, JobState } from "./job.ts";

const LIVE = "state IN ('queued', 'running', 'retrying')";
const WAITING = "state IN ('queued', 'retrying')";

/** How many jobs are live: each of the two lists has its index. */
export const LIVE_COUNT = `((SELECT COUNT(*) FROM auto_submit_jobs WHERE ${WAITING})
  + (SELECT COUNT(*) FROM auto_submit_jobs WHERE state = 'running'))`;

export const readJobRow = ({ turn: _, ...row }: typeof autoSubmitJobs.$inferSelect): Job => ({
  ...row,
  startedAt: row.startedAt ?? undefined,
  nextAttemptAt: row.nextAttemptAt ?? undefined,
  leaseUntil: row.leaseUntil ?? undefined,
  lastError: row.lastError ?? undefined,
  lastUpstreamStatus: row.lastUpstreamStatus ?? undefined,
  requestId: row.requestId ?? undefined,
  requestIdHash: row.requestIdHash ?? undefined,
});

export type JobRow = typeof autoSubmitJobs.$inferSelect;

const COLUMNS = columnsOf(autoSubmitJobs, "j");

/** For a batch; `readJobRow` reads its row. The consumer and the sweep know a job by its id alone. */
export const jobSelect = (db: D1Database, jobId: string): D1PreparedStatement =>
  db.prepare(`SELECT ${COLUMNS} FROM auto_submit_jobs AS j WHERE j.job_id = ?`).bind(jobId);

export async function findJob(db: D1Database, jobId: string): Promise<Job | undefined> {
  const row = await jobSelect(db, jobId).first<JobRow>();
  return row === null ? undefined : readJobRow(row);
}

/** For a batch; `readJobRow` reads its row. The plus keeps the planner from walking all jobs of the clinic. */
export const liveJobSelect = (db: D1Database, clinicId: string, claimId: string): D1PreparedStatement =>
  db
    .prepare(`SELECT ${COLUMNS} FROM auto_submit_jobs AS j WHERE j.claim_id = ? AND +j.clinic_id = ? AND j.${LIVE}`)
    .bind(claimId, clinicId);

export async function findLiveJob(db: D1Database, clinicId: string, claimId: string): Promise<Job | undefined> {
  const row = await liveJobSelect(db, clinicId, claimId).first<JobRow>();
  return row === null ? undefined : readJobRow(row);
}

/** The job that a claim had last, while it is kept. */
export async function findLatestJob(db: D1Database, clinicId: string, claimId: string): Promise<Job | undefined> {
  const row = await drizzle(db)
    .select()
    .from(autoSubmitJobs)
    .where(and(eq(autoSubmitJobs.claimId, claimId), eq(autoSubmitJobs.clinicId, clinicId)))
    .orderBy(desc(autoSubmitJobs.createdAt))
    .limit(1)
    .get();
  return row === undefined ? undefined : readJobRow(row);
}

/** Newest first. */
export async function listJobs(db: D1Database, clinicId: string, limit: number): Promise<readonly Job[]> {
  const rows = await drizzle(db)
    .select()
    .from(autoSubmitJobs)
    .where(eq(autoSubmitJobs.clinicId, clinicId))
    .orderBy(desc(autoSubmitJobs.createdAt), desc(autoSubmitJobs.jobId))
    .limit(limit);
  return rows.map(readJobRow);
}

/** `live`: queued, running and retrying. */
export type JobSelection = JobState | "live";

/** Of all clinics, those changed last first. The page key's `createdAt` is the time of the change. */
export async function listJobsOfHub(
  db: D1Database,
  selection: JobSelection,
  page: { readonly limit: number; readonly after: PageKey | undefined },
): Promise<Page<Job>> {
  const { updatedAt, jobId, state } = autoSubmitJobs;
  const ended = selection === "succeeded" || selection === "failed";
  const rows = await drizzle(db)
    .select()
    .from(autoSubmitJobs)
    .where(
      and(
        // Spelled out, not bound: only then does SQLite see that a partial index covers it.
        ended
          ? sql`state IN ('succeeded', 'failed')`
          : sql`job_id IN (SELECT job_id FROM auto_submit_jobs WHERE state IN ('queued', 'retrying')
              UNION ALL SELECT job_id FROM auto_submit_jobs WHERE state = 'running')`,
        selection === "live" ? undefined : eq(state, selection),
        page.after === undefined
          ? undefined
          : sql`(${updatedAt}, ${jobId}) < (${page.after.createdAt}, ${page.after.id})`,
      ),
    )
    .orderBy(desc(updatedAt), desc(jobId))
    .limit(page.limit + 1);
  const cut = cutPage(rows, page.limit, (row) => ({ createdAt: row.updatedAt, id: row.jobId }));
  return { ...cut, items: cut.items.map(readJobRow) };
}

/** @param clinicId undefined: of all clinics. */
export async function countJobs(db: D1Database, clinicId: string | undefined): Promise<ReadonlyMap<string, number>> {
  const [where, bound] = clinicId === undefined ? ["", []] : ["WHERE clinic_id = ?", [clinicId]];
  const { results } = await db
    .prepare(`SELECT state, COUNT(*) AS count FROM auto_submit_jobs ${where} GROUP BY state`)
    .bind(...bound)
    .all<{ state: JobState; count: number }>();
  return new Map(results.map(({ state, count }) => [state, count]));
}

/** Adds a job unless its claim has a live one or the queue is full; `meta.changes` of the result tells. */
export const jobInsert = (db: D1Database, job: Job, queueLimit: number): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO auto_submit_jobs (job_id, clinic_id, claim_id, claim_type, state, attempt, max_attempts, next_attempt_at,
         correlation_id, requested_by, version, created_at, updated_at)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
       WHERE ${LIVE_COUNT} < ?14
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
         requested_by = ?, deferrals = ?, version = ?, updated_at = ?
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
      job.deferrals,
      job.version,
      job.updatedAt,
      job.jobId,
    );

const RUNNING = "(SELECT COUNT(*) FROM auto_submit_jobs WHERE state = 'running' AND lease_until > ?1)";
const STARTS = "(SELECT COUNT(*) FROM auto_submit_jobs WHERE started_at > ?1 - 1000)";
/** Clocks of isolates differ by less than a turn matters: starts of the same moment may share one. */
const NEXT_TURN = `COALESCE((SELECT turn FROM auto_submit_jobs WHERE started_at IS NOT NULL
  ORDER BY started_at DESC, turn DESC LIMIT 1), 0) + 1`;

/**
 * Writes a job's start, if by then no more than `allowed` - 1 run and no more than `startsPerSecond` - 1 began within the
 * last second: counted from the jobs themselves, so that a crash leaks no slot. `meta.changes` of the result tells. The row
 * must still have the version before `job.version`, or the statement fails.
 */
export const jobStart = (
  db: D1Database,
  job: Job,
  limits: { readonly allowed: number; readonly startsPerSecond: number },
): D1PreparedStatement =>
  db
    .prepare(
      `UPDATE auto_submit_jobs SET state = 'running', attempt = ?2, next_attempt_at = NULL, lease_until = ?3,
         started_at = ?1, turn = ${NEXT_TURN}, version = ?4, updated_at = ?1
       WHERE job_id = ?5 AND ${RUNNING} < ?6 AND ${STARTS} < ?7`,
    )
    .bind(
      job.startedAt ?? null,
      job.attempt,
      job.leaseUntil ?? null,
      job.version,
      job.jobId,
      limits.allowed,
      limits.startsPerSecond,
    );

/** Whether a submission is under way, whose request has no hash here before core's answer is recorded. */
export async function isSubmitting(db: D1Database, now: number): Promise<boolean> {
  const row = await db.prepare(`SELECT ${RUNNING} > 0 AS isSubmitting`).bind(now).first<{ isSubmitting: number }>();
  return row?.isSubmitting === 1;
}

/** The clinics with a job that waits, one step of an index each. */
const WAITING_CLINICS = `waiting (clinic_id) AS (
  SELECT MIN(clinic_id) FROM auto_submit_jobs WHERE ${WAITING}
  UNION ALL
  SELECT (SELECT MIN(clinic_id) FROM auto_submit_jobs WHERE ${WAITING} AND clinic_id > waiting.clinic_id)
  FROM waiting WHERE waiting.clinic_id IS NOT NULL
)`;

/** The earliest time after ?1 at which a job of any clinic comes due. */
const NEXT_DUE = `WITH RECURSIVE ${WAITING_CLINICS}
  SELECT MIN((SELECT MIN(next_attempt_at) FROM auto_submit_jobs
    WHERE clinic_id = waiting.clinic_id AND ${WAITING} AND next_attempt_at > ?1)) AS at
  FROM waiting WHERE waiting.clinic_id IS NOT NULL`;

const TURN = `WITH RECURSIVE ${WAITING_CLINICS}, heads AS (
    SELECT waiting.clinic_id AS clinic_id,
      (SELECT job_id FROM auto_submit_jobs WHERE clinic_id = waiting.clinic_id AND ${WAITING}
         AND next_attempt_at <= ?1 ORDER BY next_attempt_at, job_id LIMIT 1) AS job_id,
      (SELECT MAX(turn) FROM auto_submit_jobs WHERE clinic_id = waiting.clinic_id AND turn IS NOT NULL) AS turn
    FROM waiting WHERE waiting.clinic_id IS NOT NULL
  )
  SELECT ${COLUMNS} FROM auto_submit_jobs AS j
  WHERE j.job_id = (SELECT job_id FROM heads WHERE job_id IS NOT NULL ORDER BY turn, clinic_id LIMIT 1)`;

interface Gate {
  readonly running: number;
  readonly starts: number;
  readonly breaker: string | null;
  readonly hubSwitch: string | null;
}

export interface Turn {
  readonly traffic: Traffic;
  /** undefined: none is due. */
  readonly job: Job | undefined;
  /** The earliest time, after now, at which a waiting job comes due. */
  readonly nextDueAt: number | undefined;
}

/**
 * What decides whether a job may start, and the one whose turn it is: of each clinic with a job due the job due longest, and
 * of these the one of the clinic that has waited longest since its last turn. One way to the database.
 */
export async function readTurn(db: D1Database, now: number): Promise<Turn> {
  const [gates, turns, next] = await db.batch<Gate & JobRow & { readonly at: number | null }>([
    db
      .prepare(
        `SELECT ${RUNNING} AS running, ${STARTS} AS starts,
           (SELECT state FROM breakers WHERE name = 'core') AS breaker,
           (SELECT value FROM hub_settings WHERE key = 'autoSubmit.enabled') AS hubSwitch`,
      )
      .bind(now),
    db.prepare(TURN).bind(now),
    db.prepare(NEXT_DUE).bind(now),
  ]);
  const gate = gates?.results[0];
  if (gate === undefined) throw new Error("a SELECT without FROM gave no row");
  const { running, starts, breaker, hubSwitch } = gate;
  const row = turns?.results[0];
  return {
    traffic: {
      running,
      startsLastSecond: starts,
      breaker: breakerOf(breaker),
      hubSwitch: hubSwitch === null ? undefined : hubSwitch === "true",
    },
    job: row === undefined ? undefined : readJobRow(row),
    nextDueAt: next?.results[0]?.at ?? undefined,
  };
}

export interface FailedFilter {
  /** undefined: of all clinics. */
  readonly clinicId: string | undefined;
  /** A code, or the part of it before the colon. */
  readonly error: string | undefined;
  /** Failed at this time or later. */
  readonly since: number | undefined;
}

/** Failed jobs, longest failed first. The page key's `createdAt` is the time of failure. */
export async function listFailedJobs(
  db: D1Database,
  filter: FailedFilter,
  page: { readonly limit: number; readonly after: PageKey | undefined },
): Promise<Page<Job>> {
  const { clinicId, error, since } = filter;
  const { updatedAt, jobId, lastError } = autoSubmitJobs;
  const rows = await drizzle(db)
    .select()
    .from(autoSubmitJobs)
    .where(
      and(
        // Spelled out, as above.
        sql`state = 'failed'`,
        clinicId === undefined ? undefined : eq(autoSubmitJobs.clinicId, clinicId),
        error === undefined
          ? undefined
          : sql`(${lastError} = ${error} OR substr(${lastError}, 1, length(${error}) + 1) = ${`${error}:`})`,
        since === undefined ? undefined : gte(updatedAt, since),
        page.after === undefined
          ? undefined
          : sql`(${updatedAt}, ${jobId}) > (${page.after.createdAt}, ${page.after.id})`,
      ),
    )
    .orderBy(asc(updatedAt), asc(jobId))
    .limit(page.limit + 1);
  const cut = cutPage(rows, page.limit, (row) => ({ createdAt: row.updatedAt, id: row.jobId }));
  return { ...cut, items: cut.items.map(readJobRow) };
}

/** Failed jobs by their code, most first; at most 20 codes. */
export async function countFailures(
  db: D1Database,
  clinicId: string | undefined,
): Promise<readonly { readonly error: string; readonly count: number }[]> {
  const { results } = await db
    .prepare(
      `SELECT COALESCE(last_error, 'unknown') AS error, COUNT(*) AS count FROM auto_submit_jobs
       WHERE state = 'failed' AND (?1 IS NULL OR clinic_id = ?1) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20`,
    )
    .bind(clinicId ?? null)
    .all<{ error: string; count: number }>();
  return results;
}

/** Since when the job that has waited longest is due. @param clinicId undefined: of all clinics. */
export async function oldestDueAt(db: D1Database, clinicId: string | undefined): Promise<number | undefined> {
  const row = await (clinicId === undefined
    ? db.prepare(NEXT_DUE).bind(0)
    : db
        .prepare(`SELECT MIN(next_attempt_at) AS at FROM auto_submit_jobs WHERE ${WAITING} AND clinic_id = ?`)
        .bind(clinicId)
  ).first<{ at: number | null }>();
  return row?.at ?? undefined;
}

/** What waits, runs and failed of all clinics, without a look at what succeeded. */
export interface Load {
  readonly live: number;
  readonly failed: number;
  /** Since when the job that has waited longest is due; null: none waits. */
  readonly oldestDueAt: number | null;
}

/** For a batch; its row is a `Load`. */
export const loadSelect = (db: D1Database): D1PreparedStatement =>
  db
    .prepare(
      `SELECT ${LIVE_COUNT} AS live, (SELECT COUNT(*) FROM auto_submit_jobs WHERE state = 'failed') AS failed,
         (${NEXT_DUE}) AS oldestDueAt`,
    )
    .bind(0);

export const countLiveJobs = async (db: D1Database): Promise<number> =>
  (await db.prepare(`SELECT ${LIVE_COUNT} AS count`).first<number>("count")) ?? 0;

/** Some of the jobs whose time has come. */
export async function dueJobIds(db: D1Database, now: number, limit: number): Promise<readonly string[]> {
  const { results } = await db
    .prepare(
      `SELECT job_id AS jobId FROM auto_submit_jobs INDEXED BY auto_submit_jobs_waiting
       WHERE ${WAITING} AND next_attempt_at <= ? LIMIT ?`,
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
