/** Pauses of the relay and of destinations, at once: the next lease sees them. */
import { emptyBurst } from "./rates.store.ts";

/**
 * Pauses or resumes one destination, at once: the next lease leaves it out, or takes it in again, without a burst.
 * A resumed destination is tried afresh, whatever its breaker said.
 */
export async function setDestinationState(
  db: D1Database,
  destinationId: string,
  state: "active" | "paused",
  now: number,
): Promise<void> {
  const statements = [
    db
      .prepare("UPDATE destinations SET state = ?2, updated_at = ?3 WHERE destination_id = ?1 AND state <> ?2")
      .bind(destinationId, state, now),
  ];
  if (state === "active") {
    statements.push(
      db
        .prepare(
          `UPDATE relay_counters SET breaker = 'closed', breaker_until = 0, breaker_opens = 0, window_calls = 0,
             window_failures = 0, window_evidence = 0
           WHERE destination_id = ?1 AND breaker <> 'closed'`,
        )
        .bind(destinationId),
      emptyBurst(db, destinationId, now),
    );
  }
  await db.batch(statements);
}

/** Pauses or resumes the relay as a whole. Twice changes nothing. */
export async function setRelayPaused(db: D1Database, paused: boolean, now: number): Promise<void> {
  await (paused
    ? db.prepare("UPDATE relay_leases SET paused_at = ?1 WHERE paused_at IS NULL").bind(now)
    : db.prepare("UPDATE relay_leases SET paused_at = NULL WHERE paused_at IS NOT NULL")
  ).run();
}
