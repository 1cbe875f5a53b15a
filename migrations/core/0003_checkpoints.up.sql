-- Every checkpoint that was published. The publisher's own storage is what decides; this is its record, for verification and
-- restores. `note` is the signed note; it may gain signatures, everything else stays.
CREATE TABLE checkpoints (
  ledger_id TEXT NOT NULL,
  size INTEGER NOT NULL,
  root_hash TEXT NOT NULL,
  note TEXT NOT NULL,
  signed_at INTEGER NOT NULL,
  PRIMARY KEY (ledger_id, size)
) WITHOUT ROWID;

-- INSERT OR REPLACE deletes conflicting rows without firing a DELETE trigger, so the guard stands before the insert.
CREATE TRIGGER checkpoints_insert BEFORE INSERT ON checkpoints
BEGIN
  SELECT RAISE(ABORT, 'checkpoint: not larger than the last one')
    WHERE EXISTS (SELECT 1 FROM checkpoints WHERE ledger_id = NEW.ledger_id AND size >= NEW.size);
END;

CREATE TRIGGER checkpoints_update BEFORE UPDATE ON checkpoints
BEGIN
  SELECT RAISE(ABORT, 'checkpoint: only its signatures change')
    WHERE NEW.ledger_id <> OLD.ledger_id OR NEW.size <> OLD.size OR NEW.root_hash <> OLD.root_hash
      OR NEW.signed_at <> OLD.signed_at;
END;

CREATE TRIGGER checkpoints_delete BEFORE DELETE ON checkpoints
BEGIN
  SELECT RAISE(ABORT, 'checkpoint: never deleted');
END;
