/**
 * What leasing, recording and sweeping know of lanes. Only the head of a lane (destination, subject) is leased: the earliest row that is
 * neither delivered nor discarded, so a dead or waiting row holds those behind it.
 *
 * Numbers are bound as doubles: they pass through a JSON parameter or a CAST wherever their kind matters.
 */
import { UNANSWERED_BEHIND_PROXY } from "./retry.ts";

/** Due time of rows behind a dead letter: releasing the lane gives them a real one. */
export const HELD_DUE_AT = 8_640_000_000_000_000;

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
    AND earlier.state NOT IN ('delivered', 'discarded'))`;

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
