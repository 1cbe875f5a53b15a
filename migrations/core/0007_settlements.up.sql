-- Money between payer and clinic: one row for each transaction that was ever asked for.

-- Projection: amount_cents and currency are committed (the SETTLEMENT_CREATED entry commits to them under the subject's salt), the
-- rest is derived from the entries. A row outlives the erasure of its subject: what money moved is no secret of the patient's,
-- and the subject names nobody then.
CREATE TABLE settlements (
  ledger_id TEXT NOT NULL,
  ref_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  subject TEXT NOT NULL, -- claim_id_hash or request_id_hash
  subject_kind TEXT NOT NULL, -- claim | request
  type TEXT NOT NULL, -- payment | reversal | adjustment
  amount_cents INTEGER NOT NULL, -- minor units, of 0 to 4 decimals; only an adjustment may be negative
  currency TEXT NOT NULL,
  reverses TEXT, -- ref_id
  status TEXT NOT NULL, -- PENDING | PROCESSING | COMPLETED | REJECTED | FAILED
  reason TEXT,
  operator_transaction_id TEXT,
  round INTEGER NOT NULL, -- replays so far
  created_seq INTEGER NOT NULL,
  started_seq INTEGER,
  ended_seq INTEGER,
  created_at INTEGER NOT NULL, -- `at` of the first entry
  updated_at INTEGER NOT NULL, -- `at` of the newest entry
  PRIMARY KEY (ledger_id, ref_id)
);

CREATE INDEX settlements_subject ON settlements (ledger_id, subject);
CREATE INDEX settlements_seq ON settlements (ledger_id, created_seq);
CREATE INDEX settlements_tenant ON settlements (ledger_id, tenant_id, created_seq);
CREATE INDEX settlements_status ON settlements (ledger_id, status, created_seq);
CREATE INDEX settlements_created ON settlements (ledger_id, created_at, ref_id);

-- What is being done about each at the operator, which is nobody's fact: written with the settlement, leased by whoever drives it.
CREATE TABLE settlement_drives (
  ledger_id TEXT NOT NULL,
  ref_id TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  correlation_id TEXT NOT NULL,
  due_at INTEGER, -- null: it is under way no more. When leased: the end of the lease
  lease_token INTEGER NOT NULL DEFAULT 0, -- fencing: rises with each lease
  in_doubt INTEGER NOT NULL DEFAULT 0, -- 1: a send may have taken effect; the operator is asked before the next one
  sends INTEGER NOT NULL DEFAULT 0, -- of this round that the operator turned out not to have
  waits INTEGER NOT NULL DEFAULT 0, -- calls since the last that told anything
  last_answer TEXT,
  asked_at INTEGER, -- when the operator was last called
  PRIMARY KEY (ledger_id, ref_id)
) WITHOUT ROWID;

CREATE INDEX settlement_drives_due ON settlement_drives (ledger_id, tenant_id, due_at) WHERE due_at IS NOT NULL;
