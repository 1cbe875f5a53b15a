-- A claim's life in fewer rows: an index that no query needs is a row written for nothing.
-- rollback: safe: the version before writes events without a number, for which there is a default, and reads them as before.

-- The timeline by claim, numbered within it: one row an event, where a rowid and an index were two. The default is for who does
-- not number: later than any number before it, in the order of time.
CREATE TABLE claim_events_next (
  claim_id TEXT NOT NULL REFERENCES claims (claim_id),
  claim_event_id INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER) * 4096 + (random() & 4095)),
  clinic_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL, -- the claim's status after it
  actor TEXT NOT NULL, -- a user id, `auto-submit` or `itrans`
  detail TEXT,
  event_id TEXT, -- of iTrans; an event is applied to its claim once
  ledger_seq INTEGER,
  entry_hash TEXT,
  at INTEGER NOT NULL,
  PRIMARY KEY (claim_id, claim_event_id)
) WITHOUT ROWID;

INSERT INTO claim_events_next
  (claim_id, claim_event_id, clinic_id, kind, status, actor, detail, event_id, ledger_seq, entry_hash, at)
SELECT claim_id, claim_event_id, clinic_id, kind, status, actor, detail, event_id, ledger_seq, entry_hash, at FROM claim_events;

DROP TABLE claim_events;
ALTER TABLE claim_events_next RENAME TO claim_events;

-- Each audit event stands in one list of its clinic, of changes or of views; both together are merged as they are read.
CREATE INDEX audit_events_views ON audit_events (clinic_id, at, audit_event_id) WHERE is_view = 1;
DROP INDEX audit_events_clinic;

-- A job that never started has no start and no turn. The newest start has the highest turn.
DROP INDEX auto_submit_jobs_turn;
DROP INDEX auto_submit_jobs_started;
CREATE INDEX auto_submit_jobs_started ON auto_submit_jobs (started_at, turn) WHERE started_at IS NOT NULL;
DROP INDEX auto_submit_jobs_clinic_turn;
CREATE INDEX auto_submit_jobs_clinic_turn ON auto_submit_jobs (clinic_id, turn) WHERE turn IS NOT NULL;

-- Failed jobs are counted for each look at the whole system; those that succeeded are many.
CREATE INDEX auto_submit_jobs_failed ON auto_submit_jobs (updated_at, job_id) WHERE state = 'failed';

-- What is due is found clinic by clinic, in auto_submit_jobs_waiting.
DROP INDEX auto_submit_jobs_due;

-- A claim has at most one live job. An index of live jobs would be written at each start; these look at the claim's own few, and
-- speak as it did.
DROP INDEX auto_submit_jobs_live;

CREATE TRIGGER auto_submit_jobs_live_insert BEFORE INSERT ON auto_submit_jobs
WHEN NEW.state IN ('queued', 'running', 'retrying')
BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: auto_submit_jobs.claim_id')
  WHERE EXISTS (SELECT 1 FROM auto_submit_jobs
    WHERE claim_id = NEW.claim_id AND state IN ('queued', 'running', 'retrying'));
END;

CREATE TRIGGER auto_submit_jobs_live_update BEFORE UPDATE ON auto_submit_jobs
WHEN NEW.state IN ('queued', 'running', 'retrying') AND OLD.state NOT IN ('queued', 'running', 'retrying')
BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: auto_submit_jobs.claim_id')
  WHERE EXISTS (SELECT 1 FROM auto_submit_jobs
    WHERE claim_id = NEW.claim_id AND job_id <> NEW.job_id AND state IN ('queued', 'running', 'retrying'));
END;
