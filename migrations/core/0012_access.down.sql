-- Forgets what stands behind the OPERATOR_ACTION entries (the entries stay) and the ages of secrets: only for development. Tools
-- refuse it elsewhere. Keys of closed tenants are revoked, or they would open again.
UPDATE api_keys SET revoked_at = (SELECT closed_at FROM tenants WHERE tenants.tenant_id = api_keys.tenant_id)
  WHERE revoked_at IS NULL AND tenant_id IN (SELECT tenant_id FROM tenants WHERE closed_at IS NOT NULL);
DROP TABLE rewraps;
DROP TABLE secret_sightings;
DROP INDEX api_keys_tenant;
ALTER TABLE api_keys DROP COLUMN last_used_at;
ALTER TABLE api_keys DROP COLUMN revoked_by;
ALTER TABLE api_keys DROP COLUMN created_by;
ALTER TABLE api_keys DROP COLUMN label;
ALTER TABLE tenants DROP COLUMN closed_by;
ALTER TABLE tenants DROP COLUMN closed_at;
DROP TABLE operator_actions_waiting;
DROP TRIGGER operator_actions_delete;
DROP TRIGGER operator_actions_update;
DROP TRIGGER operator_actions_insert;
DROP TABLE operator_actions;
