/** Whether deliveries are due that nobody takes. */
import { inSpan, SPANS } from "../../relay/lanes.store.ts";

/**
 * True when the first of a lane has been due since before `dueBefore` and its destination takes deliveries: a relay that runs
 * leases such a row within a minute.
 * @param dueBefore epoch ms.
 */
export async function isDeliveryOverdue(db: D1Database, dueBefore: number): Promise<boolean> {
  const row = await db
    .prepare(
      `SELECT 1 AS overdue FROM destinations AS d CROSS JOIN ${SPANS} AS span CROSS JOIN outbox AS o ON ${inSpan("o")}
       WHERE d.state = 'active' AND o.state IN ('due', 'waiting') AND ((o.state = 'due' AND span.since = 0) OR o.seq < (
           SELECT a.size FROM anchors AS a
           WHERE a.ledger_id = o.ledger_id AND a.state = 'confirmed' AND a.confirmed_at <= CAST(?1 AS INTEGER)
           ORDER BY a.size DESC LIMIT 1))
         AND NOT EXISTS (SELECT 1 FROM relay_leases WHERE paused_at IS NOT NULL)
         AND NOT EXISTS (SELECT 1 FROM relay_counters AS c WHERE c.destination_id = d.destination_id AND c.breaker <> 'closed')
         AND NOT EXISTS (SELECT 1 FROM relay_rates AS r
           WHERE r.destination_id = d.destination_id AND r.drained_at_us > CAST(?1 AS INTEGER) * 1000)
         AND NOT EXISTS (SELECT 1 FROM outbox AS earlier
           WHERE earlier.destination_id = o.destination_id AND earlier.subject = o.subject
             AND earlier.outbox_id < o.outbox_id AND earlier.open = 1)
       LIMIT 1`,
    )
    .bind(dueBefore)
    .first<{ readonly overdue: 1 }>();
  return row !== null;
}
