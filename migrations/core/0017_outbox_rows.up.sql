-- rollback: unsafe a version of before and one of after must not lease side by side: pause the relay, wait until nothing is under way, apply this, deploy, resume
--
-- A delivery writes as few rows as it can: an index is written again whenever an UPDATE names a column of its key or its condition,
-- so what a lease and a delivery change is in none.

-- open: 1 until the row is delivered or discarded; a lease does not touch it, as it does `state`. leased_until: the end of the
-- lease, which was in due_at: a leased row keeps its place among the due ones, whatever is under way is few.
-- posted_at, post_ms: the post that was taken. Only posts that were not are rows of delivery_attempts.
ALTER TABLE outbox ADD COLUMN open INTEGER NOT NULL DEFAULT 1;
ALTER TABLE outbox ADD COLUMN leased_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN posted_at INTEGER;
ALTER TABLE outbox ADD COLUMN post_ms INTEGER;

-- What the last lease handed out, as a JSON array of ids, and when: the statements of its batch read it.
ALTER TABLE relay_leases ADD COLUMN leased_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE relay_leases ADD COLUMN handed TEXT NOT NULL DEFAULT '[]';

DROP INDEX outbox_lane;
DROP INDEX outbox_due;
-- Rows that wait for their anchor stand in outbox_due behind all times, by seq: an anchor that is confirmed makes those below its size
-- due without a row written.
DROP INDEX outbox_waiting;
-- Deliveries made are listed in the order of their events, by outbox_id.
DROP INDEX outbox_delivered;
-- Its keys were random, so that each insert wrote a page of its own. An event can not have two rows for a destination: rows are
-- inserted by the batch that inserts their entry, whose seq, hash and command the ledger's own guards take once, and a restore
-- inserts them by outbox_id. What is looked for by its entry is found by outbox_id, which rises with seq.
DROP INDEX outbox_event;

-- Waiting: 4e15 + seq. Dead: the due time of what is held behind them.
UPDATE outbox SET
  open = state NOT IN ('delivered', 'discarded'),
  leased_until = CASE state WHEN 'leased' THEN due_at ELSE 0 END,
  due_at = CASE state WHEN 'leased' THEN created_at WHEN 'waiting' THEN 4000000000000000 + seq
    WHEN 'dead' THEN 8640000000000000 ELSE due_at END
WHERE state <> 'due';

CREATE INDEX outbox_lane ON outbox (destination_id, subject, outbox_id) WHERE open = 1;
CREATE INDEX outbox_due ON outbox (destination_id, due_at) WHERE open = 1;

-- A row that is settled by whoever does not know of `open`, or comes from a backup of before, must not hold its lane.
CREATE TRIGGER outbox_insert AFTER INSERT ON outbox WHEN NEW.open = 1 AND NEW.state IN ('delivered', 'discarded')
BEGIN
  UPDATE outbox SET open = 0 WHERE outbox_id = NEW.outbox_id;
END;

CREATE TRIGGER outbox_update AFTER UPDATE OF state ON outbox
  WHEN NEW.open <> (NEW.state NOT IN ('delivered', 'discarded'))
BEGIN
  UPDATE outbox SET open = NEW.state NOT IN ('delivered', 'discarded') WHERE outbox_id = NEW.outbox_id;
END;
