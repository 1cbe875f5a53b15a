/** The row that says whether maintenance is under way; the same table in core's and the hub's database. */
import type { Maintenance } from "./maintenance.ts";

export async function readMaintenance(db: D1Database): Promise<Maintenance> {
  const row = await db
    .prepare("SELECT started_at AS startedAt, until, reason FROM maintenance WHERE singleton = 1")
    .first<{ readonly startedAt: number | null; readonly until: number | null; readonly reason: string | null }>();
  return {
    startedAt: row?.startedAt ?? undefined,
    until: row?.until ?? undefined,
    reason: row?.reason ?? undefined,
  };
}

/** @param given undefined ends it. */
export const maintenanceUpdate = (
  db: D1Database,
  given: { readonly startedAt: number; readonly until: number; readonly reason: string } | undefined,
  actor: string,
): D1PreparedStatement =>
  db
    .prepare(
      `UPDATE maintenance SET started_at = CAST(?1 AS INTEGER), until = CAST(?2 AS INTEGER), reason = ?3, actor = ?4
       WHERE singleton = 1`,
    )
    .bind(given?.startedAt ?? null, given?.until ?? null, given?.reason ?? null, actor);
