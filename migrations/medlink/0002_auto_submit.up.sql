-- Auto-submit toward a core that comes and goes: what the hub knows of core's reachability, whose turn it is, and a switch
-- for the whole hub.

-- When the last attempt began: starts within a second are counted by it.
ALTER TABLE auto_submit_jobs ADD COLUMN started_at INTEGER;
-- Rises with every start of the hub: the clinic whose newest turn is oldest goes next.
ALTER TABLE auto_submit_jobs ADD COLUMN turn INTEGER;
-- Attempts that did not reach core while it answered others, and so were not counted.
ALTER TABLE auto_submit_jobs ADD COLUMN deferrals INTEGER NOT NULL DEFAULT 0;

CREATE INDEX auto_submit_jobs_waiting ON auto_submit_jobs (clinic_id, next_attempt_at, job_id) WHERE state IN ('queued', 'retrying');
CREATE INDEX auto_submit_jobs_started ON auto_submit_jobs (started_at);
CREATE INDEX auto_submit_jobs_turn ON auto_submit_jobs (turn);
CREATE INDEX auto_submit_jobs_clinic_turn ON auto_submit_jobs (clinic_id, turn);

-- One row a breaker. It is kept beside the jobs, not in an object of its own: whether a job may start and that it started
-- are then read and written in the same database.
CREATE TABLE breakers (
  name TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL, -- JSON, src/medlink/auto-submit/core-breaker.ts
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Hot switches of the whole hub, over those of its clinics.
CREATE TABLE hub_settings (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL,
  updated_by TEXT NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
