import type { ClaimToErase } from "./erasure.store.ts";

/** The clinic after this one in the order of ids; the first when there is none. */
export async function nextClinic(
  db: D1Database,
  after: string,
): Promise<{ readonly clinicId: string; readonly retentionYears: number } | undefined> {
  const row = await db
    .prepare(
      `SELECT clinic_id AS clinicId, retention_years AS retentionYears FROM clinics WHERE clinic_id > ?
       ORDER BY clinic_id LIMIT 1`,
    )
    .bind(after)
    .first<{ clinicId: string; retentionYears: number }>();
  return row ?? undefined;
}

/** Claims that nothing happened to since `cutoff`, oldest first. */
export async function pastClaims(
  db: D1Database,
  clinicId: string,
  cutoff: number,
  limit: number,
): Promise<readonly ClaimToErase[]> {
  const { results } = await db
    .prepare(
      `SELECT claim_id AS claimId, clinic_id AS clinicId FROM claims INDEXED BY claims_clinic
       WHERE clinic_id = ?1 AND created_at < ?2 AND updated_at < ?2 ORDER BY created_at, claim_id LIMIT ?3`,
    )
    .bind(clinicId, cutoff, limit)
    .all<ClaimToErase>();
  return results;
}

/** Patients without a claim, not changed since `cutoff`. */
export async function pastPatients(
  db: D1Database,
  clinicId: string,
  cutoff: number,
  limit: number,
): Promise<readonly string[]> {
  const { results } = await db
    .prepare(
      `SELECT patient_id AS patientId FROM patients WHERE clinic_id = ?1 AND created_at < ?2 AND updated_at < ?2
         AND erasing_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM claims WHERE claims.clinic_id = ?1 AND claims.patient_id = patients.patient_id)
       ORDER BY created_at, patient_id LIMIT ?3`,
    )
    .bind(clinicId, cutoff, limit)
    .all<{ patientId: string }>();
  return results.map(({ patientId }) => patientId);
}
