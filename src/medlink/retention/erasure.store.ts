import { and, eq, lte } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { ErasureReason } from "../../workflow/erasure.ts";
import { erasures } from "../schema.ts";
import type { Erasure } from "./retention.ts";

export async function findErasure(db: D1Database, clinicId: string, patientId: string): Promise<Erasure | undefined> {
  return drizzle(db)
    .select()
    .from(erasures)
    .where(and(eq(erasures.patientId, patientId), eq(erasures.clinicId, clinicId)))
    .get();
}

export const dueErasures = (db: D1Database, now: number, limit: number): Promise<readonly Erasure[]> =>
  drizzle(db)
    .select()
    .from(erasures)
    .where(and(eq(erasures.state, "running"), lte(erasures.nextAttemptAt, now)))
    .orderBy(erasures.nextAttemptAt)
    .limit(limit);

/** Marks the patient, and begins; a second one changes nothing. */
export const erasureInsert = (
  db: D1Database,
  erasure: {
    readonly patientId: string;
    readonly clinicId: string;
    readonly reason: ErasureReason;
    readonly requestedBy: string;
    readonly correlationId: string;
  },
  now: number,
): readonly [D1PreparedStatement, D1PreparedStatement] => [
  db
    .prepare(
      `INSERT INTO erasures (patient_id, clinic_id, reason, state, claims_erased, requested_by, correlation_id, requested_at,
         next_attempt_at)
       SELECT patient_id, clinic_id, ?3, 'running', 0, ?4, ?5, ?6, ?6 FROM patients WHERE patient_id = ?1 AND clinic_id = ?2
       ON CONFLICT (patient_id) DO NOTHING`,
    )
    .bind(erasure.patientId, erasure.clinicId, erasure.reason, erasure.requestedBy, erasure.correlationId, now),
  db
    .prepare("UPDATE patients SET erasing_at = ? WHERE patient_id = ? AND clinic_id = ? AND erasing_at IS NULL")
    .bind(now, erasure.patientId, erasure.clinicId),
];

/** One claim more is gone, everywhere by `completeEverywhereAt`. */
export const erasureProgress = (db: D1Database, patientId: string, completeEverywhereAt: number): D1PreparedStatement =>
  db
    .prepare(
      `UPDATE erasures SET claims_erased = claims_erased + 1, last_error = NULL,
         complete_everywhere_at = MAX(COALESCE(complete_everywhere_at, 0), ?) WHERE patient_id = ?`,
    )
    .bind(completeEverywhereAt, patientId);

/** @param error a closed code. */
export const erasureDelayed = (
  db: D1Database,
  patientId: string,
  error: string | null,
  nextAttemptAt: number,
): D1PreparedStatement =>
  db
    .prepare("UPDATE erasures SET last_error = ?, next_attempt_at = ? WHERE patient_id = ? AND state = 'running'")
    .bind(error, nextAttemptAt, patientId);

/**
 * The last step: the patient's own rows. It fails, with its batch, while a claim still names the patient.
 * @param completeEverywhereAt of the hub's own copies.
 */
export const patientErased = (
  db: D1Database,
  erasure: Pick<Erasure, "patientId" | "clinicId">,
  completeEverywhereAt: number,
  now: number,
): readonly D1PreparedStatement[] => [
  db.prepare("DELETE FROM patient_terms WHERE patient_id = ?").bind(erasure.patientId),
  db.prepare("DELETE FROM patients WHERE patient_id = ? AND clinic_id = ?").bind(erasure.patientId, erasure.clinicId),
  db
    .prepare(
      `UPDATE erasures SET state = 'complete', completed_at = ?1, next_attempt_at = NULL, last_error = NULL,
         complete_everywhere_at = MAX(COALESCE(complete_everywhere_at, 0), ?2) WHERE patient_id = ?3`,
    )
    .bind(now, completeEverywhereAt, erasure.patientId),
];

export interface ClaimToErase {
  readonly claimId: string;
  readonly clinicId: string;
}

export async function claimsOfPatient(
  db: D1Database,
  { clinicId, patientId }: Pick<Erasure, "clinicId" | "patientId">,
  limit: number,
): Promise<readonly ClaimToErase[]> {
  const { results } = await db
    .prepare(
      `SELECT claim_id AS claimId, clinic_id AS clinicId FROM claims WHERE clinic_id = ? AND patient_id = ?
       ORDER BY created_at, claim_id LIMIT ?`,
    )
    .bind(clinicId, patientId, limit)
    .all<ClaimToErase>();
  return results;
}

/**
 * Everything the hub holds of a claim. It fails while a submission is under way, which may still write; what the insurer
 * paid stays, under an id that names nothing any more.
 * @param requestIdHash as core knows it, if it does: events about it still arrive.
 */
export const claimErased = (
  db: D1Database,
  { claimId, clinicId }: ClaimToErase,
  requestIdHash: string | undefined,
  now: number,
): readonly D1PreparedStatement[] => [
  db
    .prepare(
      `INSERT OR IGNORE INTO erased_requests (request_id_hash, clinic_id, erased_at)
       SELECT COALESCE(?1, (SELECT request_id_hash FROM claims WHERE claim_id = ?2)), ?3, ?4
       WHERE COALESCE(?1, (SELECT request_id_hash FROM claims WHERE claim_id = ?2)) IS NOT NULL`,
    )
    .bind(requestIdHash ?? null, claimId, clinicId, now),
  db.prepare("DELETE FROM auto_submit_jobs WHERE claim_id = ? AND state <> 'running'").bind(claimId),
  db.prepare("DELETE FROM attachments WHERE claim_id = ?").bind(claimId),
  db.prepare("DELETE FROM bulk_rows WHERE claim_id = ?").bind(claimId),
  db.prepare("DELETE FROM filed_sources WHERE claim_id = ?").bind(claimId),
  db.prepare("DELETE FROM claim_events WHERE claim_id = ?").bind(claimId),
  db.prepare("DELETE FROM claims WHERE claim_id = ? AND clinic_id = ?").bind(claimId, clinicId),
];

/** Whose erased claim had this hash at core. */
export async function findErasedRequest(db: D1Database, requestIdHash: string): Promise<string | undefined> {
  const clinicId = await db
    .prepare("SELECT clinic_id AS clinicId FROM erased_requests WHERE request_id_hash = ?")
    .bind(requestIdHash)
    .first<string>("clinicId");
  return clinicId ?? undefined;
}

/** @returns how many. */
export async function pruneErasedRequests(db: D1Database, before: number, limit: number): Promise<number> {
  const result = await db
    .prepare(
      `DELETE FROM erased_requests WHERE request_id_hash IN
       (SELECT request_id_hash FROM erased_requests WHERE erased_at < ? LIMIT ?)`,
    )
    .bind(before, limit)
    .run();
  return result.meta.changes;
}
