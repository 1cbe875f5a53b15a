-- EDI networks and FHIR. Times named *_at are milliseconds since the epoch. Nothing here names a person: transactions and
-- exchanges hold opaque ids, closed codes and amounts of a claim; a message itself is not kept.

-- One claim on its way through one network.
CREATE TABLE edi_transactions (
  transaction_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL,
  claim_id TEXT NOT NULL,
  claim_type TEXT NOT NULL CHECK (claim_type IN ('claim', 'preauth')),
  connector TEXT NOT NULL CHECK (connector IN ('cdanet', 'eclaims', 'portal')),
  mode TEXT NOT NULL CHECK (mode IN ('sandbox', 'production')),
  reference INTEGER NOT NULL, -- 1 to 999,999; CDAnet's office sequence number
  licence_number TEXT, -- of the provider, as every later message names it
  state TEXT NOT NULL CHECK (state IN ('sending', 'unknown', 'unsent', 'acknowledged', 'adjudicated', 'rejected')),
  outcome TEXT, -- a decision or a closed code
  benefit_minor INTEGER,
  currency TEXT NOT NULL,
  carrier_reference TEXT,
  sends INTEGER NOT NULL,
  checks INTEGER NOT NULL,
  next_check_at INTEGER,
  lease_until INTEGER,
  correlation_id TEXT NOT NULL,
  sent_by TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

-- A claim is sent to a network once; only what the network rejected may be sent anew. Rehearsals do not count.
CREATE UNIQUE INDEX edi_transactions_live ON edi_transactions (claim_id, connector, mode) WHERE state <> 'rejected';
CREATE INDEX edi_transactions_claim ON edi_transactions (claim_id, created_at);
CREATE INDEX edi_transactions_reference ON edi_transactions (connector, reference, created_at);
CREATE INDEX edi_transactions_due ON edi_transactions (next_check_at) WHERE next_check_at IS NOT NULL;
CREATE INDEX edi_transactions_sending ON edi_transactions (lease_until) WHERE state = 'sending';

-- A writer that decided on an older row must decide again.
CREATE TRIGGER edi_transactions_version BEFORE UPDATE ON edi_transactions WHEN NEW.version <> OLD.version + 1
BEGIN
  SELECT RAISE(ABORT, 'edi transaction: version moved');
END;

-- Every message out and every answer in.
CREATE TABLE edi_exchanges (
  exchange_id INTEGER PRIMARY KEY,
  connector TEXT NOT NULL,
  mode TEXT NOT NULL,
  clinic_id TEXT NOT NULL, -- `hub`: an operator's test
  claim_id TEXT,
  transaction_id TEXT,
  direction TEXT NOT NULL CHECK (direction IN ('out', 'in')),
  kind TEXT NOT NULL CHECK (kind IN ('submit', 'status', 'acknowledge', 'test')),
  message_type TEXT NOT NULL, -- the network's name of the message, such as CDAnet's 01
  outcome TEXT NOT NULL, -- a closed code
  ok INTEGER NOT NULL CHECK (ok IN (0, 1)),
  status INTEGER, -- of HTTP
  duration_ms INTEGER,
  size_bytes INTEGER NOT NULL,
  message_hash TEXT, -- keyed: who reads this table cannot try messages
  correlation_id TEXT NOT NULL,
  at INTEGER NOT NULL
);

CREATE INDEX edi_exchanges_at ON edi_exchanges (at, exchange_id);
CREATE INDEX edi_exchanges_clinic ON edi_exchanges (clinic_id, at, exchange_id);
CREATE INDEX edi_exchanges_connector ON edi_exchanges (connector, direction, at);
CREATE INDEX edi_exchanges_transaction ON edi_exchanges (transaction_id, exchange_id);

-- Office sequence numbers, and how many submissions a sandbox has seen.
CREATE TABLE edi_counters (
  name TEXT NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;

-- What the sandbox has taken.
CREATE TABLE edi_sandbox_claims (
  connector TEXT NOT NULL,
  transaction_id TEXT NOT NULL,
  reference INTEGER NOT NULL,
  clinic_id TEXT NOT NULL,
  claim_type TEXT NOT NULL,
  lines TEXT NOT NULL, -- JSON list of minor units
  currency TEXT NOT NULL,
  carrier_reference TEXT NOT NULL,
  decision TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  decided_at INTEGER NOT NULL,
  given_at INTEGER, -- when the decision was given out, or its receipt confirmed
  PRIMARY KEY (connector, transaction_id)
) WITHOUT ROWID;

CREATE INDEX edi_sandbox_claims_mailbox ON edi_sandbox_claims (connector, clinic_id, decided_at) WHERE given_at IS NULL;
CREATE INDEX edi_sandbox_claims_clinic ON edi_sandbox_claims (clinic_id);

-- Claims that came as FHIR resources: by which identifier, so that the same resource is the same claim.
CREATE TABLE fhir_claims (
  claim_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL,
  identifier_hash TEXT NOT NULL,
  content_hash TEXT NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE UNIQUE INDEX fhir_claims_identifier ON fhir_claims (clinic_id, identifier_hash);
