/** What a filed row or resource is recognized by, sealed, so that its keyed hashes can be made anew under another key. */
import * as z from "zod";
import type { Fields } from "../fields.ts";

export const filedSourceSchema = z.object({
  /** Says which row or resource it is. */
  key: z.string(),
  /** All that it says. */
  content: z.string(),
});
export type FiledSource = Readonly<z.output<typeof filedSourceSchema>>;

export const FILED_KINDS = ["bulk", "fhir"] as const;
export type FiledKind = (typeof FILED_KINDS)[number];

export interface FiledFrom {
  readonly claimId: string;
  readonly clinicId: string;
  readonly kind: FiledKind;
  readonly source: FiledSource;
}

export const filedSourcePlace = (claimId: string): string => `filed_sources/${claimId}`;

/** For the batch that files them. */
export async function filedSourcesInsert(
  db: D1Database,
  fields: Fields,
  filed: readonly FiledFrom[],
): Promise<D1PreparedStatement> {
  const rows = await Promise.all(
    filed.map(async ({ claimId, clinicId, kind, source }) => ({
      claimId,
      clinicId,
      kind,
      sealed: await fields.seal(source, filedSourcePlace(claimId)),
    })),
  );
  return db
    .prepare(
      `INSERT INTO filed_sources (claim_id, clinic_id, kind, source_sealed)
       SELECT value ->> 'claimId', value ->> 'clinicId', value ->> 'kind', value ->> 'sealed' FROM json_each(?)`,
    )
    .bind(JSON.stringify(rows));
}
