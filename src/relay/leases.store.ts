/** Leases: heads of lanes that are due, many in one transaction, each under a fencing token. */
import type { EventType } from "./event-type.ts";
import {
  BROKEN,
  DESTINATIONS,
  DOUBTFUL,
  expiries,
  MAX_EXPIRED_LEASES,
  NOT_BEHIND_ANOTHER,
  RUNNING,
  SUSPECTED_AT,
} from "./lanes.store.ts";
import { DESTINATION_JSON, leasedDestination } from "./leased-destination.store.ts";
import type { Lease, LeasedDelivery } from "./port.ts";
import { BURST, DRAINED_AT_US, INTERVAL_US, ROOM } from "./rates.store.ts";

/** How long a leased row may wait in the relay's hands before its post begins. */
export const LEASE_SLACK_MS = 15_000;

/** Wake-ups arrive at whole seconds. */
const WAKE_GRAIN_MS = 1_000;

/**
 * Rises too when a lease of the same millisecond handed out rows: by token and time they would pass for this one's. ?1 now, ?2 lease
 * beyond the destination's timeout, ?3 excluded destinations.
 */
const RISE_TOKEN = `UPDATE relay_leases SET last_token = last_token + 1
WHERE EXISTS (
  SELECT 1 FROM ${DESTINATIONS} CROSS JOIN outbox AS o ON o.destination_id = d.destination_id
  WHERE ${RUNNING} AND NOT ${BROKEN} AND ${ROOM} >= 1 AND d.destination_id NOT IN (SELECT value FROM json_each(?3))
    AND o.state IN ('due', 'leased') AND o.due_at <= ?1)
OR EXISTS (
  SELECT 1 FROM destinations AS d CROSS JOIN outbox AS o ON o.destination_id = d.destination_id
  WHERE o.state IN ('due', 'leased') AND o.due_at = ?1 + ?2 + d.timeout_ms AND o.state = 'leased'
    AND o.lease_token = last_token)`;

/** ?1 now, ?2 lease beyond the destination's timeout, ?3 per destination, ?4 limit, ?5 excluded destinations. */
const LEASE_HEADS = `WITH
room AS (
  SELECT d.destination_id, d.timeout_ms,
    CASE WHEN COALESCE(c.breaker, 'closed') <> 'closed' OR ${DOUBTFUL} THEN MIN(1, ${ROOM}) ELSE ${ROOM} END AS room
  FROM ${DESTINATIONS}
  WHERE ${RUNNING} AND NOT ${BROKEN} AND d.destination_id NOT IN (SELECT value FROM json_each(?5))
),
head AS (
  SELECT ranked.value AS outbox_id, room.timeout_ms
  FROM room CROSS JOIN json_each((
    SELECT json_group_array(outbox_id) FROM (
      SELECT o.outbox_id FROM outbox AS o
      WHERE o.destination_id = room.destination_id AND o.state IN ('due', 'leased') AND o.due_at <= ?1
        AND ${NOT_BEHIND_ANOTHER}
        AND (${expiries("o")} < ${SUSPECTED_AT} OR o.outbox_id = (
          SELECT MIN(s.outbox_id) FROM outbox AS s
          WHERE s.destination_id = o.destination_id AND s.state IN ('due', 'leased') AND s.due_at <= ?1
            AND ${expiries("s")} >= ${SUSPECTED_AT} AND ${expiries("s")} < ${MAX_EXPIRED_LEASES}))
      ORDER BY o.due_at LIMIT ?3))) AS ranked
  WHERE ranked.key < room.room
  ORDER BY ranked.key LIMIT ?4
)
UPDATE outbox
SET state = 'leased', due_at = ?1 + ?2 + head.timeout_ms, lease_token = (SELECT last_token FROM relay_leases),
  expired_leases = ${expiries("outbox")}
FROM head WHERE outbox.outbox_id = head.outbox_id
RETURNING outbox_id, lease_token, event_id, event_type, body, correlation_id, attempts, destination_id, expired_leases`;

/** Of the destination in scope as `d`: what this lease took. ?1, ?2 as above. */
const JUST_LEASED = `FROM outbox AS o
      WHERE o.destination_id = d.destination_id AND o.state IN ('due', 'leased') AND o.due_at = ?1 + ?2 + d.timeout_ms
        AND o.state = 'leased' AND o.lease_token = (SELECT last_token FROM relay_leases)`;

/** What was leased of a destination whose breaker is not closed is its probe. */
const BEGIN_PROBES = `UPDATE relay_counters
SET breaker = 'half-open', window_calls = 0, window_failures = 0, window_evidence = 0,
  breaker_until = (SELECT ?1 + ?2 + d.timeout_ms FROM destinations AS d WHERE d.destination_id = relay_counters.destination_id)
WHERE breaker <> 'closed' AND breaker_until <= ?1 AND EXISTS (
  SELECT 1 FROM destinations AS d WHERE d.destination_id = relay_counters.destination_id AND EXISTS (SELECT 1 ${JUST_LEASED}))`;

/** Charges each bucket with what was just leased, and returns the destinations it was leased for. ?1, ?2 as above. */
const CHARGE_RATES = `INSERT INTO relay_rates (destination_id, drained_at_us)
SELECT destination_id, drained_at_us + leased * interval_us FROM (
  SELECT d.destination_id, ${DRAINED_AT_US} AS drained_at_us, ${INTERVAL_US} AS interval_us,
    (SELECT COUNT(*) ${JUST_LEASED}) AS leased
  FROM destinations AS d LEFT JOIN relay_rates AS r ON r.destination_id = d.destination_id
  WHERE d.state = 'active'
) WHERE leased > 0
ON CONFLICT (destination_id) DO UPDATE SET drained_at_us = excluded.drained_at_us
RETURNING destination_id,
  (SELECT ${DESTINATION_JSON} FROM destinations AS d WHERE d.destination_id = relay_rates.destination_id) AS destination,
  EXISTS (SELECT 1 FROM relay_counters AS c WHERE c.destination_id = relay_rates.destination_id AND c.breaker = 'closed'
    AND ${DOUBTFUL}) AS doubtful`;

/**
 * When the first destination that is held up by its rate or its breaker alone takes another lease; NULL when a wake-up for then is on
 * its way. ?1 now.
 */
const HELD_UNTIL = `SELECT until_us FROM (
  SELECT MIN(MAX(COALESCE(r.drained_at_us - (${BURST} - 1) * ${INTERVAL_US}, 0),
    CASE WHEN ${BROKEN} THEN c.breaker_until * 1000 ELSE 0 END)) AS until_us
  FROM ${DESTINATIONS}
  WHERE ${RUNNING} AND (${ROOM} < 1 OR ${BROKEN}) AND EXISTS (
    SELECT 1 FROM outbox AS o
    WHERE o.destination_id = d.destination_id AND o.state IN ('due', 'leased') AND o.due_at <= ?1 AND ${NOT_BEHIND_ANOTHER})
) WHERE until_us IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM relay_leases WHERE wake_at > ?1 AND wake_at <= until_us / 1000 + ${WAKE_GRAIN_MS})`;

export interface LeaseOptions {
  /** Epoch ms. */
  readonly now: number;
  readonly limit: number;
  readonly perDestination: number;
  readonly exclude: readonly string[];
  readonly afterTimeoutWaitMs: number;
}

interface LeasedRow {
  readonly outbox_id: number;
  readonly lease_token: number;
  readonly event_id: string;
  readonly event_type: EventType;
  readonly body: string;
  readonly correlation_id: string;
  readonly attempts: number;
  readonly destination_id: string;
  readonly expired_leases: number;
}

interface LeasedDestinationRow {
  readonly destination_id: string;
  /** DESTINATION_JSON. */
  readonly destination: string;
  /** It was given one delivery only. */
  readonly doubtful: 0 | 1;
}

interface RateLimitedRow {
  readonly until_us: number | null;
}

/** In the order of their batch. */
function leaseStatements(db: D1Database, options: LeaseOptions): D1PreparedStatement[] {
  const { now, limit, perDestination, exclude, afterTimeoutWaitMs } = options;
  const beyondTimeoutMs = LEASE_SLACK_MS + afterTimeoutWaitMs;
  return [
    db.prepare(RISE_TOKEN).bind(now, beyondTimeoutMs, JSON.stringify(exclude)),
    db.prepare(LEASE_HEADS).bind(now, beyondTimeoutMs, perDestination, limit, JSON.stringify(exclude)),
    db.prepare(BEGIN_PROBES).bind(now, beyondTimeoutMs),
    db.prepare(CHARGE_RATES).bind(now, beyondTimeoutMs),
    db.prepare(HELD_UNTIL).bind(now),
  ];
}

/**
 * Leases due heads of lanes of active destinations in one transaction: rows that are due, and leased ones whose lease has run
 * out. A lease lasts the slack, the destination's timeout and the wait after a timeout: one that ran out has waited already.
 */
export async function leaseDue(db: D1Database, options: LeaseOptions): Promise<Lease> {
  // Each statement's rows have the part of these columns that it returns.
  const results = await db.batch<LeasedRow & LeasedDestinationRow & RateLimitedRow>(leaseStatements(db, options));
  const rows: readonly LeasedRow[] = results[1]?.results ?? [];
  const charged: readonly LeasedDestinationRow[] = results[3]?.results ?? [];
  const limited: readonly RateLimitedRow[] = results[4]?.results ?? [];
  const destinations = new Map(
    charged.map((row) => [row.destination_id, leasedDestination(row.destination_id, row.destination)]),
  );
  const startBeforeMs = options.now + LEASE_SLACK_MS;
  const perDestination = new Map<string, number>();
  const deliveries = rows
    .map((row): LeasedDelivery => {
      const destination = destinations.get(row.destination_id);
      if (destination === undefined) throw new Error(`leased for an uncharged destination ${row.destination_id}`);
      perDestination.set(row.destination_id, (perDestination.get(row.destination_id) ?? 0) + 1);
      return {
        outboxId: row.outbox_id,
        leaseToken: row.lease_token,
        startBeforeMs,
        eventId: row.event_id,
        eventType: row.event_type,
        body: row.body,
        correlationId: row.correlation_id,
        attempts: row.attempts,
        ...(row.expired_leases >= SUSPECTED_AT ? { suspected: true as const } : {}),
        destination,
      };
    })
    .sort((a, b) => a.outboxId - b.outboxId);
  const untilUs = limited[0]?.until_us ?? undefined;
  return {
    deliveries,
    more:
      deliveries.length >= options.limit ||
      rows.some((row) => row.expired_leases >= SUSPECTED_AT) ||
      charged.some(({ doubtful }) => doubtful === 1) ||
      [...perDestination.values()].some((count) => count >= options.perDestination),
    rateLimitedUntilMs: untilUs === undefined ? undefined : Math.ceil(untilUs / 1000),
  };
}

/**
 * The post of a suspected row begins.
 * @returns whether its lease stands.
 */
export async function beginSuspected(db: D1Database, outboxId: number, leaseToken: number): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `UPDATE outbox SET expired_leases = expired_leases + 1 WHERE outbox_id = ?1 AND lease_token = ?2 AND state = 'leased'`,
    )
    .bind(outboxId, leaseToken)
    .run();
  return meta.changes > 0;
}

/**
 * Claims the right to send the one pending wake-up.
 * @returns false when another arrives before `at` (epoch ms) already.
 */
export async function claimWake(db: D1Database, now: number, at: number): Promise<boolean> {
  const { meta } = await db
    .prepare("UPDATE relay_leases SET wake_at = ?2 WHERE wake_at <= ?1 OR wake_at > ?2")
    .bind(now, at)
    .run();
  return meta.changes > 0;
}
