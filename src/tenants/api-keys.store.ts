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

/** @param keyHash lower-case hex SHA-256 of the key. Revoked keys and those of closed tenants are not found. */
export async function findApiKey(db: D1Database, keyHash: string): Promise<ApiKeyRecord | undefined> {
  const row = await db
    .prepare(
      `SELECT k.key_id, k.tenant_id, k.surface, k.scopes, k.insurer_address, k.requests_per_minute
       FROM api_keys AS k JOIN tenants AS t ON t.tenant_id = k.tenant_id
       WHERE k.key_hash = ? AND k.revoked_at IS NULL AND t.closed_at IS NULL`,
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

/** @returns false when there is no such tenant, or it is closed; nothing is written then. */
export async function insertApiKey(
  db: D1Database,
  keyHash: string,
  record: ApiKeyRecord & { readonly label: string | undefined; readonly createdBy: string },
  nowMs: number,
): Promise<boolean> {
  const result = await db
    .prepare(
      `INSERT INTO api_keys
         (key_hash, key_id, tenant_id, surface, scopes, insurer_address, requests_per_minute, created_at, label, created_by)
       SELECT ?1, ?2, tenant_id, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM tenants WHERE tenant_id = ?3 AND closed_at IS NULL`,
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
      record.label ?? null,
      record.createdBy,
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

export interface ListedKey {
  readonly keyId: string;
  readonly surface: Surface;
  readonly scopes: readonly string[];
  readonly insurerAddress: string | null;
  readonly requestsPerMinute: number | null;
  readonly label: string | null;
  readonly createdAt: number;
  readonly createdBy: string | null;
  readonly lastUsedAt: number | null;
  readonly revokedAt: number | null;
  readonly revokedBy: string | null;
}

/** Newest first, at most `limit`. Nothing of a key itself is kept, so nothing of it is listed. */
export async function listApiKeys(db: D1Database, tenantId: string, limit: number): Promise<readonly ListedKey[]> {
  const { results } = await db
    .prepare(
      `SELECT key_id AS keyId, surface, scopes, insurer_address AS insurerAddress, requests_per_minute AS requestsPerMinute,
         label, created_at AS createdAt, created_by AS createdBy, last_used_at AS lastUsedAt, revoked_at AS revokedAt,
         revoked_by AS revokedBy
       FROM api_keys WHERE tenant_id = ?1 ORDER BY created_at DESC, key_id LIMIT ?2`,
    )
    .bind(tenantId, limit)
    .all<Omit<ListedKey, "scopes"> & { readonly scopes: string }>();
  return results.map((row) => ({ ...row, scopes: JSON.parse(row.scopes) }));
}

export async function keyState(
  db: D1Database,
  tenantId: string,
  keyId: string,
): Promise<"unknown" | "live" | "revoked"> {
  const row = await db
    .prepare("SELECT revoked_at FROM api_keys WHERE tenant_id = ? AND key_id = ?")
    .bind(tenantId, keyId)
    .first<{ revoked_at: number | null }>();
  return row === null ? "unknown" : row.revoked_at === null ? "live" : "revoked";
}

/** For good. */
export async function revokeApiKey(
  db: D1Database,
  tenantId: string,
  keyId: string,
  by: string,
  nowMs: number,
): Promise<void> {
  await db
    .prepare(
      "UPDATE api_keys SET revoked_at = ?3, revoked_by = ?4 WHERE tenant_id = ?1 AND key_id = ?2 AND revoked_at IS NULL",
    )
    .bind(tenantId, keyId, nowMs, by)
    .run();
}

/** Notes that a key is in use; of many notes within `everyMs` one is written. */
export async function noteKeyUse(db: D1Database, keyHash: string, nowMs: number, everyMs: number): Promise<void> {
  await db
    .prepare(
      "UPDATE api_keys SET last_used_at = ?2 WHERE key_hash = ?1 AND (last_used_at IS NULL OR last_used_at < ?2 - ?3)",
    )
    .bind(keyHash, nowMs, everyMs)
    .run();
}

export interface ListedTenant {
  readonly tenantId: string;
  readonly name: string;
  readonly createdAt: number;
  readonly closedAt: number | null;
  readonly liveKeys: number;
}

/** By id, at most `limit`, after `after`. */
export async function listTenants(db: D1Database, after: string, limit: number): Promise<readonly ListedTenant[]> {
  const { results } = await db
    .prepare(
      `SELECT t.tenant_id AS tenantId, t.name, t.created_at AS createdAt, t.closed_at AS closedAt,
         (SELECT COUNT(*) FROM api_keys AS k WHERE k.tenant_id = t.tenant_id AND k.revoked_at IS NULL) AS liveKeys
       FROM tenants AS t WHERE t.tenant_id > ?1 ORDER BY t.tenant_id LIMIT ?2`,
    )
    .bind(after, limit)
    .all<ListedTenant>();
  return results;
}

export async function tenantState(db: D1Database, tenantId: string): Promise<"unknown" | "open" | "closed"> {
  const row = await db
    .prepare("SELECT closed_at FROM tenants WHERE tenant_id = ?")
    .bind(tenantId)
    .first<{ closed_at: number | null }>();
  return row === null ? "unknown" : row.closed_at === null ? "open" : "closed";
}

export async function closeTenant(db: D1Database, tenantId: string, by: string, nowMs: number): Promise<void> {
  await db
    .prepare("UPDATE tenants SET closed_at = ?2, closed_by = ?3 WHERE tenant_id = ?1 AND closed_at IS NULL")
    .bind(tenantId, nowMs, by)
    .run();
}
