-- Incidents as their operators tell them: what was noticed, what was done, what it was. No names of people. Times are milliseconds
-- since the epoch.
CREATE TABLE incidents (
  incident_id INTEGER NOT NULL PRIMARY KEY,
  ticket TEXT NOT NULL UNIQUE CHECK (length(ticket) BETWEEN 1 AND 40), -- INC-<incident_id>, or the name it has elsewhere
  severity TEXT NOT NULL CHECK (severity IN ('S1', 'S2', 'S3', 'S4')),
  summary TEXT NOT NULL CHECK (length(summary) BETWEEN 1 AND 300),
  alert TEXT, -- the alert that told of it
  detected_at INTEGER NOT NULL,
  opened_at INTEGER NOT NULL,
  opened_by TEXT NOT NULL, -- key id
  closed_at INTEGER,
  closed_by TEXT,
  root_cause TEXT,
  prevention TEXT,
  CHECK ((closed_at IS NULL) = (root_cause IS NULL))
);

CREATE INDEX incidents_opened ON incidents (opened_at);

CREATE TABLE incident_notes (
  note_id INTEGER NOT NULL PRIMARY KEY,
  incident_id INTEGER NOT NULL REFERENCES incidents (incident_id),
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  note TEXT NOT NULL CHECK (length(note) BETWEEN 1 AND 300)
);

CREATE INDEX incident_notes_incident ON incident_notes (incident_id, note_id);
