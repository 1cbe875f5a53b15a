-- Access: what operators did, tenants and keys that can be closed and revoked, the ages of secrets, and how far a new master key
-- has come. Times named *_at are milliseconds since the epoch.

-- What stands behind an OPERATOR_ACTION entry. The entry says who did what kind of thing; subject and commitment are HMACs under
-- this row's salt, so that names chosen by people (details) are bound to the ledger without standing in it.
CREATE TABLE operator_actions (
  ledger_id TEXT NOT NULL,
  subject TEXT NOT NULL,
  seq INTEGER NOT NULL,
  action TEXT NOT NULL,
  actor TEXT NOT NULL, -- opaque key id
  reason TEXT, -- a code of [A-Z0-9-]
  details TEXT NOT NULL, -- canonical JSON: actionId, correlationId, target
  salt TEXT NOT NULL, -- 64 hex
  PRIMARY KEY (ledger_id, subject)
);

CREATE INDEX operator_actions_seq ON operator_actions (ledger_id, seq);

CREATE TRIGGER operator_actions_insert BEFORE INSERT ON operator_actions
BEGIN
  SELECT RAISE(ABORT, 'operator action: already present')
    WHERE EXISTS (SELECT 1 FROM operator_actions WHERE ledger_id = NEW.ledger_id AND subject = NEW.subject);
END;

CREATE TRIGGER operator_actions_update BEFORE UPDATE ON operator_actions
BEGIN
  SELECT RAISE(ABORT, 'operator action: never changed');
END;

CREATE TRIGGER operator_actions_delete BEFORE DELETE ON operator_actions
BEGIN
  SELECT RAISE(ABORT, 'operator action: never deleted');
END;

-- Actions that stop something and were done while the ledger took no entries; the cron appends them. `command` is JSON.
CREATE TABLE operator_actions_waiting (
  ledger_id TEXT NOT NULL,
  subject TEXT NOT NULL,
  command TEXT NOT NULL,
  waiting_since INTEGER NOT NULL,
  PRIMARY KEY (ledger_id, subject)
) WITHOUT ROWID;

-- A closed tenant's keys open nothing. What it recorded stays.
ALTER TABLE tenants ADD COLUMN closed_at INTEGER;
ALTER TABLE tenants ADD COLUMN closed_by TEXT;

ALTER TABLE api_keys ADD COLUMN label TEXT; -- what it is for; names nobody
ALTER TABLE api_keys ADD COLUMN created_by TEXT; -- key id
ALTER TABLE api_keys ADD COLUMN revoked_by TEXT; -- key id
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER; -- to within some minutes

CREATE INDEX api_keys_tenant ON api_keys (tenant_id, created_at);

-- Since when each secret has had the value it has. The fingerprint is keyed by the secret's own name and tells values apart;
-- nothing of a value is kept. previous_used_at: when somebody last came with the value before, in an overlap.
CREATE TABLE secret_sightings (
  worker TEXT NOT NULL,
  name TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  since INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  previous_used_at INTEGER,
  PRIMARY KEY (worker, name)
) WITHOUT ROWID;

-- Wrapping what is stored again under another key: one row for each kind of rows. `cursor` is the last key of a row looked at.
CREATE TABLE rewraps (
  kind TEXT NOT NULL PRIMARY KEY, -- payload-keys | destinations
  to_key_id TEXT NOT NULL,
  cursor TEXT NOT NULL,
  examined INTEGER NOT NULL,
  rewrapped INTEGER NOT NULL,
  unreadable INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  advanced_at INTEGER NOT NULL,
  finished_at INTEGER
) WITHOUT ROWID;
