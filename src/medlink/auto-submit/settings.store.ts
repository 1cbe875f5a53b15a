/** A clinic's hot switches. What is not set here is as the worker's settings say. */
const AUTO_SUBMIT_ENABLED = "autoSubmit.enabled";

export async function readAutoSubmitEnabled(db: D1Database, clinicId: string): Promise<boolean | undefined> {
  const row = await db
    .prepare("SELECT value FROM settings WHERE clinic_id = ? AND key = ?")
    .bind(clinicId, AUTO_SUBMIT_ENABLED)
    .first<{ value: string }>();
  return row === null ? undefined : row.value === "true";
}

export const autoSubmitEnabledUpsert = (
  db: D1Database,
  change: { readonly clinicId: string; readonly enabled: boolean; readonly userId: string; readonly at: number },
): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO settings (clinic_id, key, value, updated_by, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
       ON CONFLICT (clinic_id, key) DO UPDATE SET value = ?3, updated_by = ?4, updated_at = ?5`,
    )
    .bind(change.clinicId, AUTO_SUBMIT_ENABLED, String(change.enabled), change.userId, change.at);
