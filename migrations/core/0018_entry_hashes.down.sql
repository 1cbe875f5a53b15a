DROP TRIGGER ledger_entries_insert;
CREATE UNIQUE INDEX ledger_entries_hash ON ledger_entries (ledger_id, entry_hash);

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
  SELECT RAISE(ABORT, 'ledger entry: hash exists')
    WHERE EXISTS (SELECT 1 FROM ledger_entries WHERE ledger_id = NEW.ledger_id AND entry_hash = NEW.entry_hash);
  SELECT RAISE(ABORT, 'ledger entry: command exists')
    WHERE EXISTS (SELECT 1 FROM ledger_entries WHERE ledger_id = NEW.ledger_id
      AND command_id = NEW.command_id AND command_index = NEW.command_index);
END;
