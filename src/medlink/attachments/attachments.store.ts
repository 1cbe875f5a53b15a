import { and, asc, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import * as z from "zod";
import type { Fields } from "../fields.ts";
import { attachments } from "../schema.ts";
import { type Attachment, MAX_CLAIM_ATTACHMENT_BYTES, MAX_CLAIM_ATTACHMENTS } from "./attachment.ts";

export const attachmentPlace = (attachmentId: string): string => `attachments/${attachmentId}`;

const nameSchema = z.object({ name: z.string() });

async function readRow(fields: Fields, row: typeof attachments.$inferSelect): Promise<Attachment> {
  const { attachmentId, clinicId, claimId, contentType, size, sha256, createdBy, createdAt } = row;
  const { name } = nameSchema.parse(await fields.open(row.nameSealed, attachmentPlace(attachmentId)));
  return { attachmentId, clinicId, claimId, name, contentType, size, sha256: sha256 ?? "", createdBy, createdAt };
}

/**
 * Takes room for a file about to be received. `meta.changes` is 0 when the claim has no room for it, counting the files being
 * received now.
 */
export async function attachmentReserve(
  db: D1Database,
  fields: Fields,
  attachment: Omit<Attachment, "sha256">,
): Promise<D1PreparedStatement> {
  const { attachmentId, clinicId, claimId, name, contentType, size, createdBy, createdAt } = attachment;
  return db
    .prepare(
      `INSERT INTO attachments (attachment_id, clinic_id, claim_id, name_sealed, content_type, size, state, created_by,
         created_at, updated_at)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, 'receiving', ?7, ?8, ?8
       WHERE (SELECT COUNT(*) FROM attachments WHERE claim_id = ?3) < ?9
         AND (SELECT COALESCE(SUM(size), 0) FROM attachments WHERE claim_id = ?3) + ?6 <= ?10`,
    )
    .bind(
      attachmentId,
      clinicId,
      claimId,
      await fields.seal({ name }, attachmentPlace(attachmentId)),
      contentType,
      size,
      createdBy,
      createdAt,
      MAX_CLAIM_ATTACHMENTS,
      MAX_CLAIM_ATTACHMENT_BYTES,
    );
}

/** `meta.changes` is 0 when the sweep took it for lost meanwhile. */
export const attachmentStored = (
  db: D1Database,
  attachmentId: string,
  sha256: string,
  now: number,
): D1PreparedStatement =>
  db
    .prepare(
      "UPDATE attachments SET state = 'stored', sha256 = ?, updated_at = ? WHERE attachment_id = ? AND state = 'receiving'",
    )
    .bind(sha256, now, attachmentId);

/** From then on nobody is shown it; its object goes next, and the row last. */
export const attachmentDeleting = (db: D1Database, attachmentId: string, now: number): D1PreparedStatement =>
  db
    .prepare("UPDATE attachments SET state = 'deleting', updated_at = ? WHERE attachment_id = ? AND state = 'stored'")
    .bind(now, attachmentId);

export const attachmentDelete = (db: D1Database, attachmentId: string): D1PreparedStatement =>
  db.prepare("DELETE FROM attachments WHERE attachment_id = ? AND state <> 'stored'").bind(attachmentId);

/** Those stored whole, oldest first; a claim has at most MAX_CLAIM_ATTACHMENTS. */
export async function listAttachments(
  db: D1Database,
  fields: Fields,
  clinicId: string,
  claimId: string,
): Promise<readonly Attachment[]> {
  const rows = await drizzle(db)
    .select()
    .from(attachments)
    .where(and(eq(attachments.claimId, claimId), eq(attachments.clinicId, clinicId), eq(attachments.state, "stored")))
    .orderBy(asc(attachments.createdAt), asc(attachments.attachmentId))
    .limit(MAX_CLAIM_ATTACHMENTS);
  return Promise.all(rows.map((row) => readRow(fields, row)));
}

export async function findAttachment(
  db: D1Database,
  fields: Fields,
  place: Pick<Attachment, "clinicId" | "claimId" | "attachmentId">,
): Promise<Attachment | undefined> {
  const row = await drizzle(db)
    .select()
    .from(attachments)
    .where(
      and(
        eq(attachments.attachmentId, place.attachmentId),
        eq(attachments.claimId, place.claimId),
        eq(attachments.clinicId, place.clinicId),
        eq(attachments.state, "stored"),
      ),
    )
    .get();
  return row === undefined ? undefined : readRow(fields, row);
}

/** What a crash left in the middle: not touched since `before`. */
export async function unfinishedAttachments(
  db: D1Database,
  before: number,
  limit: number,
): Promise<readonly Pick<Attachment, "clinicId" | "claimId" | "attachmentId">[]> {
  const { results } = await db
    .prepare(
      `SELECT attachment_id AS attachmentId, clinic_id AS clinicId, claim_id AS claimId FROM attachments
       WHERE state <> 'stored' AND updated_at < ? ORDER BY updated_at LIMIT ?`,
    )
    .bind(before, limit)
    .all<Pick<Attachment, "clinicId" | "claimId" | "attachmentId">>();
  return results;
}
