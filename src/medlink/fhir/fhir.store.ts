import { and, eq, inArray } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { fhirClaims } from "../schema.ts";

export interface FiledClaim {
  readonly claimId: string;
  readonly contentHash: string;
}

/** The claim that was filed under an identifier, of which these are the hashes that it may be stored under. */
export async function findFiled(
  db: D1Database,
  clinicId: string,
  identifierHashes: readonly string[],
): Promise<FiledClaim | undefined> {
  return drizzle(db)
    .select({ claimId: fhirClaims.claimId, contentHash: fhirClaims.contentHash })
    .from(fhirClaims)
    .where(and(eq(fhirClaims.clinicId, clinicId), inArray(fhirClaims.identifierHash, [...identifierHashes])))
    .get();
}

/** Fails the batch when the clinic has a claim of this identifier. */
export const filedInsert = (
  db: D1Database,
  filed: FiledClaim & { readonly clinicId: string; readonly identifierHash: string; readonly now: number },
): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO fhir_claims (claim_id, clinic_id, identifier_hash, content_hash, created_at) VALUES (?, ?, ?, ?, ?)`,
    )
    .bind(filed.claimId, filed.clinicId, filed.identifierHash, filed.contentHash, filed.now);
