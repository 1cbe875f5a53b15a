-- The history of anchors: every change of state with its reason, beside the anchors table, which holds where each size
-- stands now. Events are only ever added: a reorganization or a correction is one more row.
CREATE TABLE anchor_events (
  event_id INTEGER PRIMARY KEY, -- rises in the order of recording, which is the order in which things happened
  ledger_id TEXT NOT NULL,
  event_key TEXT NOT NULL, -- the same change recorded twice is one row
  size INTEGER, -- of the anchor it is about; null: about the signer
  root_hash TEXT,
  type TEXT NOT NULL, -- submitted | bumped | dropped | reverted | replaced | confirmed | reorganized | halted | resumed |
                      -- retried | superseded | balance-low | balance-restored
  reason TEXT NOT NULL, -- a code of ours, or an operator's [A-Z0-9-]{1,40}
  at INTEGER NOT NULL,
  chain_id INTEGER NOT NULL,
  contract_address TEXT NOT NULL,
  tx_hash TEXT,
  nonce INTEGER,
  fee_per_gas_wei TEXT, -- the most it may pay for one unit of gas, decimal
  block_number INTEGER,
  block_hash TEXT,
  actor TEXT -- key id of the operator who asked for it
);

CREATE UNIQUE INDEX anchor_events_key ON anchor_events (ledger_id, event_key);
CREATE INDEX anchor_events_size ON anchor_events (ledger_id, size, event_id);

CREATE TRIGGER anchor_events_insert BEFORE INSERT ON anchor_events
BEGIN
  SELECT RAISE(ABORT, 'anchor event: exists') WHERE EXISTS (
    SELECT 1 FROM anchor_events
    WHERE event_id = NEW.event_id OR (ledger_id = NEW.ledger_id AND event_key = NEW.event_key));
END;

CREATE TRIGGER anchor_events_update BEFORE UPDATE ON anchor_events
BEGIN
  SELECT RAISE(ABORT, 'anchor event: never changed');
END;

CREATE TRIGGER anchor_events_delete BEFORE DELETE ON anchor_events
BEGIN
  SELECT RAISE(ABORT, 'anchor event: never deleted');
END;
