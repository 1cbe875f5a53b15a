/** Leases: heads of lanes that are due, many in one transaction, each under a fencing token. */
import type { EventType } from "./event-type.ts";
import {
  anchoredSize,
  BROKEN,
  DESTINATIONS,
  DOUBTFUL,
  expiries,
  inSpan,
  isFree,
  MAX_EXPIRED_LEASES,
  NOT_BEHIND_ANOTHER,
  RUNNING,
  SPANS,
  SUSPECTED_AT,
  WAITS_FROM,
} from "./lanes.store.ts";
import { DESTINATION_JSON, leasedDestination } from "./leased-destination.store.ts";
import type { Lease, LeasedDelivery } from "./port.ts";
import { BURST, DRAINED_AT_US, INTERVAL_US, ROOM } from "./rates.store.ts";

/** How long a leased row may wait in the relay's hands before its post begins. */
export const LEASE_SLACK_MS = 15_000;

/** Wake-ups arrive at whole seconds. */
const WAKE_GRAIN_MS = 1_000;

/** Heads of lanes of destination `room` that stand at `where` in outbox_due, in its order. */
function headsOf(since: string, where: string): string {
  return `SELECT o.outbox_id, ${since} AS since FROM outbox AS o
        WHERE o.destination_id = room.destination_id AND o.open = 1 AND ${where} AND ${isFree("o")}
          AND ${NOT_BEHIND_ANOTHER}
          AND (${expiries("o")} < ${SUSPECTED_AT} OR o.outbox_id = (
            SELECT MIN(s.outbox_id) FROM ${SPANS} AS span CROSS JOIN outbox AS s ON ${inSpan("s", "o")}
            WHERE ${isFree("s")} AND ${expiries("s")} >= ${SUSPECTED_AT} AND ${expiries("s")} < ${MAX_EXPIRED_LEASES}))
        ORDER BY o.due_at LIMIT ?2`;
}

/**
 * Chooses the heads to lease and writes them beside the token, for the statements behind it: no index tells what was just leased. An
 * empty choice is written only over another one of the same millisecond. ?1 now, ?2 per destination, ?3 limit, ?4 excluded destinations.
 */
const CHOOSE_HEADS = `WITH
room AS (
  SELECT d.destination_id,
    CASE WHEN COALESCE(c.breaker, 'closed') <> 'closed' OR ${DOUBTFUL} THEN MIN(1, ${ROOM}) ELSE ${ROOM} END AS room
  FROM ${DESTINATIONS}
  WHERE ${RUNNING} AND NOT ${BROKEN} AND ${ROOM} >= 1 AND d.destination_id NOT IN (SELECT value FROM json_each(?4))
),
head AS (
  SELECT ranked.value AS outbox_id
  FROM room CROSS JOIN json_each((
    SELECT json_group_array(outbox_id) FROM (
      SELECT outbox_id, since FROM (${headsOf("o.due_at", "o.due_at <= ?1")})
      UNION ALL
      SELECT outbox_id, since FROM (${headsOf(
        "o.created_at",
        `o.due_at >= ${WAITS_FROM}
        AND o.due_at < ${WAITS_FROM} + COALESCE((SELECT MAX(${anchoredSize("heads")}) FROM ledger_heads AS heads), 0)`,
      )})
      ORDER BY since LIMIT ?2))) AS ranked
  WHERE ranked.key < room.room
  ORDER BY ranked.key LIMIT ?3
)
UPDATE relay_leases SET last_token = last_token + (chosen.handed <> '[]'), leased_at = CAST(?1 AS INTEGER), handed = chosen.handed
FROM (SELECT json_group_array(outbox_id) AS handed FROM head) AS chosen
WHERE chosen.handed <> '[]' OR (relay_leases.leased_at = ?1 AND relay_leases.handed <> '[]')`;

/** The rows that this lease chose, as `o` of destination `d`. ?1 now. */
const CHOSEN = `relay_leases AS l CROSS JOIN json_each(l.handed) AS j
  CROSS JOIN outbox AS o ON o.outbox_id = j.value
  CROSS JOIN destinations AS d ON d.destination_id = o.destination_id
  WHERE l.leased_at = ?1`;

/** With the chain's fields: the keys are there already, with null, and keep their places. */
const ANCHORED_BODY = `(SELECT json_set(outbox.body, '$.chainId', a.chain_id, '$.contractAddress', a.contract_address,
    '$.blockNumber', a.block_number, '$.blockHash', a.block_hash, '$.txHash', a.tx_hash, '$.logIndex', a.log_index)
  FROM anchors AS a WHERE a.ledger_id = outbox.ledger_id AND a.state = 'confirmed' AND a.size > outbox.seq
  ORDER BY a.size LIMIT 1)`;

/** The body of a row that waited for its anchor is frozen here, under the first anchor that covers it. ?1 now, ?2 lease beyond the timeout. */
const LEASE_CHOSEN = `UPDATE outbox
SET state = 'leased', lease_token = (SELECT last_token FROM relay_leases), expired_leases = ${expiries("outbox")},
  leased_until = (SELECT ?1 + ?2 + d.timeout_ms FROM destinations AS d WHERE d.destination_id = outbox.destination_id),
  body = CASE WHEN outbox.state = 'waiting' THEN ${ANCHORED_BODY} ELSE outbox.body END
WHERE outbox_id IN (SELECT o.outbox_id FROM ${CHOSEN})
RETURNING outbox_id, lease_token, event_id, event_type, body, correlation_id, attempts, destination_id, expired_leases`;

/** What was leased of a destination whose breaker is not closed is its probe. ?1, ?2 as above. */
const BEGIN_PROBES = `UPDATE relay_counters
SET breaker = 'half-open', window_calls = 0, window_failures = 0, window_evidence = 0,
  breaker_until = (SELECT ?1 + ?2 + d.timeout_ms FROM destinations AS d WHERE d.destination_id = relay_counters.destination_id)
WHERE breaker <> 'closed' AND breaker_until <= ?1 AND destination_id IN (SELECT o.destination_id FROM ${CHOSEN})`;

/** Charges each bucket with what was just leased, and returns the destinations it was leased for. ?1 now. */
const CHARGE_RATES = `INSERT INTO relay_rates (destination_id, drained_at_us)
SELECT d.destination_id, ${DRAINED_AT_US} + chosen.leased * ${INTERVAL_US}
FROM (SELECT o.destination_id, COUNT(*) AS leased FROM ${CHOSEN} GROUP BY o.destination_id) AS chosen
  CROSS JOIN destinations AS d ON d.destination_id = chosen.destination_id
  LEFT JOIN relay_rates AS r ON r.destination_id = d.destination_id
WHERE true
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
    SELECT 1 FROM ${SPANS} AS span CROSS JOIN outbox AS o ON ${inSpan("o")}
    WHERE ${isFree("o")} AND ${NOT_BEHIND_ANOTHER})
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
    db.prepare(CHOOSE_HEADS).bind(now, perDestination, limit, JSON.stringify(exclude)),
    db.prepare(LEASE_CHOSEN).bind(now, beyondTimeoutMs),
    db.prepare(BEGIN_PROBES).bind(now, beyondTimeoutMs),
    db.prepare(CHARGE_RATES).bind(now),
    db.prepare(HELD_UNTIL).bind(now),
  ];
}

/**
 * Leases due heads of lanes of active destinations in one transaction: rows that are due, those that an anchor covers by now, and
 * leased ones whose lease has run out. A lease lasts the slack, the destination's timeout and the wait after a timeout: one that ran out has waited already.
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
