/**
 * What leasing, recording and sweeping know of lanes. Only the head of a lane (destination, subject) is leased: the earliest row that is
 * open, which is neither delivered nor discarded, so a dead or waiting row holds those behind it.
 *
 * Numbers are bound as doubles: they pass through a JSON parameter or a CAST wherever their kind matters.
 */
import { UNANSWERED_BEHIND_PROXY } from "./retry.ts";

/** Due time of dead letters and of rows behind one: releasing the lane gives them a real one. */
export const HELD_DUE_AT = 8_640_000_000_000_000;

/**
 * Rows that wait for their anchor have this plus their seq for a due time, so that they stand behind all times, in the ledger's order:
 * those that an anchor covers are the first of them, and nothing is written to make them due.
 */
export const WAITS_FROM = 4_000_000_000_000_000;

/** Entries of row `x`'s ledger that a confirmed anchor covers. */
export const anchoredSize = (x: string): string => `COALESCE((SELECT MAX(anchored.size) FROM anchors AS anchored
  WHERE anchored.ledger_id = ${x}.ledger_id AND anchored.state = 'confirmed'), 0)`;

/** Due times among which due rows stand in outbox_due: those that are times, and those of rows that an anchor covers. ?1 now. */
export const SPANS = `(SELECT 0 AS since, CAST(?1 AS INTEGER) AS until
    UNION ALL SELECT ${WAITS_FROM}, ${WAITS_FROM} - 1 + COALESCE(MAX(${anchoredSize("heads")}), 0) FROM ledger_heads AS heads)`;

/** Row `x` stands in span `span` of destination `d`. */
export const inSpan = (x: string, d = "d"): string =>
  `${x}.destination_id = ${d}.destination_id AND ${x}.open = 1 AND ${x}.due_at >= span.since AND ${x}.due_at <= span.until`;

/** Row `x`, in a span, is in nobody's hands and waits for no anchor. `now`: epoch ms, as SQL. */
export const isFree = (x: string, now = "?1"): string => `(${x}.state = 'due'
  OR (${x}.state = 'leased' AND ${x}.leased_until <= ${now}) OR (${x}.state = 'waiting' AND ${x}.seq < ${anchoredSize(x)}))`;

/** What the state of row `x` is called: one that an anchor covers is due, though nothing was written. */
export const stateOf = (x: string): string =>
  `CASE WHEN ${x}.state = 'waiting' AND ${x}.seq < ${anchoredSize(x)} THEN 'due' ELSE ${x}.state END`;

/**
 * A post that brings the relay down leaves no outcome, only a lease that runs out. A row whose lease ran out twice is suspected: it
 * goes one to a lease, so that it takes few others with it, and its posts are announced. A lease may run out without any post, with
 * its answer lost, so from there on only announced posts count; after the eighth without an outcome the row is a dead letter. Fewer
 * would give up rows that happened to be in flight in a bad hour of restarts.
 */
export const MAX_EXPIRED_LEASES = 10;

export const SUSPECTED_AT = 2;

/** Row `x`'s count towards MAX_EXPIRED_LEASES, when its lease, if it has one, has run out. */
export const expiries = (x: string): string =>
  `MAX(${x}.expired_leases, MIN(${SUSPECTED_AT}, ${x}.expired_leases + (${x}.state = 'leased')))`;

/** Row `o` is the head of its lane. */
export const NOT_BEHIND_ANOTHER = `NOT EXISTS (
  SELECT 1 FROM outbox AS earlier
  WHERE earlier.destination_id = o.destination_id AND earlier.subject = o.subject AND earlier.outbox_id < o.outbox_id
    AND earlier.open = 1)`;

/**
 * Where outbox ids of an entry of this seq and of later ones begin: ids rise with the ledger, so it is searched for by halving, in as many
 * steps as ids have bits. NULL: the outbox is empty. Both as SQL.
 */
export const firstOutboxIdOf = (ledgerId: string, seq: string): string => `(
  WITH RECURSIVE search(low, high) AS (
    SELECT (SELECT MIN(outbox_id) FROM outbox), (SELECT MAX(outbox_id) FROM outbox) + 1
    UNION ALL
    SELECT CASE WHEN probe.seq < ${seq} THEN probe.outbox_id + 1 ELSE low END,
      CASE WHEN probe.seq < ${seq} THEN high ELSE (low + high) / 2 END
    FROM search LEFT JOIN outbox AS probe ON probe.outbox_id = (
      SELECT outbox_id FROM outbox WHERE outbox_id >= (low + high) / 2 AND ledger_id = ${ledgerId} ORDER BY outbox_id LIMIT 1)
    WHERE low < high
  ) SELECT MAX(low) FROM search)`;

/** Outbox row `x` is of entry `e`. */
export const isOfEntry = (x: string, e: string): string =>
  `${x}.outbox_id >= ${firstOutboxIdOf(`${e}.ledger_id`, `${e}.seq`)}
    AND ${x}.outbox_id < ${firstOutboxIdOf(`${e}.ledger_id`, `${e}.seq + 1`)} AND ${x}.ledger_id = ${e}.ledger_id`;

/** Each with its rate and its counters, if it has any yet. */
export const DESTINATIONS = `destinations AS d
    LEFT JOIN relay_rates AS r ON r.destination_id = d.destination_id
    LEFT JOIN relay_counters AS c ON c.destination_id = d.destination_id`;

/** Neither destination `d` nor the relay as a whole is paused. */
export const RUNNING = "d.state = 'active' AND NOT EXISTS (SELECT 1 FROM relay_leases WHERE paused_at IS NOT NULL)";

/** Open and not yet up for a probe, or half-open with the probe under way. ?1 now. */
export const BROKEN = "(COALESCE(c.breaker, 'closed') <> 'closed' AND c.breaker_until > ?1)";

/** Nothing that was posted to a destination of late succeeded: one at a time shows whether that goes on. */
export const DOUBTFUL = "(COALESCE(c.window_calls, 0) > 0 AND c.window_failures = c.window_calls)";

/**
 * Epoch ms from when on the lane of the dead row `x` may post again: its receiver may still be at the last post. A row that is dead
 * because its leases ran out has waited already. `wait`: the wait after a timeout, ms, as SQL.
 */
export const quietUntil = (x: string, wait: string): string => `CASE WHEN ${x}.last_error = 'timeout'
  OR (${x}.last_error >= 'connection-failed' AND ${x}.last_error < 'connection-failed;')
  OR ${x}.last_status IN (${[...UNANSWERED_BEHIND_PROXY].join(", ")}) THEN ${x}.settled_at + ${wait} ELSE 0 END`;
