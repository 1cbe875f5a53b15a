/** Rows with keyed hashes, in the order of their keys, with what the hashes are made of. */
import * as z from "zod";
import type { Fields } from "../fields.ts";
import { type PatientWrite, patientPlace, personalSchema } from "../records/patients.store.ts";
import { type FiledKind, type FiledSource, filedSourcePlace, filedSourceSchema } from "./filed-sources.store.ts";

const emailSchema = z.object({ email: z.string() });

const KEYS = { users: "user_id", invitations: "invitation_id", patients: "patient_id" } as const;
type HashedTable = keyof typeof KEYS;
type EmailTable = Exclude<HashedTable, "patients">;

export const countHashed = async (db: D1Database, table: HashedTable): Promise<number> =>
  (await db.prepare(`SELECT COUNT(*) AS n FROM ${table}`).first<number>("n")) ?? 0;

export async function readEmails(
  db: D1Database,
  fields: Fields,
  table: EmailTable,
  after: string,
  limit: number,
): Promise<readonly { readonly id: string; readonly email: string; readonly hash: string }[]> {
  const key = KEYS[table];
  const { results } = await db
    .prepare(
      `SELECT ${key} AS id, email_hash AS hash, profile_sealed AS sealed FROM ${table}
       WHERE ${key} > ? ORDER BY ${key} LIMIT ?`,
    )
    .bind(after, limit)
    .all<{ id: string; hash: string; sealed: string }>();
  return Promise.all(
    results.map(async ({ id, hash, sealed }) => ({
      id,
      hash,
      email: emailSchema.parse(await fields.open(sealed, `${table}/${id}`)).email,
    })),
  );
}

/** Those of the hashes that an account has. Invitations may share an address. */
export async function readTakenEmails(db: D1Database, hashes: readonly string[]): Promise<ReadonlySet<string>> {
  const { results } = await db
    .prepare("SELECT email_hash AS hash FROM users WHERE email_hash IN (SELECT value FROM json_each(?))")
    .bind(JSON.stringify(hashes))
    .all<{ hash: string }>();
  return new Set(results.map(({ hash }) => hash));
}

export const emailsUpdate = (
  db: D1Database,
  table: EmailTable,
  rows: readonly { readonly id: string; readonly hash: string; readonly next: string }[],
): D1PreparedStatement =>
  db
    .prepare(
      `UPDATE OR IGNORE ${table} SET email_hash = j.value ->> 'next' FROM json_each(?) AS j
       WHERE ${KEYS[table]} = j.value ->> 'id' AND email_hash = j.value ->> 'hash'`,
    )
    .bind(JSON.stringify(rows));

export interface PatientRow extends PatientWrite {
  readonly sealed: string;
  readonly stored: {
    readonly healthNumber: string | null;
    readonly name: string;
    readonly terms: readonly string[];
  };
}

const termsSchema = z.array(z.string());

export async function readPatientHashes(
  db: D1Database,
  fields: Fields,
  after: string,
  limit: number,
): Promise<readonly PatientRow[]> {
  const { results } = await db
    .prepare(
      `SELECT patient_id AS patientId, clinic_id AS clinicId, personal_sealed AS sealed,
         health_number_hash AS healthNumber, name_hash AS name,
         (SELECT json_group_array(term_hash) FROM patient_terms t WHERE t.patient_id = p.patient_id) AS terms
       FROM patients p WHERE patient_id > ? ORDER BY patient_id LIMIT ?`,
    )
    .bind(after, limit)
    .all<{
      patientId: string;
      clinicId: string;
      sealed: string;
      healthNumber: string | null;
      name: string;
      terms: string;
    }>();
  return Promise.all(
    results.map(async ({ patientId, clinicId, sealed, healthNumber, name, terms }) => ({
      patientId,
      clinicId,
      sealed,
      details: personalSchema.parse(await fields.open(sealed, patientPlace(patientId))),
      stored: { healthNumber, name, terms: termsSchema.parse(JSON.parse(terms)) },
    })),
  );
}

interface WantedHashes {
  readonly id: string;
  readonly clinicId: string;
  readonly sealed: string;
  readonly healthNumber: string | null;
  readonly name: string;
  readonly terms: readonly string[];
}

/** Those of the patients whose new hash another patient of the clinic has already. */
export async function readTakenHealthNumbers(
  db: D1Database,
  wanted: readonly Pick<WantedHashes, "id" | "clinicId" | "healthNumber">[],
): Promise<ReadonlySet<string>> {
  if (wanted.length === 0) return new Set();
  const { results } = await db
    .prepare(
      `SELECT j.value ->> 'id' AS id FROM json_each(?) AS j CROSS JOIN patients AS other
         ON other.clinic_id = j.value ->> 'clinicId' AND other.health_number_hash = j.value ->> 'healthNumber'
           AND other.patient_id <> j.value ->> 'id'`,
    )
    .bind(JSON.stringify(wanted.map(({ id, clinicId, healthNumber }) => ({ id, clinicId, healthNumber }))))
    .all<{ id: string }>();
  return new Set(results.map(({ id }) => id));
}

/** A patient that was written meanwhile is left to the next pass. */
export function patientsUpdate(db: D1Database, wanted: readonly WantedHashes[]): readonly D1PreparedStatement[] {
  const json = JSON.stringify(
    wanted.map(({ id, clinicId, sealed, healthNumber, name, terms }) => ({
      id,
      clinicId,
      sealed,
      healthNumber,
      name,
      terms,
    })),
  );
  const unchanged = `FROM json_each(?1) AS j CROSS JOIN patients AS p
         ON p.patient_id = j.value ->> 'id' AND p.personal_sealed = j.value ->> 'sealed'`;
  return [
    db
      .prepare(
        `UPDATE OR IGNORE patients SET health_number_hash = j.value ->> 'healthNumber', name_hash = j.value ->> 'name'
         FROM json_each(?1) AS j
         WHERE patient_id = j.value ->> 'id' AND personal_sealed = j.value ->> 'sealed'`,
      )
      .bind(json),
    db.prepare(`DELETE FROM patient_terms WHERE patient_id IN (SELECT p.patient_id ${unchanged})`).bind(json),
    db
      .prepare(
        `INSERT OR IGNORE INTO patient_terms (clinic_id, term_hash, patient_id)
         SELECT p.clinic_id, t.value, p.patient_id ${unchanged} CROSS JOIN json_each(j.value, '$.terms') AS t`,
      )
      .bind(json),
  ];
}

const FILED = {
  bulk: { table: "bulk_rows", key: "row_key" },
  fhir: { table: "fhir_claims", key: "identifier_hash" },
} as const satisfies Record<FiledKind, { readonly table: string; readonly key: string }>;

export const countFiled = async (db: D1Database, kind: FiledKind): Promise<number> =>
  (await db.prepare("SELECT COUNT(*) AS n FROM filed_sources WHERE kind = ?").bind(kind).first<number>("n")) ?? 0;

export interface FiledHashes {
  readonly claimId: string;
  readonly clinicId: string;
  readonly source: FiledSource;
  readonly keyHash: string;
  readonly contentHash: string;
}

export async function readFiled(
  db: D1Database,
  fields: Fields,
  kind: FiledKind,
  after: string,
  limit: number,
): Promise<readonly FiledHashes[]> {
  const { table, key } = FILED[kind];
  const { results } = await db
    .prepare(
      `SELECT s.claim_id AS claimId, s.clinic_id AS clinicId, s.source_sealed AS sealed,
         f.${key} AS keyHash, f.content_hash AS contentHash
       FROM filed_sources AS s CROSS JOIN ${table} AS f ON f.claim_id = s.claim_id
       WHERE s.claim_id > ?1 AND s.kind = ?2 ORDER BY s.claim_id LIMIT ?3`,
    )
    .bind(after, kind, limit)
    .all<Omit<FiledHashes, "source"> & { readonly sealed: string }>();
  return Promise.all(
    results.map(async ({ sealed, ...row }) => ({
      ...row,
      source: filedSourceSchema.parse(await fields.open(sealed, filedSourcePlace(row.claimId))),
    })),
  );
}

export function filedUpdate(
  db: D1Database,
  kind: FiledKind,
  rows: readonly { readonly claimId: string; readonly key: string; readonly content: string }[],
): D1PreparedStatement {
  const { table, key } = FILED[kind];
  return db
    .prepare(
      `UPDATE OR IGNORE ${table} SET ${key} = j.value ->> 'key', content_hash = j.value ->> 'content'
       FROM json_each(?) AS j WHERE claim_id = j.value ->> 'claimId'`,
    )
    .bind(JSON.stringify(rows));
}
