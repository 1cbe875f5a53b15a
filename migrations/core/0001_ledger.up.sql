-- The ledger and its guards, the projections of requests and claims, stored payloads, the outbox, tenants, anchors.
-- Times named *_at are milliseconds since the epoch unless the column says RFC 3339.

-- One row per ledger. `frontier` is the Merkle frontier: a JSON array of lower-case hex subtree roots, largest first,
-- so that a restart reads this row and nothing else.
CREATE TABLE ledger_heads (
  ledger_id TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  size INTEGER NOT NULL,
  head_hash TEXT NOT NULL,
  root_hash TEXT NOT NULL,
  frontier TEXT NOT NULL,
  last_at TEXT NOT NULL -- RFC 3339, the `at` of the last entry
) WITHOUT ROWID;

-- A head starts empty, moves one version at a time, and never shrinks or goes away.
CREATE TRIGGER ledger_heads_insert BEFORE INSERT ON ledger_heads
BEGIN
  SELECT RAISE(ABORT, 'ledger head: already present')
    WHERE EXISTS (SELECT 1 FROM ledger_heads WHERE ledger_id = NEW.ledger_id);
  SELECT RAISE(ABORT, 'ledger head: must start empty') WHERE NEW.version <> 0 OR NEW.size <> 0;
  SELECT RAISE(ABORT, 'ledger head: entries exist already')
    WHERE EXISTS (SELECT 1 FROM ledger_entries WHERE ledger_id = NEW.ledger_id);
END;

CREATE TRIGGER ledger_heads_update BEFORE UPDATE ON ledger_heads
BEGIN
  SELECT RAISE(ABORT, 'ledger head: another ledger') WHERE NEW.ledger_id <> OLD.ledger_id;
  SELECT RAISE(ABORT, 'ledger head: version moved') WHERE NEW.version <> OLD.version + 1;
  SELECT RAISE(ABORT, 'ledger head: size fell') WHERE NEW.size < OLD.size;
END;

CREATE TRIGGER ledger_heads_delete BEFORE DELETE ON ledger_heads
BEGIN
  SELECT RAISE(ABORT, 'ledger head: never deleted');
END;

-- `body` is the canonical JSON whose bytes are hashed; every other column can be derived from it, but for the command key.
CREATE TABLE ledger_entries (
  ledger_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  entry_hash TEXT NOT NULL,
  prev TEXT NOT NULL,
  subject TEXT NOT NULL,
  command_id TEXT NOT NULL,
  command_index INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (ledger_id, seq)
) WITHOUT ROWID;

CREATE UNIQUE INDEX ledger_entries_hash ON ledger_entries (ledger_id, entry_hash);
CREATE UNIQUE INDEX ledger_entries_command ON ledger_entries (ledger_id, command_id, command_index);
CREATE INDEX ledger_entries_subject ON ledger_entries (ledger_id, subject);

-- INSERT OR REPLACE deletes conflicting rows without firing a DELETE trigger, so the guard stands before the insert.
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

CREATE TRIGGER ledger_entries_update BEFORE UPDATE ON ledger_entries
BEGIN
  SELECT RAISE(ABORT, 'ledger entry: never changed');
END;

CREATE TRIGGER ledger_entries_delete BEFORE DELETE ON ledger_entries
BEGIN
  SELECT RAISE(ABORT, 'ledger entry: never deleted');
END;

-- What is kept of a subject goes by the seq of its first entry, so new rows come one after the other, and its keys too: an
-- index over random keys costs each append in a group a page of its own once the ledger is large. A subject's first seq is found in
-- ledger_entries_subject. Random are only the keys that guards and callers need: entry hash, command, subject, request or claim id.
-- Rows are wide, so they are in rowid tables: WITHOUT ROWID, the inner pages would hold whole rows.

-- Projection of workflow requests. amount_minor and currency are committed (they come from the payload), the rest is
-- derived from the entries.
CREATE TABLE requests (
  ledger_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  request_id_hash TEXT NOT NULL,
  request_type TEXT NOT NULL, -- CLAIM | PREAUTH
  insurer_address TEXT NOT NULL COLLATE NOCASE,
  submitter TEXT NOT NULL,
  payload_hash TEXT NOT NULL,
  state TEXT NOT NULL, -- SUBMITTED | ACKNOWLEDGED | APPROVED | DENIED | NEEDS_INFO
  round INTEGER NOT NULL, -- decisions taken so far
  decision_hash TEXT,
  submitted_seq INTEGER NOT NULL,
  acknowledged_seq INTEGER,
  adjudicated_seq INTEGER,
  amount_minor INTEGER NOT NULL,
  currency TEXT NOT NULL,
  PRIMARY KEY (ledger_id, submitted_seq)
);

CREATE UNIQUE INDEX requests_id ON requests (ledger_id, tenant_id, request_id);

-- Projection of claims made directly through /claims.
CREATE TABLE claims (
  ledger_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  claim_id TEXT NOT NULL,
  claim_id_hash TEXT NOT NULL,
  submitter TEXT NOT NULL,
  payload_hash TEXT NOT NULL,
  state TEXT NOT NULL, -- CREATED | FINALIZED | SETTLEMENT_PENDING | SETTLED
  created_seq INTEGER NOT NULL,
  finalized_seq INTEGER,
  settlement_seq INTEGER,
  amount_minor INTEGER NOT NULL,
  currency TEXT NOT NULL,
  PRIMARY KEY (ledger_id, created_seq)
);

CREATE UNIQUE INDEX claims_id ON claims (ledger_id, tenant_id, claim_id);

-- Ciphertext, apart from the key that opens it. `part` is 'payload', 'ack' or 'adj:<round>'. Base64 in the row, or over
-- 16 kB an object in R2 named by r2_key.
CREATE TABLE payloads (
  ledger_id TEXT NOT NULL,
  subject_seq INTEGER NOT NULL, -- of the subject's first entry
  subject TEXT NOT NULL,
  part TEXT NOT NULL,
  ciphertext TEXT,
  r2_key TEXT,
  PRIMARY KEY (ledger_id, subject_seq, part),
  CHECK ((ciphertext IS NULL) <> (r2_key IS NULL))
);

-- Data key and salt of one subject, wrapped together under a versioned master key. Deleting the row erases the person.
CREATE TABLE payload_keys (
  ledger_id TEXT NOT NULL,
  subject_seq INTEGER NOT NULL, -- of the subject's first entry
  subject TEXT NOT NULL,
  master_key_id TEXT NOT NULL,
  wrapped TEXT NOT NULL,
  PRIMARY KEY (ledger_id, subject_seq)
);

CREATE TABLE tenants (
  tenant_id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO tenants (tenant_id, name, created_at) VALUES ('default', 'Default tenant', 0);

-- Keys are stored as SHA-256 of the key: they are random, so a slow hash adds nothing.
CREATE TABLE api_keys (
  key_hash TEXT NOT NULL PRIMARY KEY,
  key_id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
  surface TEXT NOT NULL, -- claims | workflow
  scopes TEXT NOT NULL, -- JSON array of submit | read | adjudicate | audit | operate
  insurer_address TEXT COLLATE NOCASE, -- adjudicates for this insurer only
  requests_per_minute INTEGER, -- null: the setting's default
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) WITHOUT ROWID;

-- Where webhooks go. secret_wrapped null: the signing secret of the settings (the tenant's MedLink).
CREATE TABLE destinations (
  destination_id TEXT NOT NULL PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
  kind TEXT NOT NULL, -- MEDLINK | INSURER
  insurer_address TEXT COLLATE NOCASE,
  url TEXT NOT NULL,
  secret_wrapped TEXT,
  wrapping_key_id TEXT,
  deliver_after TEXT NOT NULL, -- commit | anchor
  event_types TEXT NOT NULL, -- JSON array
  requests_per_minute INTEGER NOT NULL,
  timeout_ms INTEGER NOT NULL,
  state TEXT NOT NULL, -- active | paused
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK ((kind = 'INSURER') = (insurer_address IS NOT NULL))
) WITHOUT ROWID;

CREATE UNIQUE INDEX destinations_insurer ON destinations (tenant_id, insurer_address) WHERE insurer_address IS NOT NULL;
CREATE UNIQUE INDEX destinations_medlink ON destinations (tenant_id) WHERE kind = 'MEDLINK';

-- One row per (event, destination). outbox_id rises in ledger order. Lane: (destination_id, subject).
CREATE TABLE outbox (
  outbox_id INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  ledger_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  subject TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  destination_id TEXT NOT NULL,
  state TEXT NOT NULL, -- waiting (for its anchor) | due | leased | delivered | dead | discarded
  due_at INTEGER NOT NULL, -- when leased: the end of the lease
  body TEXT NOT NULL, -- frozen when the row first becomes due
  correlation_id TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  lease_token INTEGER NOT NULL DEFAULT 0, -- fencing: rises with each lease
  not_yet_known_since INTEGER,
  last_status INTEGER,
  last_error TEXT,
  created_at INTEGER NOT NULL,
  settled_at INTEGER -- when it was delivered, parked or discarded
);

CREATE UNIQUE INDEX outbox_event ON outbox (event_id, destination_id);
CREATE INDEX outbox_lane ON outbox (destination_id, subject, outbox_id) WHERE state NOT IN ('delivered', 'discarded');
CREATE INDEX outbox_due ON outbox (destination_id, due_at) WHERE state IN ('due', 'leased');
CREATE INDEX outbox_waiting ON outbox (ledger_id, seq) WHERE state = 'waiting';
CREATE INDEX outbox_dead ON outbox (settled_at) WHERE state = 'dead';

-- Each recorded attempt to deliver: what was answered, how long it took. The lease token tells attempts apart, so that
-- recording one twice is one row.
CREATE TABLE delivery_attempts (
  outbox_id INTEGER NOT NULL,
  lease_token INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  outcome TEXT NOT NULL, -- delivered | retry | dead
  status INTEGER,
  error TEXT,
  PRIMARY KEY (outbox_id, lease_token)
) WITHOUT ROWID;

-- Deliveries ever made, which outlive the pruned rows. Counted in the batch that records them.
CREATE TABLE relay_counters (
  destination_id TEXT NOT NULL PRIMARY KEY,
  delivered INTEGER NOT NULL
) WITHOUT ROWID;

-- What was sent to the chain. The Durable Object that owns the signer is the truth until confirmation; this is its record.
CREATE TABLE anchors (
  ledger_id TEXT NOT NULL,
  size INTEGER NOT NULL,
  root_hash TEXT NOT NULL,
  previous_size INTEGER NOT NULL,
  state TEXT NOT NULL, -- submitted | confirmed | failed
  reason TEXT,
  chain_id INTEGER NOT NULL,
  contract_address TEXT NOT NULL,
  nonce INTEGER NOT NULL,
  tx_hash TEXT NOT NULL,
  block_number INTEGER,
  block_hash TEXT,
  log_index INTEGER,
  submitted_at INTEGER NOT NULL,
  confirmed_at INTEGER,
  PRIMARY KEY (ledger_id, size)
) WITHOUT ROWID;

CREATE INDEX anchors_state ON anchors (ledger_id, state, size);
