/** API tokens of a clinic's integrations, by the hash of the token. */
import { and, desc, eq, gt, isNull } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { apiTokens, users } from "../schema.ts";

export interface ApiToken {
  readonly tokenId: string;
  readonly clinicId: string;
  readonly name: string;
  readonly canRead: boolean;
  readonly canWrite: boolean;
  readonly createdBy: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly lastUsedAt: number | null;
}

/** A token works as long as who made it is an administrator of the clinic: one who leaves takes no key along. */
export async function findApiToken(db: D1Database, tokenHash: string, now: number): Promise<ApiToken | undefined> {
  const row = await drizzle(db)
    .select()
    .from(apiTokens)
    .innerJoin(users, eq(users.userId, apiTokens.createdBy))
    .where(
      and(
        eq(apiTokens.tokenHash, tokenHash),
        gt(apiTokens.expiresAt, now),
        isNull(apiTokens.revokedAt),
        isNull(users.disabledAt),
        eq(users.role, "admin"),
        eq(users.clinicId, apiTokens.clinicId),
      ),
    )
    .get();
  return row?.api_tokens;
}

/** Those that are neither revoked nor expired, newest first. */
export async function listApiTokens(
  db: D1Database,
  clinicId: string,
  now: number,
  limit: number,
): Promise<readonly ApiToken[]> {
  return drizzle(db)
    .select()
    .from(apiTokens)
    .where(and(eq(apiTokens.clinicId, clinicId), isNull(apiTokens.revokedAt), gt(apiTokens.expiresAt, now)))
    .orderBy(desc(apiTokens.createdAt), desc(apiTokens.tokenId))
    .limit(limit)
    .all();
}

/** @returns false when the clinic has `limit` tokens. */
export async function insertApiToken(
  db: D1Database,
  token: Omit<ApiToken, "lastUsedAt"> & { readonly tokenHash: string },
  limit: number,
): Promise<boolean> {
  const result = await db
    .prepare(
      `INSERT INTO api_tokens
         (token_id, token_hash, clinic_id, name, can_read, can_write, created_by, created_at, expires_at)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
       WHERE (SELECT COUNT(*) FROM api_tokens WHERE clinic_id = ?3 AND revoked_at IS NULL AND expires_at > ?8) < ?10`,
    )
    .bind(
      token.tokenId,
      token.tokenHash,
      token.clinicId,
      token.name,
      token.canRead ? 1 : 0,
      token.canWrite ? 1 : 0,
      token.createdBy,
      token.createdAt,
      token.expiresAt,
      limit,
    )
    .run();
  return result.meta.changes > 0;
}

/** @returns false when the clinic has no such token, or it was revoked. */
export async function revokeApiToken(db: D1Database, clinicId: string, tokenId: string, now: number): Promise<boolean> {
  const result = await db
    .prepare("UPDATE api_tokens SET revoked_at = ? WHERE token_id = ? AND clinic_id = ? AND revoked_at IS NULL")
    .bind(now, tokenId, clinicId)
    .run();
  return result.meta.changes > 0;
}

/**
 * Hands out permits of the window that begins at `window.startsAt`, at most `window.max` in all, and notes the use.
 * @returns how many; 0 when the window is spent.
 */
export async function leasePermits(
  db: D1Database,
  tokenId: string,
  window: { readonly startsAt: number; readonly max: number; readonly wanted: number },
  now: number,
): Promise<number> {
  const row = await db
    .prepare(
      `UPDATE api_tokens SET last_used_at = ?5, window_starts_at = MAX(window_starts_at, ?2),
         window_granted = CASE WHEN window_starts_at >= ?2 THEN window_granted ELSE 0 END + ?4
       WHERE token_id = ?1 AND CASE WHEN window_starts_at >= ?2 THEN window_granted ELSE 0 END + ?4 <= ?3
       RETURNING token_id`,
    )
    .bind(tokenId, window.startsAt, window.max, window.wanted, now)
    .first();
  return row === null ? 0 : window.wanted;
}

export const apiTokensPrune = (db: D1Database, before: number, limit: number): D1PreparedStatement =>
  db
    .prepare(`DELETE FROM api_tokens WHERE token_id IN (SELECT token_id FROM api_tokens WHERE expires_at < ? LIMIT ?)`)
    .bind(before, limit);
