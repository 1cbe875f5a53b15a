/** API keys of tenants, by the hash of the key. */
import { SCOPES, type Scope, type Surface } from "./principal.ts";

export interface ApiKeyRecord {
  readonly keyId: string;
  readonly tenantId: string;
  readonly surface: Surface;
  readonly scopes: readonly Scope[];
  readonly insurerAddress: string | undefined;
  readonly requestsPerMinute: number | undefined;
}

interface ApiKeyRow {
  readonly key_id: string;
  readonly tenant_id: string;
  readonly surface: Surface;
  readonly scopes: string;
  readonly insurer_address: string | null;
  readonly requests_per_minute: number | null;
}

/** @param keyHash lower-case hex SHA-256 of the key. Revoked keys are not found. */
export async function findApiKey(db: D1Database, keyHash: string): Promise<ApiKeyRecord | undefined> {
  const row = await db
    .prepare(
      `SELECT key_id, tenant_id, surface, scopes, insurer_address, requests_per_minute
       FROM api_keys WHERE key_hash = ? AND revoked_at IS NULL`,
    )
    .bind(keyHash)
    .first<ApiKeyRow>();
  if (row === null) return undefined;
  const stored: unknown = JSON.parse(row.scopes);
  const scopes = SCOPES.filter((scope) => Array.isArray(stored) && stored.includes(scope));
  return {
    keyId: row.key_id,
    tenantId: row.tenant_id,
    surface: row.surface,
    scopes,
    insurerAddress: row.insurer_address ?? undefined,
    requestsPerMinute: row.requests_per_minute ?? undefined,
  };
}

/** @returns false when the tenant does not exist; nothing is written then. */
export async function insertApiKey(
  db: D1Database,
  keyHash: string,
  record: ApiKeyRecord,
  nowMs: number,
): Promise<boolean> {
  const result = await db
    .prepare(
      `INSERT INTO api_keys (key_hash, key_id, tenant_id, surface, scopes, insurer_address, requests_per_minute, created_at)
       SELECT ?1, ?2, tenant_id, ?4, ?5, ?6, ?7, ?8 FROM tenants WHERE tenant_id = ?3`,
    )
    .bind(
      keyHash,
      record.keyId,
      record.tenantId,
      record.surface,
      JSON.stringify(record.scopes),
      record.insurerAddress ?? null,
      record.requestsPerMinute ?? null,
      nowMs,
    )
    .run();
  return result.meta.changes > 0;
}

/** @returns false when a tenant of that id exists already. */
export async function insertTenant(db: D1Database, tenantId: string, name: string, nowMs: number): Promise<boolean> {
  const result = await db
    .prepare("INSERT INTO tenants (tenant_id, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
    .bind(tenantId, name, nowMs)
    .run();
  return result.meta.changes > 0;
}
