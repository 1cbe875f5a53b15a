-- What operators do to the hub alone, on its way to core's ledger: written before it is done, sent until core has it as an entry.
CREATE TABLE operator_actions (
  action_id TEXT NOT NULL PRIMARY KEY, -- act_<uuid>
  salt TEXT NOT NULL, -- 64 hex, of this action alone
  action TEXT NOT NULL, -- a code
  target TEXT NOT NULL, -- words of ids, flag names and switch values, and by whom
  actor TEXT NOT NULL, -- a user id, or `operator` for the hub's operator key
  correlation_id TEXT NOT NULL,
  at INTEGER NOT NULL, -- epoch ms
  sent_at INTEGER -- epoch ms, when core had taken it; null: it waits
) WITHOUT ROWID;

CREATE INDEX operator_actions_waiting ON operator_actions (at, action_id) WHERE sent_at IS NULL;
