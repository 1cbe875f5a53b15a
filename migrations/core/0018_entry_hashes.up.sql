-- Nobody looks an entry up by its hash, and an index over hashes costs each append a page of its own once the ledger is large. Two entries
-- have one hash only if SHA-256 is broken: each names its seq. Without the index no REPLACE can take a row away by its hash, so
-- the guard need not look for one; what the bytes of an entry hash to is for verification to say.
DROP TRIGGER ledger_entries_insert;
DROP INDEX ledger_entries_hash;

CREATE TRIGGER ledger_entries_insert BEFORE INSERT ON ledger_entries
BEGIN
  SELECT RAISE(ABORT, 'ledger entry: seq is not the next one')
    WHERE NEW.seq <> COALESCE((SELECT MAX(seq) + 1 FROM ledger_entries WHERE ledger_id = NEW.ledger_id), 0);
  SELECT RAISE(ABORT, 'ledger entry: prev is not the last hash')
    WHERE NEW.prev <> COALESCE(
      (SELECT entry_hash FROM ledger_entries WHERE ledger_id = NEW.ledger_id AND seq = NEW.seq - 1),
      '0000000000000000000000000000000000000000000000000000000000000000');
  SELECT RAISE(ABORT, 'ledger entry: beyond the head')
    WHERE NOT EXISTS (SELECT 1 FROM ledger_heads WHERE ledger_id = NEW.ledger_id AND size > NEW.seq);
  SELECT RAISE(ABORT, 'ledger entry: command exists')
    WHERE EXISTS (SELECT 1 FROM ledger_entries WHERE ledger_id = NEW.ledger_id
      AND command_id = NEW.command_id AND command_index = NEW.command_index);
END;
