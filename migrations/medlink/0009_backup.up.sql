-- Backups of the hub: runs that go on where they were cut off, the objects in the bucket that snapshots share, and restore drills.
-- The manifests in the bucket say what a snapshot holds; these rows say what is under way and what need not be written again.
-- Times named *_at are milliseconds since the epoch.

-- fence rises with each turn that takes the run up: a turn that was overtaken writes nothing more.
CREATE TABLE backup_runs (
  name TEXT NOT NULL PRIMARY KEY, -- <time>[-<tag>], as the snapshot is called in the bucket
  kind TEXT NOT NULL, -- nightly | command
  state TEXT NOT NULL, -- running | good | failed | expired
  fence INTEGER NOT NULL,
  lease_until INTEGER NOT NULL,
  cursor TEXT NOT NULL, -- JSON: what it is of, and how far it is
  size INTEGER NOT NULL, -- entries of the ledger; 0 where there is none
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  files INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  new_files INTEGER NOT NULL DEFAULT 0, -- written by this run
  new_bytes INTEGER NOT NULL DEFAULT 0,
  manifest_sha256 TEXT,
  reason TEXT -- why it failed
) WITHOUT ROWID;

CREATE INDEX backup_runs_state ON backup_runs (state, started_at);

-- Objects that were written and read back. `sealed` entries and payloads are in every later snapshot; others in those of backup_files.
CREATE TABLE backup_objects (
  path TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL, -- entries | payloads | keys | table
  table_name TEXT,
  from_seq INTEGER,
  to_seq INTEGER,
  sealed INTEGER NOT NULL, -- 1: of a sealed segment
  rows INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  master_key_id TEXT, -- keys: the master key that was current
  written_at INTEGER NOT NULL,
  checked_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX backup_objects_range ON backup_objects (kind, from_seq);
CREATE INDEX backup_objects_checked ON backup_objects (checked_at);

CREATE TABLE backup_files (
  name TEXT NOT NULL,
  place INTEGER NOT NULL,
  path TEXT NOT NULL,
  PRIMARY KEY (name, place)
) WITHOUT ROWID;

CREATE INDEX backup_files_path ON backup_files (path);

-- One row: how far the ledger is in sealed segments, and the tree and chain there, from which the next segment goes on.
CREATE TABLE backup_progress (
  singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
  sealed_to INTEGER NOT NULL,
  position TEXT NOT NULL, -- JSON
  tail_to INTEGER NOT NULL, -- entries that are in the bucket, in a snapshot or in a minute's tail
  tail_outbox INTEGER NOT NULL, -- the last delivery that is
  damaged INTEGER NOT NULL -- objects that the scrub found lost or changed, ever
) WITHOUT ROWID;

INSERT INTO backup_progress (singleton, sealed_to, position, tail_to, tail_outbox, damaged) VALUES (1, 0, '', 0, 0, 0);

CREATE TABLE backup_drills (
  drill_id INTEGER PRIMARY KEY,
  source TEXT NOT NULL, -- cron | command
  snapshot TEXT NOT NULL,
  state TEXT NOT NULL, -- running | good | failed
  fence INTEGER NOT NULL DEFAULT 0,
  lease_until INTEGER NOT NULL DEFAULT 0,
  cursor TEXT NOT NULL DEFAULT '',
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  entries INTEGER NOT NULL DEFAULT 0,
  report TEXT NOT NULL DEFAULT '{}', -- JSON
  reason TEXT
);

CREATE INDEX backup_drills_state ON backup_drills (state, started_at);
