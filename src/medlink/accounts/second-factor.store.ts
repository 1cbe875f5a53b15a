/** Second factors, their backup codes, and sign-ins that wait for one. */
import { and, eq, gt, isNull } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import * as z from "zod";
import { toHex, utf8 } from "../../platform/encoding.ts";
import { hmacSha256 } from "../../platform/signature.ts";
import type { Fields } from "../fields.ts";
import { pendingSignIns, secondFactors, users } from "../schema.ts";
import { normalizeBackupCode } from "./totp.ts";

const place = (userId: string): string => `second_factors/${userId}`;

export interface SecondFactor {
  /** Base32. */
  readonly secret: string;
  readonly enabled: boolean;
  readonly lastStep: number;
}

export async function findSecondFactor(
  db: D1Database,
  fields: Fields,
  userId: string,
): Promise<SecondFactor | undefined> {
  const row = await drizzle(db).select().from(secondFactors).where(eq(secondFactors.userId, userId)).get();
  if (row === undefined) return undefined;
  const secret = z.string().parse(await fields.open(row.secretSealed, place(userId)));
  return { secret, enabled: row.enabledAt !== null, lastStep: row.lastStep };
}

/** Begins a set-up, or begins it anew. @returns false when a second factor is in force: it must be taken away first. */
export async function beginSecondFactor(
  db: D1Database,
  fields: Fields,
  userId: string,
  secret: string,
  now: number,
): Promise<boolean> {
  const result = await db
    .prepare(
      `INSERT INTO second_factors (user_id, secret_sealed, last_step, created_at) VALUES (?1, ?2, 0, ?3)
       ON CONFLICT (user_id) DO UPDATE SET secret_sealed = ?2, last_step = 0, created_at = ?3 WHERE enabled_at IS NULL`,
    )
    .bind(userId, await fields.seal(secret, place(userId)), now)
    .run();
  return result.meta.changes > 0;
}

/** Puts a set-up into force with its first code. @returns false when there is none, or it is in force. */
export async function enableSecondFactor(db: D1Database, userId: string, step: number, now: number): Promise<boolean> {
  const result = await db
    .prepare("UPDATE second_factors SET enabled_at = ?3, last_step = ?2 WHERE user_id = ?1 AND enabled_at IS NULL")
    .bind(userId, step, now)
    .run();
  return result.meta.changes > 0;
}

/** @returns false when this code, or a later one, was taken already. */
export async function spendStep(db: D1Database, userId: string, step: number): Promise<boolean> {
  const result = await db
    .prepare(
      "UPDATE second_factors SET last_step = ?2 WHERE user_id = ?1 AND last_step < ?2 AND enabled_at IS NOT NULL",
    )
    .bind(userId, step)
    .run();
  return result.meta.changes > 0;
}

export const secondFactorDelete = (db: D1Database, userId: string): readonly D1PreparedStatement[] => [
  db.prepare("DELETE FROM second_factors WHERE user_id = ?").bind(userId),
  db.prepare("DELETE FROM backup_codes WHERE user_id = ?").bind(userId),
];

/**
 * Keyed by the factor's own secret, which is sealed: whoever reads the table alone cannot try codes, and no rotation of the
 * hub's keys voids codes that people keep on paper.
 */
const codeHash = (secret: string, userId: string, code: string): string =>
  toHex(hmacSha256(utf8(secret), utf8(JSON.stringify(["backup-code", userId, normalizeBackupCode(code)]))));

/** The codes in force are these, and no others. @param secret of the second factor that they stand in for. */
export const backupCodesReplace = (
  db: D1Database,
  secret: string,
  userId: string,
  codes: readonly string[],
): readonly D1PreparedStatement[] => [
  db.prepare("DELETE FROM backup_codes WHERE user_id = ?").bind(userId),
  db
    .prepare("INSERT INTO backup_codes (user_id, code_hash) SELECT ?1, value FROM json_each(?2)")
    .bind(userId, JSON.stringify(codes.map((code) => codeHash(secret, userId, code)))),
];

/** @returns false when it is no code of this user, or was used. */
export async function spendBackupCode(
  db: D1Database,
  fields: Fields,
  userId: string,
  code: string,
  now: number,
): Promise<boolean> {
  const factor = await findSecondFactor(db, fields, userId);
  if (factor === undefined) return false;
  // Codes made by earlier versions are hashed under HASH_KEY.
  const hashes = [
    codeHash(factor.secret, userId, code),
    ...fields.hashes("backup-code", userId, normalizeBackupCode(code)),
  ];
  const result = await db
    .prepare(
      `UPDATE backup_codes SET used_at = ?1
       WHERE user_id = ?2 AND code_hash IN (SELECT value FROM json_each(?3)) AND used_at IS NULL`,
    )
    .bind(now, userId, JSON.stringify(hashes))
    .run();
  return result.meta.changes > 0;
}

export async function countBackupCodes(db: D1Database, userId: string): Promise<number> {
  const count = await db
    .prepare("SELECT COUNT(*) AS n FROM backup_codes WHERE user_id = ? AND used_at IS NULL")
    .bind(userId)
    .first<number>("n");
  return count ?? 0;
}

export const pendingInsert = (db: D1Database, hash: string, userId: string, now: number): D1PreparedStatement =>
  db
    .prepare("INSERT INTO pending_sign_ins (pending_hash, user_id, created_at) VALUES (?, ?, ?)")
    .bind(hash, userId, now);

export const pendingDelete = (db: D1Database, userId: string): D1PreparedStatement =>
  db.prepare("DELETE FROM pending_sign_ins WHERE user_id = ?").bind(userId);

/** @returns the user who has shown the password. */
export async function findPending(db: D1Database, hash: string, since: number): Promise<string | undefined> {
  const row = await drizzle(db)
    .select({ userId: pendingSignIns.userId })
    .from(pendingSignIns)
    .innerJoin(users, eq(users.userId, pendingSignIns.userId))
    .where(and(eq(pendingSignIns.pendingHash, hash), gt(pendingSignIns.createdAt, since), isNull(users.disabledAt)))
    .get();
  return row?.userId;
}

/** @returns false when another request was faster: one pending sign-in makes one session. */
export async function takePending(db: D1Database, hash: string): Promise<boolean> {
  const result = await db.prepare("DELETE FROM pending_sign_ins WHERE pending_hash = ?").bind(hash).run();
  return result.meta.changes > 0;
}

export const pendingPrune = (db: D1Database, before: number, limit: number): D1PreparedStatement =>
  db
    .prepare(
      `DELETE FROM pending_sign_ins WHERE pending_hash IN
       (SELECT pending_hash FROM pending_sign_ins WHERE created_at < ? LIMIT ?)`,
    )
    .bind(before, limit);

export interface SecondFactorCount {
  /** null: the operators. */
  readonly clinicId: string | null;
  readonly role: string;
  readonly users: number;
  readonly withSecondFactor: number;
  /** Of these, how many have two backup codes or fewer. */
  readonly fewBackupCodes: number;
}

/** Enabled users by clinic and role. @param clinicId undefined: all. */
export async function countSecondFactors(
  db: D1Database,
  clinicId: string | undefined,
  limit: number,
): Promise<readonly SecondFactorCount[]> {
  const rows = await db
    .prepare(
      `SELECT clinic_id AS clinicId, role, COUNT(*) AS users, SUM(enabled) AS withSecondFactor,
         SUM(enabled AND codes <= 2) AS fewBackupCodes
       FROM (
         SELECT u.clinic_id, u.role,
           EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.user_id AND f.enabled_at IS NOT NULL) AS enabled,
           (SELECT COUNT(*) FROM backup_codes b WHERE b.user_id = u.user_id AND b.used_at IS NULL) AS codes
         FROM users u WHERE u.disabled_at IS NULL AND (?1 IS NULL OR u.clinic_id = ?1))
       GROUP BY clinic_id, role ORDER BY clinic_id, role LIMIT ?2`,
    )
    .bind(clinicId ?? null, limit)
    .all<SecondFactorCount>();
  return rows.results;
}
