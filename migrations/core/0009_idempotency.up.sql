-- Idempotency-Key of requests with effects of their own. Keys come from outside and may be anything: neither they nor the bodies
-- they came with are kept, only keyed hashes.
CREATE TABLE idempotency_keys (
  key_id TEXT NOT NULL PRIMARY KEY, -- 64 hex: keyed hash of scope and key
  scope TEXT NOT NULL, -- the route, such as settlements
  tenant_id TEXT NOT NULL,
  fingerprint TEXT NOT NULL, -- 64 hex: keyed hash of the request's body
  state TEXT NOT NULL, -- PROCESSING | COMPLETED
  effect_id TEXT NOT NULL, -- names the effect, drawn with the key; what really happened is told by it
  token INTEGER NOT NULL, -- fencing: rises each time that someone takes the key over
  busy_until INTEGER NOT NULL, -- while PROCESSING: until then whoever began is taken to be at work
  status INTEGER, -- of the stored answer
  answer_key_id TEXT,
  answer_sealed TEXT, -- null when COMPLETED: made anew from the effect
  correlation_id TEXT NOT NULL,
  resolved_by TEXT, -- sweep, or the operator's key
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
CREATE INDEX idempotency_keys_busy ON idempotency_keys (busy_until) WHERE state = 'PROCESSING';
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at, key_id);
