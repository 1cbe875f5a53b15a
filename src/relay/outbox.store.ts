/** Rows of the outbox that are due, for the sweep, and what puts rows to rest. */
import {
  BROKEN,
  DESTINATIONS,
  expiries,
  HELD_DUE_AT,
  inSpan,
  isFree,
  MAX_EXPIRED_LEASES,
  NOT_BEHIND_ANOTHER,
  RUNNING,
  SPANS,
} from "./lanes.store.ts";

/**
 * Rows that are due now, oldest destination first, for the sweep's hints; some may be held behind others.
 * @returns at most `limit` outbox ids.
 */
export async function sweepDue(db: D1Database, now: number, limit: number): Promise<readonly number[]> {
  const { results } = await db
    .prepare(
      `SELECT o.outbox_id FROM ${DESTINATIONS} CROSS JOIN ${SPANS} AS span CROSS JOIN outbox AS o ON ${inSpan("o")}
       WHERE ${RUNNING} AND NOT ${BROKEN} AND ${isFree("o")} AND ${NOT_BEHIND_ANOTHER}
       LIMIT ?2`,
    )
    .bind(now, limit)
    .all<{ readonly outbox_id: number }>();
  return results.map((row) => row.outbox_id);
}

/**
 * Gives rows that joined a lane after its head went dead the due time of the others there, so that leases pass them by.
 * @returns how many, at most `limit`.
 */
export async function holdBehindDead(db: D1Database, now: number, limit: number): Promise<number> {
  const { meta } = await db
    .prepare(
      `UPDATE outbox SET due_at = ${HELD_DUE_AT} WHERE outbox_id IN (
         SELECT o.outbox_id FROM destinations AS d CROSS JOIN ${SPANS} AS span CROSS JOIN outbox AS o ON ${inSpan("o")}
         WHERE o.state IN ('due', 'waiting') AND EXISTS (
           SELECT 1 FROM outbox AS earlier
           WHERE earlier.destination_id = o.destination_id AND earlier.subject = o.subject
             AND earlier.outbox_id < o.outbox_id AND earlier.open = 1 AND earlier.state = 'dead')
         LIMIT ?2)`,
    )
    .bind(now, limit)
    .run();
  return meta.changes;
}

/**
 * Parks rows whose lease ran out time after time: their posts seem to bring the relay down.
 * @returns how many, at most `limit`.
 */
export async function parkExpired(db: D1Database, now: number, limit: number): Promise<number> {
  const { meta } = await db
    .prepare(
      `UPDATE outbox SET state = 'dead', due_at = ${HELD_DUE_AT}, settled_at = ?1, last_status = NULL, last_error = 'lease-expired',
         expired_leases = ${expiries("outbox")}
       WHERE outbox_id IN (
         SELECT o.outbox_id FROM destinations AS d CROSS JOIN ${SPANS} AS span CROSS JOIN outbox AS o ON ${inSpan("o")}
         WHERE o.state = 'leased' AND o.leased_until <= ?1
           AND ${expiries("o")} >= ${MAX_EXPIRED_LEASES} LIMIT ?2)`,
    )
    .bind(now, limit)
    .run();
  return meta.changes;
}
