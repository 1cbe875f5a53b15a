-- Our settlements held against the operator's list. Neither table is anybody's truth about money: `settlements` and the operator are.

-- One row for each time that a range of days is compared; it says where to go on, so that a run outlives any invocation.
CREATE TABLE reconciliation_runs (
  ledger_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  kind TEXT NOT NULL, -- daily | custom
  from_day TEXT NOT NULL, -- YYYY-MM-DD, UTC
  to_day TEXT NOT NULL, -- included
  state TEXT NOT NULL, -- running | completed | failed
  started_by TEXT NOT NULL, -- key id, or "cron"
  day TEXT NOT NULL, -- under way
  day_started_at INTEGER NOT NULL, -- items of the day that were not seen since are gone
  frontier TEXT NOT NULL, -- ref_id up to which both sides of the day are compared; "" before the first
  cursor TEXT, -- of the operator's page that holds what comes next; null: the first page
  list_ended INTEGER NOT NULL, -- 1: the operator has no more of this day
  expected INTEGER NOT NULL, -- settlements of ours in the range when it began, for progress
  ours INTEGER NOT NULL,
  theirs INTEGER NOT NULL,
  agreed INTEGER NOT NULL,
  in_flight INTEGER NOT NULL,
  asked INTEGER NOT NULL, -- questions about what is missing in the list
  mismatches INTEGER NOT NULL,
  version INTEGER NOT NULL, -- rises with every write: who writes under an older one changes nothing
  lease_until INTEGER NOT NULL,
  due_at INTEGER NOT NULL, -- after a failed step: not before
  failures INTEGER NOT NULL, -- in a row
  reason TEXT,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  PRIMARY KEY (ledger_id, run_id)
);

CREATE INDEX reconciliation_runs_started ON reconciliation_runs (ledger_id, started_at, run_id);
CREATE INDEX reconciliation_runs_running ON reconciliation_runs (ledger_id, due_at) WHERE state = 'running';

-- What differs, until somebody or the next run settles it.
CREATE TABLE reconciliation_items (
  item_id INTEGER PRIMARY KEY,
  ledger_id TEXT NOT NULL,
  ref_id TEXT NOT NULL, -- the operator's transactionId, where it is none of ours
  kind TEXT NOT NULL, -- missing_at_operator | missing_here | type | amount | currency | status
  day TEXT NOT NULL, -- of our row; of theirs where we have none
  tenant_id TEXT,
  ours TEXT, -- JSON: type, amountCents, currency, status; null: not here
  theirs TEXT, -- JSON: the same and operatorTransactionId; null: not there
  state TEXT NOT NULL, -- open | resolved
  owner TEXT,
  resolution TEXT, -- agreed | gone | replayed | accepted
  reason TEXT,
  resolved_by TEXT,
  run_id TEXT NOT NULL, -- that found it first
  found_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  resolved_at INTEGER
);

-- Found again, an item is not made twice, whatever the code above believes.
CREATE UNIQUE INDEX reconciliation_items_open ON reconciliation_items (ledger_id, ref_id, kind) WHERE state = 'open';
CREATE INDEX reconciliation_items_state ON reconciliation_items (ledger_id, state, item_id);
CREATE INDEX reconciliation_items_day ON reconciliation_items (ledger_id, day, item_id);
CREATE INDEX reconciliation_items_ref ON reconciliation_items (ledger_id, ref_id);
