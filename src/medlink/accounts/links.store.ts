/** Invitations and password resets: links that are good once and for a while, kept as hashes. */
import { and, desc, eq, gt, isNull } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import * as z from "zod";
import type { Fields } from "../fields.ts";
import { invitations, passwordResets, users } from "../schema.ts";
import { emailHash } from "./accounts.store.ts";
import { normalizeEmail, type Placement, placementOf } from "./user.ts";

const profileSchema = z.object({ email: z.string(), name: z.string() });
const place = (invitationId: string): string => `invitations/${invitationId}`;

export interface Invitation {
  readonly invitationId: string;
  readonly placement: Placement;
  readonly email: string;
  readonly name: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

async function readInvitation(fields: Fields, row: typeof invitations.$inferSelect): Promise<Invitation> {
  const placement = placementOf(row.clinicId, row.role);
  if (placement === undefined) throw new Error(`invitation ${row.invitationId}: role and clinic do not fit`);
  const profile = profileSchema.parse(await fields.open(row.profileSealed, place(row.invitationId)));
  const { invitationId, createdAt, expiresAt } = row;
  return { invitationId, placement, ...profile, createdAt, expiresAt };
}

/** @returns how many rows were written: none when the clinic has `limit` open invitations. */
export async function insertInvitation(
  db: D1Database,
  fields: Fields,
  invitation: Invitation & { readonly tokenHash: string; readonly createdBy: string },
  limit: number,
): Promise<number> {
  const { invitationId, placement, createdAt } = invitation;
  const email = normalizeEmail(invitation.email);
  const result = await db
    .prepare(
      `INSERT INTO invitations
         (invitation_id, token_hash, clinic_id, role, email_hash, profile_sealed, created_by, created_at, expires_at)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
       WHERE (SELECT COUNT(*) FROM invitations WHERE clinic_id IS ?3 AND expires_at > ?8) < ?10`,
    )
    .bind(
      invitationId,
      invitation.tokenHash,
      placement.clinicId,
      placement.role,
      emailHash(fields, email),
      await fields.seal({ email, name: invitation.name }, place(invitationId)),
      invitation.createdBy,
      createdAt,
      invitation.expiresAt,
      limit,
    )
    .run();
  return result.meta.changes;
}

/** Open ones, newest first. @param clinicId null: those of operators. */
export async function listInvitations(
  db: D1Database,
  fields: Fields,
  clinicId: string | null,
  now: number,
  limit: number,
): Promise<readonly Invitation[]> {
  const rows = await drizzle(db)
    .select()
    .from(invitations)
    .where(
      and(
        clinicId === null ? isNull(invitations.clinicId) : eq(invitations.clinicId, clinicId),
        gt(invitations.expiresAt, now),
      ),
    )
    .orderBy(desc(invitations.createdAt), desc(invitations.invitationId))
    .limit(limit)
    .all();
  return Promise.all(rows.map((row) => readInvitation(fields, row)));
}

export async function findInvitation(
  db: D1Database,
  fields: Fields,
  tokenHash: string,
  now: number,
): Promise<Invitation | undefined> {
  const row = await drizzle(db)
    .select()
    .from(invitations)
    .where(and(eq(invitations.tokenHash, tokenHash), gt(invitations.expiresAt, now)))
    .get();
  return row === undefined ? undefined : readInvitation(fields, row);
}

/** @param clinicId undefined: of any. @returns false when another was faster, or there is none. */
export async function takeInvitation(
  db: D1Database,
  invitationId: string,
  clinicId?: string | undefined,
): Promise<boolean> {
  const result = await db
    .prepare("DELETE FROM invitations WHERE invitation_id = ?1 AND (?2 IS NULL OR clinic_id = ?2)")
    .bind(invitationId, clinicId ?? null)
    .run();
  return result.meta.changes > 0;
}

/** A second one replaces the first. */
export const resetUpsert = (db: D1Database, reset: typeof passwordResets.$inferInsert): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO password_resets (user_id, token_hash, created_by, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
       ON CONFLICT (user_id) DO UPDATE SET token_hash = ?2, created_by = ?3, created_at = ?4, expires_at = ?5`,
    )
    .bind(reset.userId, reset.tokenHash, reset.createdBy, reset.createdAt, reset.expiresAt);

/** @returns whose password may be set; disabled users have no way in. */
export async function findReset(db: D1Database, tokenHash: string, now: number): Promise<string | undefined> {
  const row = await drizzle(db)
    .select({ userId: passwordResets.userId })
    .from(passwordResets)
    .innerJoin(users, eq(users.userId, passwordResets.userId))
    .where(and(eq(passwordResets.tokenHash, tokenHash), gt(passwordResets.expiresAt, now), isNull(users.disabledAt)))
    .get();
  return row?.userId;
}

/** @returns false when another was faster. */
export async function takeReset(db: D1Database, tokenHash: string): Promise<boolean> {
  const result = await db.prepare("DELETE FROM password_resets WHERE token_hash = ?").bind(tokenHash).run();
  return result.meta.changes > 0;
}

export const resetDelete = (db: D1Database, userId: string): D1PreparedStatement =>
  db.prepare("DELETE FROM password_resets WHERE user_id = ?").bind(userId);

export const linksPrune = (db: D1Database, now: number, limit: number): readonly D1PreparedStatement[] => [
  db
    .prepare(
      `DELETE FROM invitations WHERE invitation_id IN
       (SELECT invitation_id FROM invitations WHERE expires_at < ? LIMIT ?)`,
    )
    .bind(now, limit),
  db
    .prepare(
      "DELETE FROM password_resets WHERE user_id IN (SELECT user_id FROM password_resets WHERE expires_at < ? LIMIT ?)",
    )
    .bind(now, limit),
];
