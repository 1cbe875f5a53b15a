/** Secrets of destinations in rotation. */
import type { SealedValue } from "../platform/keyring.ts";

export interface Rotation {
  readonly sealedSecret: SealedValue;
  /** Epoch ms until which the secret it has now goes on signing; not after `now`: it stops at once. */
  readonly previousExpiresAt: number;
  readonly itransSignature: "current" | "previous";
  /** Gives up a secret before it that has not expired yet. */
  readonly dropPrevious: boolean;
}

/** `overlapping`: the rotation before this one is not over. */
export async function rotateSecret(
  db: D1Database,
  destinationId: string,
  rotation: Rotation,
  now: number,
): Promise<"rotated" | "overlapping"> {
  const { meta } = await db
    .prepare(
      `UPDATE destinations SET previous_secret_wrapped = secret_wrapped, previous_wrapping_key_id = wrapping_key_id,
         previous_expires_at = ?4, secret_wrapped = ?2, wrapping_key_id = ?3, secret_rotated_at = ?5, updated_at = ?5,
         itrans_signature = ?6
       WHERE destination_id = ?1 AND secret_wrapped IS NOT NULL AND (?7 OR COALESCE(previous_expires_at, 0) <= ?5)`,
    )
    .bind(
      destinationId,
      rotation.sealedSecret.sealed,
      rotation.sealedSecret.keyId,
      rotation.previousExpiresAt,
      now,
      rotation.itransSignature,
      rotation.dropPrevious ? 1 : 0,
    )
    .run();
  return meta.changes > 0 ? "rotated" : "overlapping";
}

/** Forgets secrets whose overlap is over. */
export async function dropExpiredSecrets(db: D1Database, now: number): Promise<number> {
  const { meta } = await db
    .prepare(
      `UPDATE destinations SET previous_secret_wrapped = NULL, previous_wrapping_key_id = NULL, previous_expires_at = NULL,
         itrans_signature = 'current'
       WHERE previous_expires_at <= ?1`,
    )
    .bind(now)
    .run();
  return meta.changes;
}
