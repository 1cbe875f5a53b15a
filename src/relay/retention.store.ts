/** What is deleted and given up with time. */
import { discardRows } from "./discards.store.ts";

export const RETENTION_REASON = "RETENTION-EXPIRED";

/**
 * Discards dead letters that are older than the retention, each with the rest of its lane.
 * @param before epoch ms. @param limit of dead letters looked at.
 */
export async function pruneDeadLetters(
  db: D1Database,
  before: number,
  limit: number,
  now: number,
): Promise<{ readonly discarded: number; readonly rest: number }> {
  const { results } = await db
    .prepare("SELECT outbox_id FROM outbox WHERE state = 'dead' AND settled_at < ?1 ORDER BY settled_at LIMIT ?2")
    .bind(before, limit)
    .all<{ readonly outbox_id: number }>();
  const ids = results.map((row) => row.outbox_id);
  return discardRows(db, ids, { reason: RETENTION_REASON, by: undefined, rest: "discard" }, now);
}

/**
 * Deletes delivered and discarded rows, with their attempts, that were settled before `before` (epoch ms). Rows are looked at in the
 * order they were written, `limit` a call, from where the last call stopped: no index is kept for this. The newest row stays,
 * whatever it is, so that no id is given twice.
 * @returns how many went.
 */
export async function pruneSettled(db: D1Database, before: number, limit: number): Promise<number> {
  const window = `SELECT outbox_id, state, settled_at, created_at FROM outbox
    WHERE outbox_id > (SELECT pruned_to FROM relay_leases) ORDER BY outbox_id LIMIT ?2`;
  const gone = `SELECT outbox_id FROM (${window}) WHERE state IN ('delivered', 'discarded') AND settled_at < ?1
    AND outbox_id < (SELECT MAX(outbox_id) FROM outbox)`;
  const [, deleted] = await db.batch([
    db.prepare(`DELETE FROM delivery_attempts WHERE outbox_id IN (${gone})`).bind(before, limit),
    db.prepare(`DELETE FROM outbox WHERE outbox_id IN (${gone}) RETURNING outbox_id`).bind(before, limit),
  ]);
  if ((deleted?.results.length ?? 0) === 0) {
    // On to the next rows; from the start again once what is looked at is too young, or there is nothing left.
    await db
      .prepare(
        `UPDATE relay_leases SET pruned_to = seen.pruned_to
         FROM (SELECT CASE WHEN COUNT(*) < ?2 OR MAX(created_at) >= ?1 THEN 0 ELSE MAX(outbox_id) END AS pruned_to
           FROM (${window})) AS seen
         WHERE relay_leases.pruned_to <> seen.pruned_to`,
      )
      .bind(before, limit)
      .run();
  }
  return deleted?.results.length ?? 0;
}
