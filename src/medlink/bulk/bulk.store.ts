import { LIVE_COUNT } from "../auto-submit/jobs.store.ts";
import type { Claim } from "../claims/claim.ts";
import { claimPlace, nextEventId, writesEvents } from "../claims/claims.store.ts";
import type { Fields } from "../fields.ts";
import { type FiledSource, filedSourcesInsert } from "../keys/filed-sources.store.ts";

/** Rows filed before, by their key. */
export async function findFiledRows(
  db: D1Database,
  clinicId: string,
  keys: readonly string[],
): Promise<ReadonlyMap<string, { readonly contentHash: string; readonly claimId: string }>> {
  const { results } = await db
    .prepare(
      `SELECT row_key AS rowKey, content_hash AS contentHash, claim_id AS claimId FROM bulk_rows
       WHERE clinic_id = ? AND row_key IN (SELECT value FROM json_each(?))`,
    )
    .bind(clinicId, JSON.stringify(keys))
    .all<{ rowKey: string; contentHash: string; claimId: string }>();
  return new Map(results.map(({ rowKey, ...row }) => [rowKey, row]));
}

/** Patients of this clinic for whom a claim may be filed: by id, and by hash of the health number. */
export async function findFilablePatients(
  db: D1Database,
  clinicId: string,
  named: { readonly ids: readonly string[]; readonly healthNumberHashes: readonly string[] },
): Promise<{ readonly ids: ReadonlySet<string>; readonly byHealthNumber: ReadonlyMap<string, string> }> {
  const [byId, byHash] = await db.batch<{ patientId: string; hash: string }>([
    db
      .prepare(
        `SELECT patient_id AS patientId FROM patients
         WHERE patient_id IN (SELECT value FROM json_each(?2)) AND clinic_id = ?1 AND erasing_at IS NULL`,
      )
      .bind(clinicId, JSON.stringify(named.ids)),
    db
      .prepare(
        `SELECT patient_id AS patientId, health_number_hash AS hash FROM patients
         WHERE clinic_id = ?1 AND health_number_hash IN (SELECT value FROM json_each(?2)) AND erasing_at IS NULL`,
      )
      .bind(clinicId, JSON.stringify(named.healthNumberHashes)),
  ]);
  return {
    ids: new Set(byId?.results.map(({ patientId }) => patientId)),
    byHealthNumber: new Map(byHash?.results.map(({ hash, patientId }) => [hash, patientId])),
  };
}

export interface FiledRow {
  readonly claim: Claim;
  readonly rowKey: string;
  readonly contentHash: string;
  readonly source: FiledSource;
}

/** Many new claims with what belongs to each, for one batch. It fails whole when one of the rows was filed meanwhile. */
export async function filedRowsInsert(
  db: D1Database,
  fields: Fields,
  rows: readonly FiledRow[],
  correlationId: string,
): Promise<readonly D1PreparedStatement[]> {
  const claims = await Promise.all(
    rows.map(async ({ claim, rowKey, contentHash }) => ({
      ...claim,
      minor: claim.amount.minor,
      currency: claim.amount.currency,
      sealed: await fields.seal(claim.details, claimPlace(claim.claimId)),
      details: undefined,
      rowKey,
      contentHash,
    })),
  );
  const json = JSON.stringify(claims);
  const sources = await filedSourcesInsert(
    db,
    fields,
    rows.map(({ claim, source }) => ({ ...claim, kind: "bulk", source })),
  );
  return [
    db
      .prepare(
        `INSERT INTO claims (claim_id, clinic_id, patient_id, provider_id, insurer_id, type, status, amount_minor, currency,
           details_sealed, created_by, version, created_at, updated_at)
         SELECT value ->> 'claimId', value ->> 'clinicId', value ->> 'patientId', value ->> 'providerId',
           value ->> 'insurerId', value ->> 'type', value ->> 'status', value ->> 'minor', value ->> 'currency',
           value ->> 'sealed', value ->> 'createdBy', 0, value ->> 'createdAt', value ->> 'updatedAt'
         FROM json_each(?)`,
      )
      .bind(json),
    db
      .prepare(
        `INSERT INTO bulk_rows (clinic_id, row_key, content_hash, claim_id, created_at)
         SELECT value ->> 'clinicId', value ->> 'rowKey', value ->> 'contentHash', value ->> 'claimId', value ->> 'createdAt'
         FROM json_each(?)`,
      )
      .bind(json),
    writesEvents(
      "created",
      db
        .prepare(
          `INSERT INTO claim_events (claim_id, claim_event_id, clinic_id, kind, status, actor, detail, at)
           SELECT value ->> 'claimId', 1, value ->> 'clinicId', 'created', value ->> 'status', value ->> 'createdBy', 'bulk',
             value ->> 'createdAt'
           FROM json_each(?)`,
        )
        .bind(json),
    ),
    db
      .prepare(
        `INSERT INTO audit_events (clinic_id, actor, action, subject, detail, correlation_id, at)
         SELECT value ->> 'clinicId', value ->> 'createdBy', 'claim.create', value ->> 'claimId', 'bulk', ?2,
           value ->> 'createdAt'
         FROM json_each(?1)`,
      )
      .bind(json, correlationId),
    sources,
  ];
}

/** A claim to be queued, and the id of the job it gets. */
export interface JobForClaim {
  readonly claimId: string;
  readonly jobId: string;
}

/**
 * Queues those of the claims that are not submitted and have no live job, in their order, until the queue is full. Their
 * versions move, as with every claim that is queued. The last statement answers which jobs there are.
 */
export function queueClaimsStatements(
  db: D1Database,
  clinicId: string,
  jobs: readonly JobForClaim[],
  by: {
    readonly userId: string;
    readonly correlationId: string;
    readonly maxAttempts: number;
    readonly queueLimit: number;
  },
  now: number,
): readonly D1PreparedStatement[] {
  const json = JSON.stringify(jobs);
  const named = "SELECT value ->> 'jobId' FROM json_each(?1)";
  return [
    db
      .prepare(
        `INSERT INTO auto_submit_jobs (job_id, clinic_id, claim_id, claim_type, state, attempt, max_attempts,
           next_attempt_at, correlation_id, requested_by, version, created_at, updated_at)
         SELECT j.value ->> 'jobId', c.clinic_id, c.claim_id, c.type, 'queued', 0, ?3, ?4, ?5, ?6, 0, ?4, ?4
         FROM json_each(?1) AS j CROSS JOIN claims AS c ON c.claim_id = j.value ->> 'claimId'
         WHERE c.clinic_id = ?2 AND c.status IN ('draft', 'pending') AND c.request_id IS NULL
           AND NOT EXISTS (SELECT 1 FROM auto_submit_jobs AS live
             WHERE live.claim_id = c.claim_id AND live.state IN ('queued', 'running', 'retrying'))
         ORDER BY j.key
         LIMIT MAX(0, ?7 - ${LIVE_COUNT})`,
      )
      .bind(json, clinicId, by.maxAttempts, now, by.correlationId, by.userId, by.queueLimit),
    db
      .prepare(
        `UPDATE claims SET version = version + 1, updated_at = ?2
         WHERE claim_id IN (SELECT claim_id FROM auto_submit_jobs WHERE job_id IN (${named}))`,
      )
      .bind(json, now),
    writesEvents(
      "queued",
      db
        .prepare(
          `INSERT INTO claim_events (claim_id, claim_event_id, clinic_id, kind, status, actor, at)
           SELECT c.claim_id, ${nextEventId("c.claim_id")}, c.clinic_id, 'queued', c.status, ?2, ?3
           FROM auto_submit_jobs AS j CROSS JOIN claims AS c ON c.claim_id = j.claim_id WHERE j.job_id IN (${named})`,
        )
        .bind(json, by.userId, now),
    ),
    db
      .prepare(`SELECT claim_id AS claimId, job_id AS jobId FROM auto_submit_jobs WHERE job_id IN (${named})`)
      .bind(json),
  ];
}
