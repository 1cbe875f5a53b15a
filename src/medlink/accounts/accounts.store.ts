import { and, eq, isNull } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import * as z from "zod";
import type { Fields } from "../fields.ts";
import { sessions, users } from "../schema.ts";
import { normalizeEmail, type User } from "./user.ts";

const profileSchema = z.object({ email: z.string(), name: z.string() });

const place = (userId: string): string => `users/${userId}`;

async function readUser(fields: Fields, row: typeof users.$inferSelect): Promise<User> {
  const profile = profileSchema.parse(await fields.open(row.profileSealed, place(row.userId)));
  return { userId: row.userId, clinicId: row.clinicId, role: row.role, ...profile };
}

export async function findUserByEmail(
  db: D1Database,
  fields: Fields,
  email: string,
): Promise<{ readonly user: User; readonly passwordHash: string } | undefined> {
  const row = await drizzle(db)
    .select()
    .from(users)
    .where(and(eq(users.emailHash, fields.hash("email", "", normalizeEmail(email))), isNull(users.disabledAt)))
    .get();
  return row === undefined ? undefined : { user: await readUser(fields, row), passwordHash: row.passwordHash };
}

export async function findSession(
  db: D1Database,
  fields: Fields,
  sessionHash: string,
): Promise<{ readonly user: User; readonly createdAt: number; readonly lastSeenAt: number } | undefined> {
  const row = await drizzle(db)
    .select()
    .from(sessions)
    .innerJoin(users, eq(sessions.userId, users.userId))
    .where(and(eq(sessions.sessionHash, sessionHash), isNull(users.disabledAt)))
    .get();
  if (row === undefined) return undefined;
  const { createdAt, lastSeenAt } = row.sessions;
  return { user: await readUser(fields, row.users), createdAt, lastSeenAt };
}

export const sessionInsert = (db: D1Database, hash: string, userId: string, now: number): D1PreparedStatement =>
  db
    .prepare("INSERT INTO sessions (session_hash, user_id, created_at, last_seen_at) VALUES (?, ?, ?, ?)")
    .bind(hash, userId, now, now);

export const sessionDelete = (db: D1Database, hash: string): D1PreparedStatement =>
  db.prepare("DELETE FROM sessions WHERE session_hash = ?").bind(hash);

export async function touchSession(db: D1Database, hash: string, now: number): Promise<void> {
  await db.prepare("UPDATE sessions SET last_seen_at = ? WHERE session_hash = ?").bind(now, hash).run();
}

export const passwordUpdate = (db: D1Database, userId: string, hash: string, now: number): D1PreparedStatement =>
  db.prepare("UPDATE users SET password_hash = ?, updated_at = ? WHERE user_id = ?").bind(hash, now, userId);

/** Adds a user, or gives an existing one of this id the given address, name, role and password. */
export async function userUpsert(
  db: D1Database,
  fields: Fields,
  user: User,
  passwordHash: string,
  now: number,
): Promise<D1PreparedStatement> {
  const email = normalizeEmail(user.email);
  return db
    .prepare(
      `INSERT INTO users (user_id, clinic_id, role, email_hash, profile_sealed, password_hash, created_at, updated_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
       ON CONFLICT (user_id) DO UPDATE SET role = ?3, email_hash = ?4, profile_sealed = ?5, password_hash = ?6, updated_at = ?7`,
    )
    .bind(
      user.userId,
      user.clinicId,
      user.role,
      fields.hash("email", "", email),
      await fields.seal({ email, name: user.name }, place(user.userId)),
      passwordHash,
      now,
    );
}

/** Ends sessions not used since `before`. @returns how many. */
export async function pruneSessions(db: D1Database, before: number, limit: number): Promise<number> {
  const result = await db
    .prepare(
      `DELETE FROM sessions WHERE session_hash IN
       (SELECT session_hash FROM sessions WHERE last_seen_at < ? LIMIT ?)`,
    )
    .bind(before, limit)
    .run();
  return result.meta.changes;
}
