/** The hub's attachments as a backup goes through them: rows of those that are stored whole. */

export interface StoredAttachment {
  readonly attachmentId: string;
  readonly clinicId: string;
  readonly claimId: string;
  readonly sha256: string;
}

/** In the order of their ids. */
export async function readAttachments(
  db: D1Database,
  after: string,
  limit: number,
): Promise<readonly StoredAttachment[]> {
  const { results } = await db
    .prepare(
      `SELECT attachment_id AS attachmentId, clinic_id AS clinicId, claim_id AS claimId, sha256 FROM attachments
       WHERE attachment_id > ? AND state = 'stored' AND sha256 IS NOT NULL ORDER BY attachment_id LIMIT ?`,
    )
    .bind(after, limit)
    .all<StoredAttachment>();
  return results;
}
