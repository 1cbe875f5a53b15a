-- Leasing: the fencing token, the pending wake-up and each destination's rate. All leases go through this database, so
-- what is counted here is exact across every isolate.

-- One row. last_token rises with each lease that hands out rows. wake_at is when the hint that was last asked for arrives:
-- until then no second one is sent.
CREATE TABLE relay_leases (
  singleton INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
  last_token INTEGER NOT NULL,
  wake_at INTEGER NOT NULL
);

INSERT INTO relay_leases (singleton, last_token, wake_at) VALUES (1, 0, 0);

-- A leaky bucket (GCRA) per destination: the time at which everything leased so far will have drained, in microseconds
-- since the epoch, so that a million requests a minute still have a whole interval.
CREATE TABLE relay_rates (
  destination_id TEXT NOT NULL PRIMARY KEY,
  drained_at_us INTEGER NOT NULL
) WITHOUT ROWID;
