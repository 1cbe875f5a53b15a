/** Hot switches: a clinic's own, and the whole hub's. What is not set here is as the worker's settings say. */
import type { AutoSubmitSwitches } from "./switches.ts";

const AUTO_SUBMIT_ENABLED = "autoSubmit.enabled";

const flagOf = (value: string | null): boolean | undefined => (value === null ? undefined : value === "true");

export interface SwitchesRow {
  readonly hub: string | null;
  readonly clinic: string | null;
}

type Switches = Pick<AutoSubmitSwitches, "hub" | "clinic">;

/** For a batch; `readSwitchesRow` reads its row. @param clinicId undefined: the hub's switch alone. */
export const switchesSelect = (db: D1Database, clinicId: string | undefined): D1PreparedStatement =>
  db
    .prepare(
      `SELECT (SELECT value FROM hub_settings WHERE key = ?1) AS hub,
         (SELECT value FROM settings WHERE clinic_id = ?2 AND key = ?1) AS clinic`,
    )
    .bind(AUTO_SUBMIT_ENABLED, clinicId ?? null);

export const readSwitchesRow = (row: SwitchesRow | null | undefined): Switches => ({
  hub: flagOf(row?.hub ?? null),
  clinic: flagOf(row?.clinic ?? null),
});

/** @param clinicId undefined: the hub's switch alone. */
export const readSwitches = async (db: D1Database, clinicId: string | undefined): Promise<Switches> =>
  readSwitchesRow(await switchesSelect(db, clinicId).first<SwitchesRow>());

interface SwitchChange {
  /** null: nothing is said, and what stands behind it decides. */
  readonly enabled: boolean | null;
  readonly by: string;
  readonly at: number;
}

export const clinicSwitchUpsert = (
  db: D1Database,
  change: SwitchChange & { readonly clinicId: string },
): D1PreparedStatement =>
  change.enabled === null
    ? db.prepare("DELETE FROM settings WHERE clinic_id = ?1 AND key = ?2").bind(change.clinicId, AUTO_SUBMIT_ENABLED)
    : db
        .prepare(
          `INSERT INTO settings (clinic_id, key, value, updated_by, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
       ON CONFLICT (clinic_id, key) DO UPDATE SET value = ?3, updated_by = ?4, updated_at = ?5`,
        )
        .bind(change.clinicId, AUTO_SUBMIT_ENABLED, String(change.enabled), change.by, change.at);

export const hubSwitchUpsert = (db: D1Database, change: SwitchChange): D1PreparedStatement =>
  change.enabled === null
    ? db.prepare("DELETE FROM hub_settings WHERE key = ?1").bind(AUTO_SUBMIT_ENABLED)
    : db
        .prepare(
          `INSERT INTO hub_settings (key, value, updated_by, updated_at) VALUES (?1, ?2, ?3, ?4)
       ON CONFLICT (key) DO UPDATE SET value = ?2, updated_by = ?3, updated_at = ?4`,
        )
        .bind(AUTO_SUBMIT_ENABLED, String(change.enabled), change.by, change.at);
