-- Feature flags of the whole hub. A flag without a row is as the worker's settings say.
CREATE TABLE flags (
  name TEXT NOT NULL PRIMARY KEY,
  enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  percentage INTEGER NOT NULL CHECK (percentage BETWEEN 0 AND 100),
  updated_by TEXT NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Who met a flag and what they saw: one row for a user, a flag, a day (UTC, as YYYY-MM-DD) and an outcome.
CREATE TABLE flag_exposures (
  name TEXT NOT NULL,
  day TEXT NOT NULL,
  user_id TEXT NOT NULL,
  shown INTEGER NOT NULL CHECK (shown IN (0, 1)),
  PRIMARY KEY (name, day, user_id, shown)
) WITHOUT ROWID;

CREATE INDEX flag_exposures_day ON flag_exposures (day);
