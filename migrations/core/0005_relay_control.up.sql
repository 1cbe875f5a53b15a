-- Control of the relay: pauses, the circuit breaker of each destination, secrets in rotation, extra headers, pings, and what a
-- dead letter needs to be inspected, replayed, discarded and pruned.

-- paused_at: the relay as a whole, since when; null while it runs. pruned_to: the last outbox_id that retention looked at.
ALTER TABLE relay_leases ADD COLUMN paused_at INTEGER;
ALTER TABLE relay_leases ADD COLUMN pruned_to INTEGER NOT NULL DEFAULT 0;

-- The secret before the current one signs beside it until previous_expires_at. itrans_signature says which of the two makes the
-- one signature of the iTrans header: current | previous. Headers are sealed whole: a value may be a credential.
ALTER TABLE destinations ADD COLUMN previous_secret_wrapped TEXT;
ALTER TABLE destinations ADD COLUMN previous_wrapping_key_id TEXT;
ALTER TABLE destinations ADD COLUMN previous_expires_at INTEGER;
ALTER TABLE destinations ADD COLUMN secret_rotated_at INTEGER;
ALTER TABLE destinations ADD COLUMN itrans_signature TEXT NOT NULL DEFAULT 'current';
ALTER TABLE destinations ADD COLUMN header_names TEXT NOT NULL DEFAULT '[]'; -- JSON array
ALTER TABLE destinations ADD COLUMN headers_wrapped TEXT;
ALTER TABLE destinations ADD COLUMN headers_wrapping_key_id TEXT;
ALTER TABLE destinations ADD COLUMN ping_events INTEGER NOT NULL DEFAULT 0; -- 1: it asked for PING events

-- The breaker's window and state beside the count of deliveries: the batch that records an outcome writes this row anyway.
-- breaker: closed | open | half-open. breaker_until: open, when the next probe may go; half-open, when the probe counts as lost.
ALTER TABLE relay_counters ADD COLUMN window_started_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE relay_counters ADD COLUMN window_calls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE relay_counters ADD COLUMN window_failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE relay_counters ADD COLUMN window_evidence INTEGER NOT NULL DEFAULT 0; -- failures that are not one event's alone
ALTER TABLE relay_counters ADD COLUMN breaker TEXT NOT NULL DEFAULT 'closed';
ALTER TABLE relay_counters ADD COLUMN breaker_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE relay_counters ADD COLUMN breaker_opens INTEGER NOT NULL DEFAULT 0; -- in a row, without closing in between
ALTER TABLE relay_counters ADD COLUMN last_posted_at INTEGER;

-- expired_leases: leases in a row that ran out without an outcome. discard_reason: a code of [A-Z0-9-].
ALTER TABLE outbox ADD COLUMN expired_leases INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN replays INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN discard_reason TEXT;
ALTER TABLE outbox ADD COLUMN discarded_by TEXT; -- key id; null: the retention

-- The start of what a receiver that did not take the event said; at most 1,024 characters.
ALTER TABLE delivery_attempts ADD COLUMN answer TEXT;

-- The last ping of each destination. answered_at null: under way, or the relay is away.
CREATE TABLE relay_pings (
  destination_id TEXT NOT NULL PRIMARY KEY,
  ping_id TEXT NOT NULL,
  requested_at INTEGER NOT NULL,
  answered_at INTEGER,
  reachable INTEGER, -- 1: it answered, whatever it said
  status INTEGER,
  error TEXT,
  duration_ms INTEGER
) WITHOUT ROWID;
