-- A backup takes each settlement's key along, which it finds by the effect's name.
CREATE INDEX idempotency_keys_effect ON idempotency_keys (effect_id);
