/**
 * Outcomes of posts: failed attempts, counters and rows, many in one transaction. An outcome counts only under the lease token of its row. A row
 * behind a head that waits gets the head's due time, so that a long backlog is not read again with each lease; that is for speed alone.
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
import { anchoredSize, HELD_DUE_AT, SUSPECTED_AT, WAITS_FROM } from "./lanes.store.ts";
import type { DeliveryOutcome, PostResult } from "./port.ts";
import { BURST, emptyBurst, INTERVAL_US } from "./rates.store.ts";
import {
  type Classification,
  classifyResponse,
  countsAsAttempt,
  destinationHoldMs,
  nextDueAt,
  type RetryPolicy,
} from "./retry.ts";

/** What is kept of an answer. */
export const MAX_ANSWER_CHARS = 1_024;

/**
 * Materialized where an UPDATE joins it: flattened, SQLite would rather read the outbox from end to end.
 * ?1 is a JSON array of settled outcomes (see SettledOutcome); each counts only under the token of a row that is leased.
 */
const HELD_UNDER_TOKEN = `json_each(?1) AS j
  CROSS JOIN outbox AS o ON o.outbox_id = j.value ->> 'id'
  WHERE o.lease_token = j.value ->> 'token' AND o.state = 'leased'`;

/** A post that was taken is in the row itself. */
const RECORD_ATTEMPTS = `INSERT OR IGNORE INTO delivery_attempts
  (outbox_id, lease_token, started_at, duration_ms, outcome, status, error, answer)
SELECT o.outbox_id, o.lease_token, j.value ->> 'startedAt', j.value ->> 'durationMs', j.value ->> 'outcome',
  j.value ->> 'status', j.value ->> 'error', j.value ->> 'answer'
FROM ${HELD_UNDER_TOKEN} AND j.value ->> 'outcome' IN ('retry', 'dead')`;

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
    j.value ->> 'dueAt' AS due_at
  FROM json_each(?1) AS j
    CROSS JOIN outbox AS o ON o.outbox_id = j.value ->> 'id'
    CROSS JOIN outbox AS behind ON behind.destination_id = o.destination_id AND behind.subject = o.subject
      AND behind.outbox_id > o.outbox_id AND behind.open = 1
  WHERE o.lease_token = j.value ->> 'token' AND o.state = 'leased' AND j.value ->> 'outcome' IN ('retry', 'dead')
    AND (behind.state = 'due' OR (behind.state = 'waiting' AND behind.seq < ${anchoredSize("behind")}))
)
UPDATE outbox SET due_at = delayed.due_at FROM delayed
WHERE outbox.outbox_id = delayed.outbox_id AND outbox.due_at <> ${HELD_DUE_AT}
  AND (outbox.due_at < delayed.due_at OR outbox.due_at >= ${WAITS_FROM})`;

const SETTLED_ROW =
  "RETURNING outbox_id AS outboxId, destination_id AS destinationId, event_type AS eventType, created_at AS createdAt";

/** Leaves the lane and what is due: of the row's indexes none is written. ?2 now. */
const SETTLE_DELIVERED = `WITH settled AS MATERIALIZED (
  SELECT o.outbox_id, j.value ->> 'counted' AS counted, j.value ->> 'notYetKnownSince' AS not_yet_known_since,
    j.value ->> 'status' AS status, j.value ->> 'startedAt' AS started_at, j.value ->> 'durationMs' AS duration_ms
  FROM ${HELD_UNDER_TOKEN} AND j.value ->> 'outcome' = 'delivered'
)
UPDATE outbox SET state = 'delivered', open = 0, attempts = outbox.attempts + settled.counted,
  not_yet_known_since = settled.not_yet_known_since, last_status = settled.status, last_error = NULL,
  settled_at = CAST(?2 AS INTEGER), expired_leases = 0, posted_at = settled.started_at, post_ms = settled.duration_ms
FROM settled WHERE outbox.outbox_id = settled.outbox_id
${SETTLED_ROW}`;

/** ?2 now. */
const SETTLE_FAILED = `WITH settled AS MATERIALIZED (
  SELECT o.outbox_id, j.value ->> 'outcome' AS outcome, j.value ->> 'dueAt' AS due_at, j.value ->> 'counted' AS counted,
    j.value ->> 'notYetKnownSince' AS not_yet_known_since, j.value ->> 'status' AS status, j.value ->> 'error' AS error
  FROM ${HELD_UNDER_TOKEN} AND j.value ->> 'outcome' IN ('retry', 'dead')
)
UPDATE outbox SET state = CASE settled.outcome WHEN 'dead' THEN 'dead' ELSE 'due' END, due_at = settled.due_at,
  attempts = outbox.attempts + settled.counted, not_yet_known_since = settled.not_yet_known_since,
  last_status = settled.status, last_error = settled.error,
  settled_at = CASE settled.outcome WHEN 'dead' THEN CAST(?2 AS INTEGER) END, expired_leases = 0
FROM settled WHERE outbox.outbox_id = settled.outbox_id
${SETTLED_ROW}`;

/**
 * A released row stands where it stood, and is due there. It keeps its attempts and what its last attempt said; a post that was announced
 * was not made.
 */
const RETURN_RELEASED = `WITH released AS MATERIALIZED (
  SELECT o.outbox_id FROM ${HELD_UNDER_TOKEN} AND j.value ->> 'outcome' = 'released'
)
UPDATE outbox SET state = 'due', expired_leases = MAX(MIN(${SUSPECTED_AT}, outbox.expired_leases), outbox.expired_leases - 1)
FROM released WHERE outbox.outbox_id = released.outbox_id
${SETTLED_ROW}`;

/** ?1 as above, ?2 now: lanes of these rows whose head is due. */
const COUNT_DUE_LANES = `SELECT COUNT(*) AS due FROM (
  SELECT DISTINCT o.outbox_id
  FROM json_each(?1) AS j
    CROSS JOIN outbox AS recorded ON recorded.outbox_id = j.value ->> 'id'
    CROSS JOIN outbox AS o ON o.outbox_id = (
      SELECT MIN(behind.outbox_id) FROM outbox AS behind
      WHERE behind.destination_id = recorded.destination_id AND behind.subject = recorded.subject
        AND behind.open = 1)
  WHERE (o.state = 'due' OR (o.state = 'waiting' AND o.seq < ${anchoredSize("o")}))
    AND (o.due_at <= ?2 OR (o.due_at >= ${WAITS_FROM} AND o.due_at < ${WAITS_FROM} + ${anchoredSize("o")})))`;

/** One outcome with what it means, as the statements above read it. */
interface SettledOutcome {
  readonly id: number;
  readonly token: number;
  readonly outcome: "delivered" | "retry" | "dead" | "released";
  readonly startedAt?: number;
  readonly durationMs?: number;
  /** Epoch ms when it is tried again; HELD_DUE_AT of dead rows. */
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
  const failed = has("retry", "dead");
  const before: D1PreparedStatement[] = [];
  if (posted) before.push(db.prepare(COUNT_POSTS).bind(json, now, BREAKER_POLICY.windowMs));
  if (failed) before.push(db.prepare(RECORD_ATTEMPTS).bind(json));
  if (has("released")) before.push(db.prepare(REFUND_RATES).bind(json), db.prepare(RETURN_PROBES).bind(json, now));
  if (settled.some(({ holdMs }) => holdMs !== undefined)) before.push(db.prepare(HOLD_RATES).bind(json, now));
  if (failed) before.push(db.prepare(DELAY_ROWS_BEHIND).bind(json));
  const settling: D1PreparedStatement[] = [];
  if (has("delivered")) settling.push(db.prepare(SETTLE_DELIVERED).bind(json, now));
  if (failed) settling.push(db.prepare(SETTLE_FAILED).bind(json, now));
  if (has("released")) settling.push(db.prepare(RETURN_RELEASED).bind(json));
  const results = await db.batch<{ readonly due: number } & BreakerRow & Omit<SettledRow, "outcome">>([
    ...before,
    ...settling,
    db.prepare(COUNT_DUE_LANES).bind(json, now),
  ]);
  const changed = results.slice(before.length, -1).flatMap(({ results: rows }) => rows);
  const outcomeOf = new Map(settled.map(({ id, outcome }) => [id, outcome]));
  const counted: readonly BreakerRow[] = posted ? (results[0]?.results ?? []) : [];
  const changes = counted.map((row) => ({ row, change: breakerAfter(row, BREAKER_POLICY, now) }));
  return {
    recorded: changed.length,
    settled: changed.flatMap(({ outboxId, destinationId, eventType, createdAt }) => {
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
    dueAt: meaning.type === "retry" ? nextDueAt(meaning, state, policy, now, random) : HELD_DUE_AT,
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
