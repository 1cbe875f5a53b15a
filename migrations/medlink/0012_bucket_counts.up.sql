-- What lies in each bucket, counted page by page: one row a bucket. The same table as in the ledger's database.
CREATE TABLE bucket_counts (
  bucket TEXT NOT NULL PRIMARY KEY,
  counting_since INTEGER, -- epoch ms; null: no count is under way
  after_key TEXT NOT NULL DEFAULT '', -- the last key that the count under way has looked at
  bytes_so_far INTEGER NOT NULL DEFAULT 0,
  objects_so_far INTEGER NOT NULL DEFAULT 0,
  counted_at INTEGER, -- epoch ms, when the newest whole count began; null: there was none
  size_bytes INTEGER NOT NULL DEFAULT 0,
  objects INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
