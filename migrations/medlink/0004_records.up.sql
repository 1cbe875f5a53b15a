-- Records of a clinic beyond what filing a claim needs: search of patients, filters of claims, corrections, attachments,
-- remittances, bulk filing, retention, erasure, and long tasks that go on where they stopped.

ALTER TABLE clinics ADD COLUMN locale TEXT NOT NULL DEFAULT 'en' CHECK (locale IN ('en', 'fr'));
ALTER TABLE clinics ADD COLUMN retention_years INTEGER NOT NULL DEFAULT 7 CHECK (retention_years BETWEEN 1 AND 100);

-- Set when the erasure of this person began: no new claim names the patient from then on.
ALTER TABLE patients ADD COLUMN erasing_at INTEGER;

-- Keyed hashes of the words of a patient's name and of the birth date: search by equality of words, nothing to read.
CREATE TABLE patient_terms (
  clinic_id TEXT NOT NULL,
  term_hash TEXT NOT NULL,
  patient_id TEXT NOT NULL REFERENCES patients (patient_id),
  PRIMARY KEY (clinic_id, term_hash, patient_id)
) WITHOUT ROWID;

CREATE INDEX patient_terms_patient ON patient_terms (patient_id);

-- What a claim supersedes. The hash is kept here too, since the predecessor may be erased before this one is sent.
ALTER TABLE claims ADD COLUMN corrects_claim_id TEXT;
ALTER TABLE claims ADD COLUMN corrects_hash TEXT;
ALTER TABLE claims ADD COLUMN incident_ticket TEXT;

CREATE UNIQUE INDEX claims_corrects ON claims (corrects_claim_id) WHERE corrects_claim_id IS NOT NULL;

-- One index drives a filtered list, whatever the filters are (src/medlink/claims/claim-filter.ts); the columns after
-- claim_id let it drop what the other filters leave out without reading the row.
CREATE INDEX claims_patient ON claims (clinic_id, patient_id, created_at, claim_id);
CREATE INDEX claims_provider ON claims (clinic_id, provider_id, created_at, claim_id, type, insurer_id);
CREATE INDEX claims_insurer ON claims (clinic_id, insurer_id, created_at, claim_id, type);
DROP INDEX claims_status;
CREATE INDEX claims_status ON claims (clinic_id, status, created_at, claim_id, type, provider_id, insurer_id);

-- A view is noted like a change, and is far more frequent: changes are found without walking over views.
ALTER TABLE audit_events ADD COLUMN is_view INTEGER NOT NULL DEFAULT 0;

CREATE INDEX audit_events_changes ON audit_events (clinic_id, at, audit_event_id) WHERE is_view = 0;
CREATE INDEX audit_events_subject ON audit_events (clinic_id, subject, at, audit_event_id);

-- `receiving` until the object is in R2 whole, `deleting` until it is gone: the sweep ends what a crash left.
CREATE TABLE attachments (
  attachment_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL,
  claim_id TEXT NOT NULL REFERENCES claims (claim_id),
  name_sealed TEXT NOT NULL,
  content_type TEXT NOT NULL CHECK (content_type IN ('application/pdf', 'image/png', 'image/jpeg')),
  size INTEGER NOT NULL CHECK (size > 0),
  sha256 TEXT, -- hex, once it is stored
  state TEXT NOT NULL CHECK (state IN ('receiving', 'stored', 'deleting')),
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX attachments_claim ON attachments (claim_id, created_at, attachment_id);
CREATE INDEX attachments_unfinished ON attachments (updated_at) WHERE state <> 'stored';

-- What an insurer paid at once. Lines outlive their claims: money that moved is not forgotten with the person.
CREATE TABLE remittances (
  remittance_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL REFERENCES clinics (clinic_id),
  insurer_id TEXT NOT NULL REFERENCES insurers (insurer_id),
  reference TEXT NOT NULL, -- the insurer's own number of the payment
  paid_on TEXT NOT NULL, -- YYYY-MM-DD
  total_minor INTEGER NOT NULL CHECK (total_minor > 0),
  currency TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE UNIQUE INDEX remittances_reference ON remittances (clinic_id, insurer_id, reference);
CREATE INDEX remittances_clinic ON remittances (clinic_id, created_at, remittance_id);

CREATE TABLE remittance_lines (
  remittance_id TEXT NOT NULL REFERENCES remittances (remittance_id),
  claim_id TEXT NOT NULL,
  clinic_id TEXT NOT NULL,
  paid_minor INTEGER NOT NULL CHECK (paid_minor > 0),
  PRIMARY KEY (remittance_id, claim_id)
) WITHOUT ROWID;

CREATE INDEX remittance_lines_claim ON remittance_lines (claim_id);

-- No claim is paid more than it asks, however many remittances arrive at once.
CREATE TRIGGER remittance_lines_paid BEFORE INSERT ON remittance_lines
BEGIN
  SELECT RAISE(ABORT, 'remittance: more than the claim')
  WHERE (SELECT COALESCE(SUM(paid_minor), 0) FROM remittance_lines WHERE claim_id = NEW.claim_id) + NEW.paid_minor
    > COALESCE((SELECT amount_minor FROM claims WHERE claim_id = NEW.claim_id), 0);
END;

-- Each row of a file that was filed, so that the same row is filed once. Keyed hashes: of its reference or of all it says.
CREATE TABLE bulk_rows (
  clinic_id TEXT NOT NULL,
  row_key TEXT NOT NULL,
  content_hash TEXT NOT NULL,
  claim_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (clinic_id, row_key)
) WITHOUT ROWID;

CREATE INDEX bulk_rows_claim ON bulk_rows (claim_id);

-- The erasure of one person, step by step; it stays when the person's rows are gone, and names nobody.
CREATE TABLE erasures (
  patient_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL,
  reason TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('running', 'complete')),
  claims_erased INTEGER NOT NULL,
  last_error TEXT, -- a closed code
  requested_by TEXT NOT NULL,
  correlation_id TEXT NOT NULL,
  requested_at INTEGER NOT NULL,
  next_attempt_at INTEGER,
  completed_at INTEGER,
  complete_everywhere_at INTEGER -- past every copy that core and the hub know of
) WITHOUT ROWID;

CREATE INDEX erasures_due ON erasures (next_attempt_at) WHERE state = 'running';

-- Events about an erased claim still arrive, and are still ours.
CREATE TABLE erased_requests (
  request_id_hash TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL,
  erased_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX erased_requests_at ON erased_requests (erased_at);

-- Long tasks of the hub: where each is, as JSON of its own module.
CREATE TABLE tasks (
  name TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
