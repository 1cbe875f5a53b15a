-- Metrics: by minute for 30 days, by hour for a year, and totals since the first. Names, labels and kinds are those of
-- src/platform/metrics.ts.

-- labels: JSON array of the label values, in the catalogue's order. value: what a counter rose by, a gauge's reading, the sum
-- of what a histogram observed. buckets: a histogram's observations in each bucket alone, as a JSON array.
CREATE TABLE metric_minutes (
  name TEXT NOT NULL,
  minute INTEGER NOT NULL, -- since the epoch
  labels TEXT NOT NULL,
  value REAL NOT NULL,
  buckets TEXT,
  PRIMARY KEY (name, minute, labels)
) WITHOUT ROWID;

CREATE TABLE metric_hours (
  name TEXT NOT NULL,
  hour INTEGER NOT NULL, -- since the epoch
  labels TEXT NOT NULL,
  value REAL NOT NULL,
  buckets TEXT,
  PRIMARY KEY (name, hour, labels)
) WITHOUT ROWID;

-- Counters and histograms since the first, for scrapes: retention must not make a counter fall.
CREATE TABLE metric_totals (
  name TEXT NOT NULL,
  labels TEXT NOT NULL,
  value REAL NOT NULL,
  buckets TEXT,
  PRIMARY KEY (name, labels)
) WITHOUT ROWID;

-- Each batch that was added, by an id of its own: one whose outcome was unknown is sent again and counts once.
CREATE TABLE metric_flushes (
  flush_id TEXT NOT NULL PRIMARY KEY,
  flushed_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX metric_flushes_at ON metric_flushes (flushed_at);

-- How far something is counted: the first hour not yet rolled up, the last row of a table that was looked at.
CREATE TABLE metric_marks (
  name TEXT NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;
