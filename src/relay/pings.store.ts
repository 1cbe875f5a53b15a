/** The last ping of each destination. */
import { DESTINATION_JSON, leasedDestination } from "./leased-destination.store.ts";
import type { LeasedPing, PostResult } from "./port.ts";

/** Remembers that a ping was asked for; the one before it is forgotten. */
export async function requestPing(db: D1Database, destinationId: string, pingId: string, now: number): Promise<void> {
  await db
    .prepare("INSERT OR REPLACE INTO relay_pings (destination_id, ping_id, requested_at) VALUES (?1, ?2, ?3)")
    .bind(destinationId, pingId, now)
    .run();
}

/** @returns undefined when this ping was answered already, or another was asked for since. */
export async function pingTarget(
  db: D1Database,
  destinationId: string,
  pingId: string,
  now: number,
): Promise<LeasedPing | undefined> {
  const row = await db
    .prepare(
      `SELECT ${DESTINATION_JSON} AS destination, d.ping_events AS pingEvents
       FROM relay_pings AS p CROSS JOIN destinations AS d ON d.destination_id = p.destination_id
       WHERE ?1 = ?1 AND p.destination_id = ?2 AND p.ping_id = ?3 AND p.answered_at IS NULL`,
    )
    .bind(now, destinationId, pingId)
    .first<{ readonly destination: string; readonly pingEvents: 0 | 1 }>();
  if (row === null) return undefined;
  return { destination: leasedDestination(destinationId, row.destination), asEvent: row.pingEvents === 1 };
}

/** Reachable is what answered at all, whatever it said. */
export async function recordPing(
  db: D1Database,
  destinationId: string,
  pingId: string,
  result: PostResult,
  durationMs: number,
  now: number,
): Promise<void> {
  const error = result.type === "answered" ? null : result.type;
  await db
    .prepare(
      `UPDATE relay_pings SET answered_at = ?3, reachable = ?4, status = ?5, error = ?6, duration_ms = ?7
       WHERE destination_id = ?1 AND ping_id = ?2 AND answered_at IS NULL`,
    )
    .bind(
      destinationId,
      pingId,
      now,
      result.type === "answered" ? 1 : 0,
      result.type === "answered" ? result.status : null,
      error,
      durationMs,
    )
    .run();
}
