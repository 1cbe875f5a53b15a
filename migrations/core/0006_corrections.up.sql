-- Corrections and erasure. Columns of requests and claims below are derived from the entries.

ALTER TABLE requests ADD COLUMN corrects TEXT; -- request_id_hash of the request that this one supersedes
ALTER TABLE requests ADD COLUMN incident_ticket TEXT; -- why, when there was an incident
ALTER TABLE requests ADD COLUMN superseded_by TEXT; -- request_id_hash of the one successor
-- Seq of the ERASED entry. Once set, request_id is the hash (the id is a name of a person's claim) and the amount is 0 of
-- currency XXX, ISO 4217's "no currency": what is not known any more joins no total.
ALTER TABLE requests ADD COLUMN erased_seq INTEGER;
ALTER TABLE claims ADD COLUMN erased_seq INTEGER;

-- One successor each, whatever the code above believes.
CREATE UNIQUE INDEX requests_corrects ON requests (ledger_id, corrects) WHERE corrects IS NOT NULL;

-- The key of the lookups below, drawn at random and wrapped under a versioned master key like those of payload_keys: a
-- rotation wraps it again and every lookup stays good.
CREATE TABLE id_lookup_keys (
  ledger_id TEXT NOT NULL PRIMARY KEY,
  master_key_id TEXT NOT NULL,
  wrapped TEXT NOT NULL
) WITHOUT ROWID;

-- Ids that were erased, as keyed hashes: a resend is answered 410 instead of being recorded anew, and nobody without the
-- key learns from a row whether an id was here.
CREATE TABLE erased_ids (
  ledger_id TEXT NOT NULL,
  lookup TEXT NOT NULL,
  subject TEXT NOT NULL,
  PRIMARY KEY (ledger_id, lookup)
) WITHOUT ROWID;

-- Erased subjects whose objects in R2 are still to be deleted, or looked for once more.
CREATE TABLE pending_erasures (
  ledger_id TEXT NOT NULL,
  subject TEXT NOT NULL,
  erased_at INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  PRIMARY KEY (ledger_id, subject)
) WITHOUT ROWID;

CREATE INDEX pending_erasures_due ON pending_erasures (due_at);
