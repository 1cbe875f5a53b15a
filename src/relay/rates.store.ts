/** The rate of each destination: the leaky bucket of rate.ts in SQL. */

/** Of destination `d`, whose bucket is `r`. */
export const BURST = "MAX(1, d.requests_per_minute / 10)";

export const INTERVAL_US = `((60000000 + d.requests_per_minute - ${BURST}) / (d.requests_per_minute - ${BURST} + 1))`;

/** ?1: now, epoch ms. */
const NOW_US = "(CAST(?1 AS INTEGER) * 1000)";

export const DRAINED_AT_US = `MAX(${NOW_US}, COALESCE(r.drained_at_us, 0))`;

/** Leases that the bucket has room for. */
export const ROOM = `((${NOW_US} + ${BURST} * ${INTERVAL_US} - ${DRAINED_AT_US}) / ${INTERVAL_US})`;

/** Leaves room for one lease in a destination's bucket, so that a backlog does not begin with a burst. */
export function emptyBurst(db: D1Database, destinationId: string, now: number): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE relay_rates SET drained_at_us = MAX(drained_at_us, (
         SELECT ${NOW_US} + (${BURST} - 1) * ${INTERVAL_US} FROM destinations AS d
         WHERE d.destination_id = relay_rates.destination_id))
       WHERE destination_id = ?2`,
    )
    .bind(now, destinationId);
}
