-- Forgets which requests were answered: a resend under its key is decided anew. Nothing else rests on it.
DROP TABLE idempotency_keys;
