-- The clinics' side: accounts, records, claims and their timeline, auto-submit jobs, webhook intake, audit.
-- Times named *_at are milliseconds since the epoch. Columns named *_sealed are `<key id>.<base64>` (AES-256-GCM); columns
-- named *_hash beside them are keyed hashes for equality search. Money is integer minor units.

CREATE TABLE clinics (
  clinic_id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The password hash carries its own parameters, so that the cost can rise without a migration.
CREATE TABLE users (
  user_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL REFERENCES clinics (clinic_id),
  role TEXT NOT NULL CHECK (role IN ('provider', 'billing', 'admin')),
  email_hash TEXT NOT NULL UNIQUE,
  profile_sealed TEXT NOT NULL, -- {email, name}
  password_hash TEXT NOT NULL,
  disabled_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX users_clinic ON users (clinic_id);

-- Only the hash of a session's id is kept: this table read by a thief opens no session.
CREATE TABLE sessions (
  session_hash TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (user_id),
  created_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_last_seen ON sessions (last_seen_at);

CREATE TABLE patients (
  patient_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL REFERENCES clinics (clinic_id),
  personal_sealed TEXT NOT NULL, -- {firstName, lastName, birthDate, healthNumber, notes}
  health_number_hash TEXT,
  name_hash TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX patients_clinic ON patients (clinic_id, created_at, patient_id);
CREATE INDEX patients_name ON patients (clinic_id, name_hash);
CREATE UNIQUE INDEX patients_health_number ON patients (clinic_id, health_number_hash) WHERE health_number_hash IS NOT NULL;

CREATE TABLE providers (
  provider_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL REFERENCES clinics (clinic_id),
  name TEXT NOT NULL,
  licence_number TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX providers_clinic ON providers (clinic_id, created_at, provider_id);

CREATE TABLE insurers (
  insurer_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL REFERENCES clinics (clinic_id),
  name TEXT NOT NULL,
  insurer_address TEXT NOT NULL COLLATE NOCASE,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX insurers_clinic ON insurers (clinic_id, created_at, insurer_id);

-- event_* describe the newest webhook applied: an older one never undoes it.
CREATE TABLE claims (
  claim_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL REFERENCES clinics (clinic_id),
  patient_id TEXT NOT NULL REFERENCES patients (patient_id),
  provider_id TEXT NOT NULL REFERENCES providers (provider_id),
  insurer_id TEXT NOT NULL REFERENCES insurers (insurer_id),
  type TEXT NOT NULL CHECK (type IN ('claim', 'preauth')),
  status TEXT NOT NULL CHECK (status IN ('draft', 'submitted', 'pending', 'infoRequested', 'paid', 'denied')),
  amount_minor INTEGER NOT NULL CHECK (amount_minor >= 0),
  currency TEXT NOT NULL,
  details_sealed TEXT NOT NULL, -- {codes, notes}
  request_id TEXT,
  request_id_hash TEXT,
  event_status TEXT,
  event_ledger_id TEXT,
  event_seq INTEGER,
  event_occurred_at INTEGER, -- epoch seconds, as the event says
  created_by TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX claims_clinic ON claims (clinic_id, created_at, claim_id);
CREATE INDEX claims_status ON claims (clinic_id, status, created_at, claim_id);
CREATE INDEX claims_type ON claims (clinic_id, type, created_at, claim_id);
CREATE UNIQUE INDEX claims_request_hash ON claims (request_id_hash) WHERE request_id_hash IS NOT NULL;

-- A writer that decided on an older row must decide again: its whole batch fails here.
CREATE TRIGGER claims_version BEFORE UPDATE ON claims WHEN NEW.version <> OLD.version + 1
BEGIN
  SELECT RAISE(ABORT, 'claim: version moved');
END;

-- The timeline. `detail` is a closed code, never text from a person or an upstream body.
CREATE TABLE claim_events (
  claim_event_id INTEGER PRIMARY KEY,
  claim_id TEXT NOT NULL REFERENCES claims (claim_id),
  clinic_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL, -- the claim's status after it
  actor TEXT NOT NULL, -- a user id, `auto-submit` or `itrans`
  detail TEXT,
  event_id TEXT,
  ledger_seq INTEGER,
  entry_hash TEXT,
  at INTEGER NOT NULL
);

CREATE INDEX claim_events_claim ON claim_events (claim_id, claim_event_id);

-- The truth of auto-submit; a queue message is only a hint that names a row.
CREATE TABLE auto_submit_jobs (
  job_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL,
  claim_id TEXT NOT NULL REFERENCES claims (claim_id),
  claim_type TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'retrying', 'succeeded', 'failed')),
  attempt INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  next_attempt_at INTEGER, -- queued and retrying
  lease_until INTEGER, -- running: past this the attempt is taken for crashed
  last_error TEXT, -- a closed code, with the upstream's own problem code if it gave one
  last_upstream_status INTEGER,
  request_id TEXT,
  request_id_hash TEXT,
  correlation_id TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE UNIQUE INDEX auto_submit_jobs_live ON auto_submit_jobs (claim_id) WHERE state IN ('queued', 'running', 'retrying');
CREATE INDEX auto_submit_jobs_due ON auto_submit_jobs (next_attempt_at) WHERE state IN ('queued', 'retrying');
CREATE INDEX auto_submit_jobs_running ON auto_submit_jobs (lease_until) WHERE state = 'running';
CREATE INDEX auto_submit_jobs_ended ON auto_submit_jobs (updated_at) WHERE state IN ('succeeded', 'failed');
CREATE INDEX auto_submit_jobs_clinic ON auto_submit_jobs (clinic_id, created_at, job_id);
CREATE INDEX auto_submit_jobs_claim ON auto_submit_jobs (claim_id, created_at);

CREATE TRIGGER auto_submit_jobs_version BEFORE UPDATE ON auto_submit_jobs WHEN NEW.version <> OLD.version + 1
BEGIN
  SELECT RAISE(ABORT, 'job: version moved');
END;

-- What people sent straight through the bridge: whose it is, and nothing of what it says.
CREATE TABLE bridge_requests (
  core_id TEXT NOT NULL,
  clinic_id TEXT NOT NULL REFERENCES clinics (clinic_id),
  kind TEXT NOT NULL CHECK (kind IN ('claim', 'workflow')),
  request_id_hash TEXT,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (kind, core_id)
) WITHOUT ROWID;

CREATE UNIQUE INDEX bridge_requests_hash ON bridge_requests (request_id_hash) WHERE request_id_hash IS NOT NULL;

-- Hot switches. Read on every use, so that a change needs no deployment.
CREATE TABLE settings (
  clinic_id TEXT NOT NULL REFERENCES clinics (clinic_id),
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  updated_by TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (clinic_id, key)
) WITHOUT ROWID;

-- Every webhook event that took effect here, once: inserted in the batch that applies it.
CREATE TABLE webhook_events (
  event_id TEXT NOT NULL PRIMARY KEY,
  event_type TEXT NOT NULL,
  clinic_id TEXT NOT NULL,
  claim_id TEXT NOT NULL,
  request_id_hash TEXT NOT NULL,
  effect TEXT NOT NULL CHECK (effect IN ('moved', 'superseded', 'recorded')),
  received_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX webhook_events_received ON webhook_events (received_at);

CREATE TABLE audit_events (
  audit_event_id INTEGER PRIMARY KEY,
  clinic_id TEXT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT, -- a closed code
  correlation_id TEXT NOT NULL,
  at INTEGER NOT NULL
);

CREATE INDEX audit_events_clinic ON audit_events (clinic_id, at, audit_event_id);

CREATE TRIGGER audit_events_update BEFORE UPDATE ON audit_events
BEGIN
  SELECT RAISE(ABORT, 'audit event: never changed');
END;
