-- Maintenance: while the row is on, what changes something answers 503 and reads stay. The same table as in the ledger's database.
CREATE TABLE maintenance (
  singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
  started_at INTEGER, -- epoch ms; null: off
  until INTEGER, -- when it is expected to end, for Retry-After
  reason TEXT, -- a code
  actor TEXT -- key id
);

INSERT INTO maintenance (singleton) VALUES (1);
