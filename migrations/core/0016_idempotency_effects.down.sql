DROP INDEX idempotency_keys_effect;
