-- Nothing is lost: posts that were taken become attempts again.
DROP TRIGGER outbox_update;
DROP TRIGGER outbox_insert;
DROP INDEX outbox_due;
DROP INDEX outbox_lane;

INSERT OR IGNORE INTO delivery_attempts (outbox_id, lease_token, started_at, duration_ms, outcome, status)
SELECT outbox_id, lease_token, posted_at, COALESCE(post_ms, 0), 'delivered', last_status FROM outbox WHERE posted_at IS NOT NULL;

UPDATE outbox SET due_at = CASE WHEN state = 'leased' THEN leased_until WHEN due_at >= 8640000000000000 AND state = 'due' THEN due_at
  WHEN state = 'dead' THEN COALESCE(settled_at, created_at) ELSE created_at END
WHERE state = 'leased' OR due_at >= 4000000000000000;

ALTER TABLE relay_leases DROP COLUMN handed;
ALTER TABLE relay_leases DROP COLUMN leased_at;
ALTER TABLE outbox DROP COLUMN post_ms;
ALTER TABLE outbox DROP COLUMN posted_at;
ALTER TABLE outbox DROP COLUMN leased_until;
ALTER TABLE outbox DROP COLUMN open;

CREATE UNIQUE INDEX outbox_event ON outbox (event_id, destination_id);
CREATE INDEX outbox_lane ON outbox (destination_id, subject, outbox_id) WHERE state NOT IN ('delivered', 'discarded');
CREATE INDEX outbox_due ON outbox (destination_id, due_at) WHERE state IN ('due', 'leased');
CREATE INDEX outbox_waiting ON outbox (ledger_id, seq) WHERE state = 'waiting';
CREATE INDEX outbox_delivered ON outbox (destination_id, settled_at) WHERE state = 'delivered';
