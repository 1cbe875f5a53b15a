/** Rows of Idempotency-Keys. Each change is one statement under the key's token, so that of two that race one goes on. */
import { KEY_STATES, type StoredKey } from "./idempotency.ts";

interface KeyRow {
  readonly key_id: string;
  readonly scope: string;
  readonly tenant_id: string;
  readonly fingerprint: string;
  readonly state: string;
  readonly effect_id: string;
  readonly token: number;
  readonly busy_until: number;
  readonly status: number | null;
  readonly answer_key_id: string | null;
  readonly answer_sealed: string | null;
  readonly correlation_id: string;
  readonly resolved_by: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly expires_at: number;
}

const keyFromRow = (row: KeyRow): StoredKey => ({
  keyId: row.key_id,
  scope: row.scope,
  tenantId: row.tenant_id,
  fingerprint: row.fingerprint,
  state: KEY_STATES.find((state) => state === row.state) ?? "PROCESSING",
  effectId: row.effect_id,
  token: row.token,
  busyUntil: row.busy_until,
  answer:
    row.status === null || row.answer_key_id === null || row.answer_sealed === null
      ? undefined
      : { status: row.status, keyId: row.answer_key_id, sealed: row.answer_sealed },
  expiresAt: row.expires_at,
});

export async function findKey(db: D1Database, keyId: string): Promise<StoredKey | undefined> {
  const row = await db.prepare("SELECT * FROM idempotency_keys WHERE key_id = ?").bind(keyId).first<KeyRow>();
  return row === null ? undefined : keyFromRow(row);
}

export interface NewKey {
  readonly keyId: string;
  readonly scope: string;
  readonly tenantId: string;
  readonly fingerprint: string;
  readonly effectId: string;
  readonly correlationId: string;
  readonly busyUntil: number;
  readonly expiresAt: number;
}

/** @returns false when another was faster. An expired, completed one is replaced; its token goes on rising. */
export async function beginKey(db: D1Database, key: NewKey, now: number): Promise<number | undefined> {
  const row = await db
    .prepare(
      `INSERT INTO idempotency_keys (key_id, scope, tenant_id, fingerprint, state, effect_id, token, busy_until,
         correlation_id, created_at, updated_at, expires_at)
       VALUES (?1, ?2, ?3, ?4, 'PROCESSING', ?5, 1, ?6, ?7, ?8, ?8, ?9)
       ON CONFLICT (key_id) DO UPDATE SET fingerprint = excluded.fingerprint, state = 'PROCESSING',
         effect_id = excluded.effect_id, token = token + 1, busy_until = excluded.busy_until, status = NULL,
         answer_key_id = NULL, answer_sealed = NULL, correlation_id = excluded.correlation_id, resolved_by = NULL,
         created_at = excluded.created_at, updated_at = excluded.updated_at, expires_at = excluded.expires_at
       WHERE state = 'COMPLETED' AND expires_at <= ?8
       RETURNING token`,
    )
    .bind(
      key.keyId,
      key.scope,
      key.tenantId,
      key.fingerprint,
      key.effectId,
      key.busyUntil,
      key.correlationId,
      now,
      key.expiresAt,
    )
    .first<{ token: number }>();
  return row?.token;
}

/** Takes a key over that was left PROCESSING. @returns the new token; undefined when another was faster. */
export async function resumeKey(
  db: D1Database,
  keyId: string,
  token: number,
  busyUntil: number,
  now: number,
): Promise<number | undefined> {
  const row = await db
    .prepare(
      `UPDATE idempotency_keys SET token = token + 1, busy_until = ?3, updated_at = ?4
       WHERE key_id = ?1 AND token = ?2 AND state = 'PROCESSING' AND busy_until <= ?4 RETURNING token`,
    )
    .bind(keyId, token, busyUntil, now)
    .first<{ token: number }>();
  return row?.token;
}

/**
 * @param answer undefined: made anew from the effect each time.
 * @param by who says so, when it was not the request itself.
 */
export async function completeKey(
  db: D1Database,
  keyId: string,
  token: number,
  answer: StoredKey["answer"],
  by: string | undefined,
  now: number,
): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `UPDATE idempotency_keys SET state = 'COMPLETED', status = ?3, answer_key_id = ?4, answer_sealed = ?5,
         resolved_by = ?6, updated_at = ?7
       WHERE key_id = ?1 AND token = ?2 AND state = 'PROCESSING'`,
    )
    .bind(keyId, token, answer?.status ?? null, answer?.keyId ?? null, answer?.sealed ?? null, by ?? null, now)
    .run();
  return meta.changes === 1;
}

/** Nobody is at work on it any more, and whether its effect happened is not known: whoever asks next finds out. */
export async function restKey(db: D1Database, keyId: string, token: number, now: number): Promise<void> {
  await db
    .prepare(
      `UPDATE idempotency_keys SET busy_until = ?3, updated_at = ?3
       WHERE key_id = ?1 AND token = ?2 AND state = 'PROCESSING'`,
    )
    .bind(keyId, token, now)
    .run();
}

/** Nothing happened under it: the next request begins anew. */
export async function releaseKey(db: D1Database, keyId: string, token: number): Promise<boolean> {
  const { meta } = await db
    .prepare("DELETE FROM idempotency_keys WHERE key_id = ? AND token = ? AND state = 'PROCESSING'")
    .bind(keyId, token)
    .run();
  return meta.changes === 1;
}

/** Left PROCESSING by requests that are gone, longest first. */
export async function abandonedKeys(db: D1Database, now: number, limit: number): Promise<readonly StoredKey[]> {
  const { results } = await db
    .prepare(
      `SELECT * FROM idempotency_keys INDEXED BY idempotency_keys_busy
       WHERE state = 'PROCESSING' AND busy_until <= ? ORDER BY busy_until LIMIT ?`,
    )
    .bind(now, limit)
    .all<KeyRow>();
  return results.map(keyFromRow);
}

/** @returns how many expired keys were deleted. */
export async function pruneKeys(db: D1Database, now: number, limit: number): Promise<number> {
  const { meta } = await db
    .prepare(
      `DELETE FROM idempotency_keys WHERE key_id IN (SELECT key_id FROM idempotency_keys
         WHERE expires_at <= ?1 AND state = 'COMPLETED' ORDER BY expires_at LIMIT ?2)`,
    )
    .bind(now, limit)
    .run();
  return meta.changes;
}

/** As operators see them: no key and no body is kept. Times epoch ms. */
export interface ListedKey {
  readonly keyId: string;
  readonly scope: string;
  readonly tenantId: string;
  readonly state: StoredKey["state"];
  readonly effectId: string;
  readonly status: number | null;
  readonly correlationId: string;
  readonly resolvedBy: string | null;
  readonly busyUntil: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly expiresAt: number;
}

export interface KeyFilter {
  readonly state?: StoredKey["state"] | undefined;
  readonly tenantId?: string | undefined;
  /** Epoch ms: those begun before it. */
  readonly before?: number | undefined;
}

/** Newest first. */
export async function listKeys(db: D1Database, filter: KeyFilter, limit: number): Promise<readonly ListedKey[]> {
  const { results } = await db
    .prepare(
      `SELECT * FROM idempotency_keys WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR tenant_id = ?2)
         AND (?3 IS NULL OR created_at < ?3) ORDER BY created_at DESC, key_id LIMIT ?4`,
    )
    .bind(filter.state ?? null, filter.tenantId ?? null, filter.before ?? null, limit)
    .all<KeyRow>();
  return results.map((row) => ({
    keyId: row.key_id,
    scope: row.scope,
    tenantId: row.tenant_id,
    state: keyFromRow(row).state,
    effectId: row.effect_id,
    status: row.status,
    correlationId: row.correlation_id,
    resolvedBy: row.resolved_by,
    busyUntil: row.busy_until,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    expiresAt: row.expires_at,
  }));
}
