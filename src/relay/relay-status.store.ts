/** What is on its way, by destination. */
import { stateOf } from "./lanes.store.ts";
import type { DestinationKind } from "./port.ts";

export interface DestinationStatus {
  readonly destinationId: string;
  readonly tenantId: string;
  readonly kind: DestinationKind;
  /** Broken: its breaker is not closed. */
  readonly state: "active" | "paused" | "broken";
  /** Epoch ms of the next probe of a broken destination. */
  readonly nextProbeAt: number | null;
  readonly deliverAfter: "commit" | "anchor";
  readonly requestsPerMinute: number;
  readonly timeoutMs: number;
  readonly deliveredCount: number;
  /** Rows on their way, retried and waiting ones among them. */
  readonly pending: number;
  /** Of these, rows that failed at least once. */
  readonly retrying: number;
  /** Of these, rows that wait for their anchor. */
  readonly waiting: number;
  /** Of these, rows in the relay's hands now: none is left some time after a pause. */
  readonly underWay: number;
  readonly deadLetterCount: number;
  /** Age of the oldest row on its way, ms; null when there is none. */
  readonly oldestPendingAgeMs: number | null;
}

export interface RelayStatus {
  /** Epoch ms since when the relay as a whole is paused; null while it runs. */
  readonly pausedAt: number | null;
  readonly deliveredCount: number;
  readonly pending: number;
  readonly retrying: number;
  readonly waiting: number;
  readonly underWay: number;
  readonly deadLetterCount: number;
  readonly oldestPendingAgeMs: number | null;
  readonly destinations: readonly DestinationStatus[];
}

/** @param tenantId undefined: of every tenant. */
export async function relayStatus(db: D1Database, now: number, tenantId: string | undefined): Promise<RelayStatus> {
  const [counted, leases] = await db.batch<DestinationStatus & { readonly paused_at: number | null }>([
    db
      .prepare(
        `SELECT d.destination_id AS destinationId, d.tenant_id AS tenantId, d.kind,
         CASE WHEN d.state = 'active' AND COALESCE(c.breaker, 'closed') <> 'closed' THEN 'broken' ELSE d.state END AS state,
         CASE WHEN COALESCE(c.breaker, 'closed') <> 'closed' THEN c.breaker_until END AS nextProbeAt, d.deliver_after AS deliverAfter,
         d.requests_per_minute AS requestsPerMinute, d.timeout_ms AS timeoutMs, COALESCE(c.delivered, 0) AS deliveredCount,
         COALESCE(p.pending, 0) AS pending, COALESCE(p.retrying, 0) AS retrying, COALESCE(p.waiting, 0) AS waiting,
         COALESCE(p.under_way, 0) AS underWay,
         COALESCE(p.dead, 0) AS deadLetterCount, MAX(0, CAST(?1 AS INTEGER) - p.oldest) AS oldestPendingAgeMs
       FROM destinations AS d
         LEFT JOIN relay_counters AS c ON c.destination_id = d.destination_id
         LEFT JOIN (
           SELECT destination_id, SUM(state <> 'dead') AS pending, SUM(${stateOf("o")} = 'waiting') AS waiting, SUM(state = 'dead') AS dead,
             SUM(state <> 'dead' AND last_error IS NOT NULL) AS retrying, SUM(state = 'leased' AND leased_until > ?1) AS under_way,
             MIN(CASE WHEN state <> 'dead' THEN created_at END) AS oldest
           FROM outbox AS o WHERE open = 1 GROUP BY destination_id
         ) AS p ON p.destination_id = d.destination_id
       WHERE ?2 IS NULL OR d.tenant_id = ?2
       ORDER BY d.destination_id`,
      )
      .bind(now, tenantId ?? null),
    db.prepare("SELECT paused_at FROM relay_leases"),
  ]);
  const destinations: readonly DestinationStatus[] = counted?.results ?? [];
  const sum = (count: (status: DestinationStatus) => number): number =>
    destinations.reduce((total, status) => total + count(status), 0);
  return {
    pausedAt: leases?.results[0]?.paused_at ?? null,
    deliveredCount: sum((status) => status.deliveredCount),
    pending: sum((status) => status.pending),
    retrying: sum((status) => status.retrying),
    waiting: sum((status) => status.waiting),
    underWay: sum((status) => status.underWay),
    deadLetterCount: sum((status) => status.deadLetterCount),
    oldestPendingAgeMs: destinations.reduce<number | null>(
      (oldest, { oldestPendingAgeMs: age }) => (age === null ? oldest : Math.max(oldest ?? 0, age)),
      null,
    ),
    destinations,
  };
}
