/** What the dashboard counts. Each reads an index of the clinic's claims. */
import type { ClaimStatus } from "../../claims/claim.ts";

/** How many claims stand where. */
export async function countByStatus(
  db: D1Database,
  clinicId: string,
): Promise<Readonly<Partial<Record<ClaimStatus, number>>>> {
  const { results } = await db
    .prepare("SELECT status, COUNT(*) AS count FROM claims WHERE clinic_id = ? GROUP BY status")
    .bind(clinicId)
    .all<{ status: ClaimStatus; count: number }>();
  return Object.fromEntries(results.map(({ status, count }) => [status, count]));
}

export interface DayCount {
  /** Days since 1970-01-01 in the zone that `offsetMs` gives. */
  readonly day: number;
  readonly filed: number;
  readonly paid: number;
  readonly denied: number;
}

/** Claims by the day on which they were filed. @param offsetMs of the viewer's zone from UTC. */
export async function countByDay(
  db: D1Database,
  clinicId: string,
  since: number,
  offsetMs: number,
): Promise<readonly DayCount[]> {
  const { results } = await db
    .prepare(
      `SELECT CAST((created_at + ?3) / 86400000 AS INTEGER) AS day, COUNT(*) AS filed,
              SUM(status = 'paid') AS paid, SUM(status = 'denied') AS denied
       FROM claims WHERE clinic_id = ?1 AND created_at >= ?2 GROUP BY day ORDER BY day`,
    )
    .bind(clinicId, since, offsetMs)
    .all<DayCount>();
  return results;
}

/** How many claims could not be sent, and nobody has tried again: pending, and not at core. */
export async function countUnsent(db: D1Database, clinicId: string, limit: number): Promise<number> {
  const row = await db
    .prepare(
      `SELECT COUNT(*) AS count FROM (SELECT 1 FROM claims
       WHERE clinic_id = ?1 AND status = 'pending' AND request_id IS NULL LIMIT ?2)`,
    )
    .bind(clinicId, limit)
    .first<{ count: number }>();
  return row?.count ?? 0;
}
