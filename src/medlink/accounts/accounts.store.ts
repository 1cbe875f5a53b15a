/** Users and their sessions. */
import { and, desc, eq, inArray, isNull } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import * as z from "zod";
import { columnsOf } from "../columns.store.ts";
import type { Fields } from "../fields.ts";
import { secondFactors, sessions, users } from "../schema.ts";
import { type Account, type AccountRole, normalizeEmail, type Preferences, placementOf } from "./user.ts";

const profileSchema = z.object({ email: z.string(), name: z.string() });

const place = (userId: string): string => `users/${userId}`;

type UserRow = typeof users.$inferSelect;

async function readUser(fields: Fields, row: UserRow): Promise<Account> {
  const placement = placementOf(row.clinicId, row.role);
  if (placement === undefined) throw new Error(`user ${row.userId}: role and clinic do not fit`);
  const profile = profileSchema.parse(await fields.open(row.profileSealed, place(row.userId)));
  return { userId: row.userId, ...placement, ...profile };
}

/** What an account is stored under, and what stands for it where guesses are counted. */
export const emailHash = (fields: Fields, email: string): string => fields.hash("email", "", normalizeEmail(email));

const emailHashes = (fields: Fields, email: string): readonly string[] =>
  fields.hashes("email", "", normalizeEmail(email));

export interface Credentials {
  readonly user: Account;
  readonly passwordHash: string;
  readonly emailHash: string;
  /** Whether a second factor is in force. */
  readonly secondFactor: boolean;
}

async function findCredentials(
  db: D1Database,
  fields: Fields,
  by: { readonly email: string } | { readonly userId: string },
): Promise<Credentials | undefined> {
  const row = await drizzle(db)
    .select()
    .from(users)
    .leftJoin(secondFactors, eq(secondFactors.userId, users.userId))
    .where(
      and(
        "email" in by ? inArray(users.emailHash, [...emailHashes(fields, by.email)]) : eq(users.userId, by.userId),
        isNull(users.disabledAt),
      ),
    )
    .get();
  if (row === undefined) return undefined;
  const user = await readUser(fields, row.users);
  return {
    user,
    passwordHash: row.users.passwordHash,
    // The row may still be under the key of before; guesses are counted under one.
    emailHash: emailHash(fields, user.email),
    secondFactor: (row.second_factors?.enabledAt ?? null) !== null,
  };
}

/** Disabled users are not found. */
export const findUserByEmail = (db: D1Database, fields: Fields, email: string): Promise<Credentials | undefined> =>
  findCredentials(db, fields, { email });

/** While hashes are moved to a new key: whether a row under another key than today's has the address, disabled or not. */
export async function isEmailTakenBefore(db: D1Database, fields: Fields, email: string): Promise<boolean> {
  const [, ...previous] = emailHashes(fields, email);
  if (previous.length === 0) return false;
  const row = await drizzle(db)
    .select({ userId: users.userId })
    .from(users)
    .where(inArray(users.emailHash, previous))
    .get();
  return row !== undefined;
}

/** Disabled users are not found. */
export const findUserById = (db: D1Database, fields: Fields, userId: string): Promise<Credentials | undefined> =>
  findCredentials(db, fields, { userId });

export interface SignedIn {
  readonly user: Account;
  readonly preferences: Preferences;
  readonly sessionId: string;
  readonly sessionHash: string;
  readonly createdAt: number;
  readonly lastSeenAt: number;
}

const USER_COLUMNS = columnsOf(users, "u");

export async function findSession(db: D1Database, fields: Fields, sessionHash: string): Promise<SignedIn | undefined> {
  const row = await db
    .prepare(
      `SELECT ${USER_COLUMNS}, s.session_id AS sessionId, s.created_at AS signedInAt, s.last_seen_at AS lastSeenAt
       FROM sessions AS s JOIN users AS u ON u.user_id = s.user_id WHERE s.session_hash = ? AND u.disabled_at IS NULL`,
    )
    .bind(sessionHash)
    .first<UserRow & { readonly sessionId: string; readonly signedInAt: number; readonly lastSeenAt: number }>();
  if (row === null) return undefined;
  const { sessionId, signedInAt: createdAt, lastSeenAt, locale, timeZone } = row;
  const user = await readUser(fields, row);
  return { user, preferences: { locale, timeZone }, sessionId, sessionHash, createdAt, lastSeenAt };
}

export interface NewSessionRow {
  readonly hash: string;
  readonly sessionId: string;
  readonly userId: string;
  readonly secondFactor: boolean;
  readonly device: string;
}

export const sessionInsert = (db: D1Database, session: NewSessionRow, now: number): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO sessions (session_hash, session_id, user_id, second_factor, device, created_at, last_seen_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)`,
    )
    .bind(session.hash, session.sessionId, session.userId, session.secondFactor ? 1 : 0, session.device, now);

/** Ends a user's oldest sessions until `keep` are left. */
export const oldestSessionsDelete = (db: D1Database, userId: string, keep: number): D1PreparedStatement =>
  db
    .prepare(
      `DELETE FROM sessions WHERE session_hash IN
       (SELECT session_hash FROM sessions WHERE user_id = ? ORDER BY created_at DESC LIMIT -1 OFFSET ?)`,
    )
    .bind(userId, keep);

export const sessionDelete = (db: D1Database, hash: string): D1PreparedStatement =>
  db.prepare("DELETE FROM sessions WHERE session_hash = ?").bind(hash);

/** @param except the hash of a session that stays. */
export const sessionsDelete = (db: D1Database, userId: string, except = ""): D1PreparedStatement =>
  db.prepare("DELETE FROM sessions WHERE user_id = ? AND session_hash <> ?").bind(userId, except);

/** @returns whether the user had such a session. */
export async function deleteSessionById(db: D1Database, userId: string, sessionId: string): Promise<boolean> {
  const result = await db
    .prepare("DELETE FROM sessions WHERE user_id = ? AND session_id = ?")
    .bind(userId, sessionId)
    .run();
  return result.meta.changes > 0;
}

export async function listSessions(
  db: D1Database,
  userId: string,
  liveSince: { readonly lastSeen: number; readonly created: number },
  limit: number,
): Promise<readonly Omit<typeof sessions.$inferSelect, "sessionHash" | "userId">[]> {
  const rows = await drizzle(db)
    .select()
    .from(sessions)
    .where(eq(sessions.userId, userId))
    .orderBy(desc(sessions.createdAt))
    .limit(limit)
    .all();
  return rows.filter(({ lastSeenAt, createdAt }) => lastSeenAt >= liveSince.lastSeen && createdAt >= liveSince.created);
}

export async function touchSession(db: D1Database, hash: string, now: number): Promise<void> {
  await db.prepare("UPDATE sessions SET last_seen_at = ? WHERE session_hash = ?").bind(now, hash).run();
}

/** An operator's sweep of sessions: of one user, of one clinic, or of everyone. */
export type SessionScope =
  | { readonly type: "user"; readonly userId: string }
  | { readonly type: "clinic"; readonly clinicId: string }
  | { readonly type: "everyone" };

/** @returns how many sessions ended. */
export async function clearSessions(db: D1Database, scope: SessionScope): Promise<number> {
  const statement = ((): D1PreparedStatement => {
    switch (scope.type) {
      case "user":
        return db.prepare("DELETE FROM sessions WHERE user_id = ?").bind(scope.userId);
      case "clinic":
        return db
          .prepare("DELETE FROM sessions WHERE user_id IN (SELECT user_id FROM users WHERE clinic_id = ?)")
          .bind(scope.clinicId);
      case "everyone":
        return db.prepare("DELETE FROM sessions");
    }
  })();
  return (await statement.run()).meta.changes;
}

export const passwordUpdate = (db: D1Database, userId: string, hash: string, now: number): D1PreparedStatement =>
  db.prepare("UPDATE users SET password_hash = ?, updated_at = ? WHERE user_id = ?").bind(hash, now, userId);

export const preferencesUpdate = (
  db: D1Database,
  userId: string,
  change: Partial<Preferences>,
  now: number,
): D1PreparedStatement =>
  db
    .prepare(
      `UPDATE users SET locale = COALESCE(?1, locale), time_zone = COALESCE(?2, time_zone), updated_at = ?3
       WHERE user_id = ?4`,
    )
    .bind(change.locale ?? null, change.timeZone ?? null, now, userId);

export async function profileUpdate(
  db: D1Database,
  fields: Fields,
  user: Pick<Account, "userId" | "email" | "name">,
  now: number,
): Promise<D1PreparedStatement> {
  const { userId, email, name } = user;
  return db
    .prepare("UPDATE users SET profile_sealed = ?, updated_at = ? WHERE user_id = ?")
    .bind(await fields.seal({ email, name }, place(userId)), now, userId);
}

const INSERT = `INSERT INTO users
  (user_id, clinic_id, role, email_hash, profile_sealed, password_hash, created_at, updated_at)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)`;

async function insertValues(fields: Fields, user: Account, passwordHash: string, now: number) {
  const email = normalizeEmail(user.email);
  return [
    user.userId,
    user.clinicId,
    user.role,
    emailHash(fields, email),
    await fields.seal({ email, name: user.name }, place(user.userId)),
    passwordHash,
    now,
  ] as const;
}

/** Fails with the unique key users.email_hash when the address has an account. */
export async function userInsert(
  db: D1Database,
  fields: Fields,
  user: Account,
  passwordHash: string,
  now: number,
): Promise<D1PreparedStatement> {
  return db.prepare(INSERT).bind(...(await insertValues(fields, user, passwordHash, now)));
}

/** Adds a user, or gives an existing one of this id the given address, name, role and password. */
export async function userUpsert(
  db: D1Database,
  fields: Fields,
  user: Account,
  passwordHash: string,
  now: number,
): Promise<D1PreparedStatement> {
  return db
    .prepare(
      `${INSERT} ON CONFLICT (user_id) DO UPDATE
       SET role = ?3, email_hash = ?4, profile_sealed = ?5, password_hash = ?6, updated_at = ?7`,
    )
    .bind(...(await insertValues(fields, user, passwordHash, now)));
}

/** Adds a user; one of this id, or of this address, stays as it is. */
export async function userInsertIfNew(
  db: D1Database,
  fields: Fields,
  user: Account,
  passwordHash: string,
  now: number,
): Promise<D1PreparedStatement> {
  return db.prepare(`${INSERT} ON CONFLICT DO NOTHING`).bind(...(await insertValues(fields, user, passwordHash, now)));
}

export async function existingUserIds(db: D1Database, userIds: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await db
    .prepare("SELECT user_id AS userId FROM users WHERE user_id IN (SELECT value FROM json_each(?))")
    .bind(JSON.stringify(userIds))
    .all<{ userId: string }>();
  return new Set(rows.results.map(({ userId }) => userId));
}

/** @param prefix of hashes made at today's cost. */
export async function countOtherCosts(db: D1Database, prefix: string): Promise<number> {
  const count = await db
    .prepare("SELECT COUNT(*) AS n FROM users WHERE disabled_at IS NULL AND substr(password_hash, 1, length(?1)) <> ?1")
    .bind(prefix)
    .first<number>("n");
  return count ?? 0;
}

export interface ListedUser {
  readonly user: Account;
  readonly disabledAt: number | null;
  readonly secondFactor: boolean;
  readonly createdAt: number;
}

/** @param clinicId null: the operators. */
export async function listUsers(
  db: D1Database,
  fields: Fields,
  clinicId: string | null,
  limit: number,
): Promise<readonly ListedUser[]> {
  const rows = await drizzle(db)
    .select()
    .from(users)
    .leftJoin(secondFactors, eq(secondFactors.userId, users.userId))
    .where(clinicId === null ? isNull(users.clinicId) : eq(users.clinicId, clinicId))
    .orderBy(users.createdAt, users.userId)
    .limit(limit)
    .all();
  return Promise.all(
    rows.map(async (row) => ({
      user: await readUser(fields, row.users),
      disabledAt: row.users.disabledAt,
      secondFactor: (row.second_factors?.enabledAt ?? null) !== null,
      createdAt: row.users.createdAt,
    })),
  );
}

/** Whom an actor may see: those of its clinic; the whole hub's operator, everyone. */
export async function findListedUser(
  db: D1Database,
  fields: Fields,
  userId: string,
  clinicId: string | undefined,
): Promise<ListedUser | undefined> {
  const row = await drizzle(db)
    .select()
    .from(users)
    .leftJoin(secondFactors, eq(secondFactors.userId, users.userId))
    .where(and(eq(users.userId, userId), clinicId === undefined ? undefined : eq(users.clinicId, clinicId)))
    .get();
  if (row === undefined) return undefined;
  return {
    user: await readUser(fields, row.users),
    disabledAt: row.users.disabledAt,
    secondFactor: (row.second_factors?.enabledAt ?? null) !== null,
    createdAt: row.users.createdAt,
  };
}

/**
 * Changes a user's role or switches them off or on.
 * @returns false when a clinic would be left without an administrator; the statement itself looks, so that two administrators
 *   who demote each other at once do not both succeed.
 */
export async function changeUser(
  db: D1Database,
  change: { readonly userId: string; readonly role: AccountRole; readonly disabled: boolean },
  now: number,
): Promise<boolean> {
  const result = await db
    .prepare(
      `UPDATE users SET role = ?2, disabled_at = CASE WHEN ?3 = 0 THEN NULL ELSE COALESCE(disabled_at, ?4) END,
         updated_at = ?4
       WHERE user_id = ?1 AND (
         role <> 'admin' OR disabled_at IS NOT NULL OR (?2 = 'admin' AND ?3 = 0) OR EXISTS (
           SELECT 1 FROM users AS other WHERE other.clinic_id = users.clinic_id AND other.role = 'admin'
             AND other.disabled_at IS NULL AND other.user_id <> ?1))`,
    )
    .bind(change.userId, change.role, change.disabled ? 1 : 0, now)
    .run();
  return result.meta.changes > 0;
}

/** Ends sessions not used since `idleBefore` or begun before `createdBefore`. @returns how many. */
export async function pruneSessions(
  db: D1Database,
  idleBefore: number,
  createdBefore: number,
  limit: number,
): Promise<number> {
  const result = await db
    .prepare(
      `DELETE FROM sessions WHERE session_hash IN
       (SELECT session_hash FROM sessions WHERE last_seen_at < ?1 OR created_at < ?2 LIMIT ?3)`,
    )
    .bind(idleBefore, createdBefore, limit)
    .run();
  return result.meta.changes;
}
