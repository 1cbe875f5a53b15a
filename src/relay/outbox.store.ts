/**
 * The outbox: leases, outcomes, status. Every lease and every outcome goes through these statements, many rows at a time.
 *
 * Invariants. Only the head of a lane (destination, subject) is leased: the earliest row that is neither delivered nor discarded, so
 * a dead or waiting row holds those behind it. An outcome counts only under the lease token of the row. A row behind a head that
 * waits gets the head's due time, so that a long backlog is not read again with each lease; that is for speed alone.
 *
 * Numbers are bound as doubles: they pass through a JSON parameter or a CAST wherever their kind matters.
 */
import {
  BREAKER_POLICY,
  type Breaker,
  type BreakerChange,
  breakerAfter,
  isEndpointFailure,
  isEvidence,
} from "./breaker.ts";
import type { EventType } from "./event-type.ts";
import type { ChainFields } from "./events.ts";
import type { DeliveryOutcome, DestinationKind, Lease, LeasedDelivery, LeasedDestination, PostResult } from "./port.ts";
import {
  type Classification,
  classifyResponse,
  countsAsAttempt,
  destinationHoldMs,
  nextDueAt,
  type RetryPolicy,
} from "./retry.ts";

/** How long a leased row may wait in the relay's hands before its post begins. */
export const LEASE_SLACK_MS = 15_000;

/** What is kept of an answer. */
export const MAX_ANSWER_CHARS = 1_024;

/** Due time of rows behind a dead letter: releasing the lane gives them a real one. */
export const HELD_DUE_AT = 8_640_000_000_000_000;

/**
 * A post that brings the relay down leaves no outcome, only a lease that runs out. A row whose lease ran out twice is suspected: it
 * goes one to a lease, so that it takes few others with it, and its posts are announced. A lease may run out without any post, with
 * its answer lost, so from there on only announced posts count; after the third without an outcome the row is a dead letter.
 */
export const MAX_EXPIRED_LEASES = 5;
const SUSPECTED_AT = 2;

const NOT_BEHIND_ANOTHER = `NOT EXISTS (
  SELECT 1 FROM outbox AS earlier
  WHERE earlier.destination_id = o.destination_id AND earlier.subject = o.subject AND earlier.outbox_id < o.outbox_id
    AND earlier.state NOT IN ('delivered', 'discarded'))`;

/** The rate of a destination `d` and what its bucket `r` has room for at ?1; the arithmetic of rate.ts in SQL. */
const BURST = "MAX(1, d.requests_per_minute / 10)";
const INTERVAL_US = `((60000000 + d.requests_per_minute - ${BURST}) / (d.requests_per_minute - ${BURST} + 1))`;
const NOW_US = "(CAST(?1 AS INTEGER) * 1000)";
const DRAINED_AT_US = `MAX(${NOW_US}, COALESCE(r.drained_at_us, 0))`;
const ROOM = `((${NOW_US} + ${BURST} * ${INTERVAL_US} - ${DRAINED_AT_US}) / ${INTERVAL_US})`;

const DESTINATIONS = `destinations AS d
    LEFT JOIN relay_rates AS r ON r.destination_id = d.destination_id
    LEFT JOIN relay_counters AS c ON c.destination_id = d.destination_id`;

const RUNNING = "d.state = 'active' AND NOT EXISTS (SELECT 1 FROM relay_leases WHERE paused_at IS NOT NULL)";

/** Open and not yet up for a probe, or half-open with the probe under way. ?1 now. */
const BROKEN = "(COALESCE(c.breaker, 'closed') <> 'closed' AND c.breaker_until > ?1)";

/**
 * Rises too when a lease of the same millisecond handed out rows: by token and time they would pass for this one's. ?1 now, ?2 lease
 * beyond the destination's timeout.
 */
const RISE_TOKEN = `UPDATE relay_leases SET last_token = last_token + 1
WHERE EXISTS (
  SELECT 1 FROM ${DESTINATIONS} CROSS JOIN outbox AS o ON o.destination_id = d.destination_id
  WHERE ${RUNNING} AND NOT ${BROKEN} AND ${ROOM} >= 1 AND o.state IN ('due', 'leased') AND o.due_at <= ?1)
OR EXISTS (
  SELECT 1 FROM destinations AS d CROSS JOIN outbox AS o ON o.destination_id = d.destination_id
  WHERE o.state IN ('due', 'leased') AND o.due_at = ?1 + ?2 + d.timeout_ms AND o.state = 'leased'
    AND o.lease_token = last_token)`;

/** Row `x`'s count towards MAX_EXPIRED_LEASES, when its lease, if it has one, has run out. */
const expiries = (x: string): string =>
  `MAX(${x}.expired_leases, MIN(${SUSPECTED_AT}, ${x}.expired_leases + (${x}.state = 'leased')))`;

/** ?1 now, ?2 lease beyond the destination's timeout, ?3 per destination, ?4 limit, ?5 excluded destinations. */
const LEASE_HEADS = `WITH
room AS (
  SELECT d.destination_id, d.timeout_ms,
    CASE COALESCE(c.breaker, 'closed') WHEN 'closed' THEN ${ROOM} ELSE MIN(1, ${ROOM}) END AS room
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

/** What the relay needs to know of destination `d` to post to it. ?1 now. */
export const DESTINATION_JSON = `json_object('kind', d.kind, 'url', d.url, 'timeoutMs', d.timeout_ms,
    'secret', d.secret_wrapped, 'secretKey', d.wrapping_key_id,
    'previous', CASE WHEN d.previous_expires_at > ?1 THEN d.previous_secret_wrapped END,
    'previousKey', d.previous_wrapping_key_id, 'itransSignature', d.itrans_signature,
    'headers', d.headers_wrapped, 'headersKey', d.headers_wrapping_key_id)`;

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
  (SELECT ${DESTINATION_JSON} FROM destinations AS d WHERE d.destination_id = relay_rates.destination_id) AS destination`;

/** When the first destination that is held up by its rate or its breaker alone takes another lease. ?1 now. */
const HELD_UNTIL = `SELECT MIN(MAX(COALESCE(r.drained_at_us - (${BURST} - 1) * ${INTERVAL_US}, 0),
  CASE WHEN ${BROKEN} THEN c.breaker_until * 1000 ELSE 0 END)) AS until_us
FROM ${DESTINATIONS}
WHERE ${RUNNING} AND (${ROOM} < 1 OR ${BROKEN}) AND EXISTS (
  SELECT 1 FROM outbox AS o
  WHERE o.destination_id = d.destination_id AND o.state IN ('due', 'leased') AND o.due_at <= ?1 AND ${NOT_BEHIND_ANOTHER})`;

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
}

interface RateLimitedRow {
  readonly until_us: number | null;
}

/** In the order of their batch. */
function leaseStatements(db: D1Database, options: LeaseOptions): D1PreparedStatement[] {
  const { now, limit, perDestination, exclude, afterTimeoutWaitMs } = options;
  const beyondTimeoutMs = LEASE_SLACK_MS + afterTimeoutWaitMs;
  return [
    db.prepare(RISE_TOKEN).bind(now, beyondTimeoutMs),
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

interface DestinationJson {
  readonly kind: DestinationKind;
  readonly url: string;
  readonly timeoutMs: number;
  readonly secret: string | null;
  readonly secretKey: string | null;
  readonly previous: string | null;
  readonly previousKey: string | null;
  readonly itransSignature: "current" | "previous";
  readonly headers: string | null;
  readonly headersKey: string | null;
}

/** @param json DESTINATION_JSON. */
export function leasedDestination(destinationId: string, json: string): LeasedDestination {
  const row: DestinationJson = JSON.parse(json);
  const sealed = (value: string | null, keyId: string | null) =>
    value === null || keyId === null ? undefined : { keyId, sealed: value };
  const previous = sealed(row.previous, row.previousKey);
  const headers = sealed(row.headers, row.headersKey);
  return {
    destinationId,
    kind: row.kind,
    url: row.url,
    timeoutMs: row.timeoutMs,
    sealedSecret: sealed(row.secret, row.secretKey),
    itransSignature: row.itransSignature,
    ...(previous === undefined ? {} : { sealedPreviousSecret: previous }),
    ...(headers === undefined ? {} : { sealedHeaders: headers }),
  };
}

/**
 * Materialized where an UPDATE joins it: flattened, SQLite would rather read the outbox from end to end.
 * ?1 is a JSON array of settled outcomes (see SettledOutcome); each counts only under the token of a row that is leased.
 */
const HELD_UNDER_TOKEN = `json_each(?1) AS j
  CROSS JOIN outbox AS o ON o.outbox_id = j.value ->> 'id'
  WHERE o.lease_token = j.value ->> 'token' AND o.state = 'leased'`;

const RECORD_ATTEMPTS = `INSERT OR IGNORE INTO delivery_attempts
  (outbox_id, lease_token, started_at, duration_ms, outcome, status, error, answer)
SELECT o.outbox_id, o.lease_token, j.value ->> 'startedAt', j.value ->> 'durationMs', j.value ->> 'outcome',
  j.value ->> 'status', j.value ->> 'error', j.value ->> 'answer'
FROM ${HELD_UNDER_TOKEN} AND j.value ->> 'outcome' <> 'released'`;

/** The window is old, and something succeeded in it. */
const WINDOW_OVER = "(window_started_at <= excluded.window_started_at - ?3 AND window_failures < window_calls)";

/** ?2 now, ?3 the breaker's window, ms. One row for each destination, however many outcomes. */
const COUNT_POSTS = `INSERT INTO relay_counters (destination_id, delivered, window_started_at, window_calls, window_failures,
  window_evidence, last_posted_at)
SELECT o.destination_id, SUM(j.value ->> 'outcome' = 'delivered'), CAST(?2 AS INTEGER), COUNT(*), SUM(j.value ->> 'failed'),
  SUM(j.value ->> 'evidence'),
  CAST(?2 AS INTEGER)
FROM ${HELD_UNDER_TOKEN} AND j.value ->> 'outcome' <> 'released' GROUP BY o.destination_id
ON CONFLICT (destination_id) DO UPDATE SET delivered = delivered + excluded.delivered, last_posted_at = excluded.last_posted_at,
  window_started_at = CASE WHEN ${WINDOW_OVER} THEN excluded.window_started_at ELSE window_started_at END,
  window_calls = excluded.window_calls + CASE WHEN ${WINDOW_OVER} THEN 0 ELSE window_calls END,
  window_failures = excluded.window_failures + CASE WHEN ${WINDOW_OVER} THEN 0 ELSE window_failures END,
  window_evidence = excluded.window_evidence + CASE WHEN ${WINDOW_OVER} THEN 0 ELSE window_evidence END
RETURNING destination_id AS destinationId, breaker AS state, window_calls AS calls, window_failures AS failures,
  window_evidence AS evidence,
  breaker_opens AS opens`;

/** A probe that was not posted: the next lease has another. ?2 now. */
const RETURN_PROBES = `UPDATE relay_counters SET breaker = 'open', breaker_until = ?2
WHERE breaker = 'half-open' AND destination_id IN (
  SELECT o.destination_id FROM ${HELD_UNDER_TOKEN} AND j.value ->> 'outcome' = 'released')`;

/** A destination that answered 429 is left alone for as long as it asked, and takes one post at a time then. ?2 now. */
const HOLD_RATES = `UPDATE relay_rates SET drained_at_us = MAX(relay_rates.drained_at_us, held.drained_at_us)
FROM (
  SELECT o.destination_id,
    MAX((CAST(?2 AS INTEGER) + (j.value ->> 'holdMs')) * 1000 + (${BURST} - 1) * ${INTERVAL_US}) AS drained_at_us
  FROM json_each(?1) AS j
    CROSS JOIN outbox AS o ON o.outbox_id = j.value ->> 'id'
    CROSS JOIN destinations AS d ON d.destination_id = o.destination_id
  WHERE o.lease_token = j.value ->> 'token' AND o.state = 'leased' AND j.value ->> 'holdMs' IS NOT NULL
  GROUP BY o.destination_id
) AS held
WHERE relay_rates.destination_id = held.destination_id`;

/** A released row was not posted: its destination gets the place back. */
const REFUND_RATES = `UPDATE relay_rates SET drained_at_us = drained_at_us - released.count * released.interval_us
FROM (
  SELECT o.destination_id, COUNT(*) AS count, ${INTERVAL_US} AS interval_us
  FROM json_each(?1) AS j
    CROSS JOIN outbox AS o ON o.outbox_id = j.value ->> 'id'
    CROSS JOIN destinations AS d ON d.destination_id = o.destination_id
  WHERE o.lease_token = j.value ->> 'token' AND o.state = 'leased' AND j.value ->> 'outcome' = 'released'
  GROUP BY o.destination_id
) AS released
WHERE relay_rates.destination_id = released.destination_id`;

/** Before the rows themselves change, while they are still held under their tokens. */
const DELAY_ROWS_BEHIND = `WITH delayed AS MATERIALIZED (
  SELECT behind.outbox_id,
    CASE j.value ->> 'outcome' WHEN 'dead' THEN ${HELD_DUE_AT} ELSE j.value ->> 'dueAt' END AS due_at
  FROM json_each(?1) AS j
    CROSS JOIN outbox AS o ON o.outbox_id = j.value ->> 'id'
    CROSS JOIN outbox AS behind ON behind.destination_id = o.destination_id AND behind.subject = o.subject
      AND behind.outbox_id > o.outbox_id AND behind.state NOT IN ('delivered', 'discarded')
  WHERE o.lease_token = j.value ->> 'token' AND o.state = 'leased' AND j.value ->> 'outcome' IN ('retry', 'dead')
    AND behind.state = 'due'
)
UPDATE outbox SET due_at = delayed.due_at FROM delayed
WHERE outbox.outbox_id = delayed.outbox_id AND outbox.due_at < delayed.due_at`;

/** ?2 now. A released row keeps its attempts and what its last attempt said; a post that was announced was not made. */
const SETTLE_ROWS = `WITH settled AS MATERIALIZED (
  SELECT o.outbox_id, j.value ->> 'outcome' AS outcome, j.value ->> 'dueAt' AS due_at, j.value ->> 'counted' AS counted,
    j.value ->> 'notYetKnownSince' AS not_yet_known_since, j.value ->> 'status' AS status, j.value ->> 'error' AS error
  FROM ${HELD_UNDER_TOKEN}
)
UPDATE outbox SET
  state = CASE settled.outcome WHEN 'delivered' THEN 'delivered' WHEN 'dead' THEN 'dead' ELSE 'due' END,
  due_at = settled.due_at,
  attempts = outbox.attempts + settled.counted,
  not_yet_known_since = CASE settled.outcome WHEN 'released' THEN outbox.not_yet_known_since ELSE settled.not_yet_known_since END,
  last_status = CASE settled.outcome WHEN 'released' THEN outbox.last_status ELSE settled.status END,
  last_error = CASE settled.outcome WHEN 'released' THEN outbox.last_error ELSE settled.error END,
  settled_at = CASE WHEN settled.outcome IN ('delivered', 'dead') THEN CAST(?2 AS INTEGER) END,
  expired_leases = CASE settled.outcome WHEN 'released'
    THEN MAX(MIN(${SUSPECTED_AT}, outbox.expired_leases), outbox.expired_leases - 1) ELSE 0 END
FROM settled WHERE outbox.outbox_id = settled.outbox_id
RETURNING outbox_id AS outboxId, destination_id AS destinationId, event_type AS eventType, created_at AS createdAt`;

/** ?1 as above, ?2 now: lanes of these rows whose head is due. */
const COUNT_DUE_LANES = `SELECT COUNT(*) AS due FROM (
  SELECT DISTINCT o.outbox_id
  FROM json_each(?1) AS j
    CROSS JOIN outbox AS recorded ON recorded.outbox_id = j.value ->> 'id'
    CROSS JOIN outbox AS o ON o.outbox_id = (
      SELECT MIN(behind.outbox_id) FROM outbox AS behind
      WHERE behind.destination_id = recorded.destination_id AND behind.subject = recorded.subject
        AND behind.state NOT IN ('delivered', 'discarded'))
  WHERE o.state = 'due' AND o.due_at <= ?2)`;

/** One outcome with what it means, as the statements above read it. */
interface SettledOutcome {
  readonly id: number;
  readonly token: number;
  readonly outcome: "delivered" | "retry" | "dead" | "released";
  readonly startedAt?: number;
  readonly durationMs?: number;
  /** Epoch ms; for delivered and dead rows when that was. */
  readonly dueAt: number;
  readonly counted: 0 | 1;
  readonly notYetKnownSince?: number | undefined;
  readonly status?: number | undefined;
  readonly error?: string | undefined;
  readonly answer?: string | undefined;
  /** The destination failed as such. */
  readonly failed: 0 | 1;
  /** That failure is not this one event's alone. */
  readonly evidence: 0 | 1;
  /** The destination as a whole asked to be left alone. */
  readonly holdMs?: number | undefined;
}

export interface ScheduledRetry {
  readonly outboxId: number;
  /** Epoch ms. */
  readonly dueAt: number;
}

export interface Recorded {
  /** Rows changed; the others had been recorded before or leased again since. */
  readonly recorded: number;
  /** Lanes of these rows that have a row due now. */
  readonly due: number;
  readonly retries: readonly ScheduledRetry[];
  /** Destinations whose breaker opened or closed with this record. */
  readonly breakers: readonly { readonly destinationId: string; readonly change: "open" | "close" }[];
  /** The rows changed, and what became of each. */
  readonly settled: readonly SettledRow[];
}

export interface SettledRow {
  readonly outboxId: number;
  readonly destinationId: string;
  readonly eventType: EventType;
  /** Epoch ms: the commit of its event. */
  readonly createdAt: number;
  readonly outcome: "delivered" | "retry" | "dead" | "released";
}

interface StateRow {
  readonly outbox_id: number;
  readonly attempts: number;
  readonly not_yet_known_since: number | null;
  readonly last_asked_at: number | null;
  readonly outage: 0 | 1;
}

interface BreakerRow extends Breaker {
  readonly destinationId: string;
}

/**
 * Records many outcomes in one transaction; twice changes nothing. Attempts, counters and rows change together.
 * @param now epoch ms.
 * @param random uniform in [0, 1), for the jitter of the backoff.
 */
export async function recordOutcomes(
  db: D1Database,
  outcomes: readonly DeliveryOutcome[],
  policy: RetryPolicy,
  now: number,
  random: () => number,
): Promise<Recorded> {
  if (outcomes.length === 0) return { recorded: 0, due: 0, retries: [], breakers: [], settled: [] };
  const states = await statesOf(db, outcomes.filter(isFailure));
  const settled = outcomes.map((outcome) => settle(outcome, states.get(outcome.outboxId), policy, now, random));
  const has = (...kinds: readonly SettledOutcome["outcome"][]) =>
    settled.some(({ outcome }) => kinds.includes(outcome));
  const json = JSON.stringify(settled);

  const posted = has("delivered", "retry", "dead");
  const before: D1PreparedStatement[] = [];
  if (posted) {
    before.push(
      db.prepare(COUNT_POSTS).bind(json, now, BREAKER_POLICY.windowMs),
      db.prepare(RECORD_ATTEMPTS).bind(json),
    );
  }
  if (has("released")) before.push(db.prepare(REFUND_RATES).bind(json), db.prepare(RETURN_PROBES).bind(json, now));
  if (settled.some(({ holdMs }) => holdMs !== undefined)) before.push(db.prepare(HOLD_RATES).bind(json, now));
  if (has("retry", "dead")) before.push(db.prepare(DELAY_ROWS_BEHIND).bind(json));
  const results = await db.batch<{ readonly due: number } & BreakerRow & Omit<SettledRow, "outcome">>([
    ...before,
    db.prepare(SETTLE_ROWS).bind(json, now),
    db.prepare(COUNT_DUE_LANES).bind(json, now),
  ]);
  const outcomeOf = new Map(settled.map(({ id, outcome }) => [id, outcome]));
  const counted: readonly BreakerRow[] = posted ? (results[0]?.results ?? []) : [];
  const changes = counted.map((row) => ({ row, change: breakerAfter(row, BREAKER_POLICY, now) }));
  return {
    recorded: results.at(-2)?.meta.changes ?? 0,
    settled: (results.at(-2)?.results ?? []).flatMap(({ outboxId, destinationId, eventType, createdAt }) => {
      const outcome = outcomeOf.get(outboxId);
      return outcome === undefined ? [] : [{ outboxId, destinationId, eventType, createdAt, outcome }];
    }),
    due: results.at(-1)?.results[0]?.due ?? 0,
    retries: settled.flatMap(({ id, outcome, dueAt }) => (outcome === "retry" ? [{ outboxId: id, dueAt }] : [])),
    breakers: await changeBreakers(db, changes, now),
  };
}

/**
 * Rare, so a round trip of its own; the count stays over the line, so that one that is lost is made with the next record. A breaker
 * that closes leaves no burst in the bucket: what waited goes at the destination's pace.
 */
async function changeBreakers(
  db: D1Database,
  changes: readonly { readonly row: BreakerRow; readonly change: BreakerChange }[],
  now: number,
): Promise<Recorded["breakers"]> {
  const statements: D1PreparedStatement[] = [];
  const made: Recorded["breakers"][number][] = [];
  for (const { row, change } of changes) {
    if (change.type === "none") continue;
    const [state, until, opens] = change.type === "open" ? ["open", change.untilMs, change.opens] : ["closed", 0, 0];
    statements.push(
      db
        .prepare(
          `UPDATE relay_counters SET breaker = ?3, breaker_until = ?4, breaker_opens = ?5, window_started_at = ?6,
             window_calls = 0, window_failures = 0, window_evidence = 0
           WHERE destination_id = ?1 AND breaker = ?2`,
        )
        .bind(row.destinationId, row.state, state, until, opens, now),
    );
    if (change.type === "close") statements.push(emptyBurst(db, row.destinationId, now));
    made.push({ destinationId: row.destinationId, change: change.type });
  }
  if (statements.length > 0) await db.batch(statements);
  return made;
}

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

/** Delivered and released rows are settled without a look at the row: the common outcome costs one round trip. */
const isFailure = (outcome: DeliveryOutcome): boolean => outcome.type === "posted" && !isSuccess(outcome.result);

const isSuccess = (result: PostResult): boolean =>
  result.type === "answered" && result.status >= 200 && result.status < 300;

async function statesOf(db: D1Database, failures: readonly DeliveryOutcome[]): Promise<ReadonlyMap<number, StateRow>> {
  if (failures.length === 0) return new Map();
  const { results } = await db
    .prepare(
      `SELECT o.outbox_id, o.attempts, o.not_yet_known_since, COALESCE(c.breaker, 'closed') <> 'closed' AS outage,
         (SELECT MAX(a.started_at + a.duration_ms) FROM delivery_attempts AS a WHERE a.outbox_id = o.outbox_id) AS last_asked_at
       FROM json_each(?1) AS j
         CROSS JOIN outbox AS o ON o.outbox_id = j.value
         LEFT JOIN relay_counters AS c ON c.destination_id = o.destination_id`,
    )
    .bind(JSON.stringify(failures.map(({ outboxId }) => outboxId)))
    .all<StateRow>();
  return new Map(results.map((row) => [row.outbox_id, row]));
}

function settle(
  outcome: DeliveryOutcome,
  row: StateRow | undefined,
  policy: RetryPolicy,
  now: number,
  random: () => number,
): SettledOutcome {
  const key = { id: outcome.outboxId, token: outcome.leaseToken };
  if (outcome.type === "released")
    return { ...key, outcome: "released", dueAt: now, counted: 0, failed: 0, evidence: 0 };
  const state = {
    attempts: row?.attempts ?? 0,
    notYetKnownSince: row?.not_yet_known_since ?? undefined,
    lastAskedAt: row?.last_asked_at ?? undefined,
    outage: row?.outage === 1,
  };
  const meaning = classifyResponse(outcome.result, state, policy, now);
  return {
    ...key,
    outcome: meaning.type,
    startedAt: outcome.startedAt,
    durationMs: outcome.durationMs,
    dueAt: meaning.type === "retry" ? nextDueAt(meaning, state, policy, now, random) : now,
    counted: countsAsAttempt(meaning) ? 1 : 0,
    notYetKnownSince: meaning.type === "retry" ? meaning.notYetKnownSince : state.notYetKnownSince,
    status: outcome.result.type === "answered" ? outcome.result.status : undefined,
    error: errorOf(meaning, outcome.result),
    answer: outcome.result.type === "answered" ? outcome.result.answer?.slice(0, MAX_ANSWER_CHARS) : undefined,
    failed: isEndpointFailure(outcome.result) ? 1 : 0,
    evidence: isEvidence(outcome.result, state.attempts) ? 1 : 0,
    holdMs: destinationHoldMs(outcome.result, now),
  };
}

function errorOf(meaning: Classification, result: PostResult): string | undefined {
  if (meaning.type === "delivered") return undefined;
  return result.type === "connection-failed" ? `${meaning.reason}: ${result.reason}`.slice(0, 200) : meaning.reason;
}

/** Rows one statement releases: a long outage of the chain must not make a batch that the database refuses. */
const MAX_RELEASED = 2_000;

/**
 * Turns rows that waited for this anchor into due ones, with the chain's fields in their bodies: the keys are there already,
 * with null, and keep their places. For the batch that confirms the anchor; the sweep releases what is beyond MAX_RELEASED.
 * @param size the anchored tree size: entries 0 to size - 1.
 */
export function releaseAnchored(
  db: D1Database,
  {
    ledgerId,
    size,
    chain,
    now,
  }: {
    readonly ledgerId: string;
    readonly size: number;
    readonly chain: ChainFields;
    readonly now: number;
  },
): D1PreparedStatement {
  const keys = ["chainId", "contractAddress", "blockNumber", "blockHash", "txHash", "logIndex"] as const;
  const fields = keys.map((key) => `'$.${key}', json_extract(?4, '$.${key}')`).join(", ");
  return db
    .prepare(
      `UPDATE outbox SET state = 'due', due_at = ?3, body = json_set(body, ${fields})
       WHERE outbox_id IN (
         SELECT o.outbox_id FROM outbox AS o WHERE o.state = 'waiting' AND o.ledger_id = ?1 AND o.seq < ?2
         ORDER BY o.seq LIMIT ${MAX_RELEASED})`,
    )
    .bind(ledgerId, size, now, JSON.stringify(chain));
}

/**
 * Releases rows that still wait though an anchor covers them: those beyond the bound of its confirmation.
 * @returns how many; MAX_RELEASED at most for each call.
 */
export async function releaseCovered(db: D1Database, ledgerId: string, now: number): Promise<number> {
  const { meta } = await db
    .prepare(
      `WITH covered AS MATERIALIZED (
         SELECT o.outbox_id, a.chain_id, a.contract_address, a.block_number, a.block_hash, a.tx_hash, a.log_index
         FROM outbox AS o CROSS JOIN anchors AS a ON a.ledger_id = o.ledger_id AND a.state = 'confirmed' AND a.size = (
           SELECT MIN(size) FROM anchors WHERE ledger_id = o.ledger_id AND state = 'confirmed' AND size > o.seq)
         WHERE o.state = 'waiting' AND o.ledger_id = ?1
           AND o.seq < (SELECT MAX(size) FROM anchors WHERE ledger_id = ?1 AND state = 'confirmed')
         ORDER BY o.seq LIMIT ${MAX_RELEASED}
       )
       UPDATE outbox SET state = 'due', due_at = ?2,
         body = json_set(body, '$.chainId', chain_id, '$.contractAddress', contract_address, '$.blockNumber', block_number,
           '$.blockHash', block_hash, '$.txHash', tx_hash, '$.logIndex', log_index)
       FROM covered WHERE outbox.outbox_id = covered.outbox_id`,
    )
    .bind(ledgerId, now)
    .run();
  return meta.changes;
}

/**
 * Rows that are due now, oldest destination first, for the sweep's hints; some may be held behind others.
 * @returns at most `limit` outbox ids.
 */
export async function sweepDue(db: D1Database, now: number, limit: number): Promise<readonly number[]> {
  const { results } = await db
    .prepare(
      `SELECT o.outbox_id FROM ${DESTINATIONS} CROSS JOIN outbox AS o ON o.destination_id = d.destination_id
       WHERE ${RUNNING} AND NOT ${BROKEN} AND o.state IN ('due', 'leased') AND o.due_at <= ?1 AND ${NOT_BEHIND_ANOTHER}
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
         SELECT o.outbox_id FROM destinations AS d CROSS JOIN outbox AS o ON o.destination_id = d.destination_id
         WHERE o.state IN ('due', 'leased') AND o.due_at <= ?1 AND o.state = 'due' AND EXISTS (
           SELECT 1 FROM outbox AS earlier
           WHERE earlier.destination_id = o.destination_id AND earlier.subject = o.subject
             AND earlier.outbox_id < o.outbox_id AND earlier.state NOT IN ('delivered', 'discarded')
             AND earlier.state = 'dead')
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
      `UPDATE outbox SET state = 'dead', settled_at = ?1, last_status = NULL, last_error = 'lease-expired',
         expired_leases = ${expiries("outbox")}
       WHERE outbox_id IN (
         SELECT o.outbox_id FROM destinations AS d CROSS JOIN outbox AS o ON o.destination_id = d.destination_id
         WHERE o.state IN ('due', 'leased') AND o.due_at <= ?1 AND o.state = 'leased'
           AND ${expiries("o")} >= ${MAX_EXPIRED_LEASES} LIMIT ?2)`,
    )
    .bind(now, limit)
    .run();
  return meta.changes;
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
         COALESCE(p.dead, 0) AS deadLetterCount, MAX(0, CAST(?1 AS INTEGER) - p.oldest) AS oldestPendingAgeMs
       FROM destinations AS d
         LEFT JOIN relay_counters AS c ON c.destination_id = d.destination_id
         LEFT JOIN (
           SELECT destination_id, SUM(state <> 'dead') AS pending, SUM(state = 'waiting') AS waiting, SUM(state = 'dead') AS dead,
             SUM(state <> 'dead' AND last_error IS NOT NULL) AS retrying,
             MIN(CASE WHEN state <> 'dead' THEN created_at END) AS oldest
           FROM outbox WHERE state NOT IN ('delivered', 'discarded') GROUP BY destination_id
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
    deadLetterCount: sum((status) => status.deadLetterCount),
    oldestPendingAgeMs: destinations.reduce<number | null>(
      (oldest, { oldestPendingAgeMs: age }) => (age === null ? oldest : Math.max(oldest ?? 0, age)),
      null,
    ),
    destinations,
  };
}
