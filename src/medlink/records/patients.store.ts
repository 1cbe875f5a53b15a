import { and, desc, eq, inArray, isNull, ne, type SQL, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import * as z from "zod";
import { type Fields, normalizeHealthNumber, normalizeName, searchTerms } from "../fields.ts";
import { cutPage, type Page, type PageKey } from "../page.ts";
import { patients } from "../schema.ts";
import type { Patient, PatientDetails } from "./record.ts";

export const personalSchema = z.object({
  firstName: z.string(),
  lastName: z.string(),
  birthDate: z.string().optional(),
  healthNumber: z.string().optional(),
  notes: z.string().optional(),
});

export const patientPlace = (patientId: string): string => `patients/${patientId}`;

/** A patient with what a change of it is guarded by. */
export interface StoredPatient extends Patient {
  readonly sealed: string;
}

async function readPatient(fields: Fields, row: typeof patients.$inferSelect): Promise<StoredPatient> {
  const personal = personalSchema.parse(await fields.open(row.personalSealed, patientPlace(row.patientId)));
  return { patientId: row.patientId, ...personal, createdAt: row.createdAt, sealed: row.personalSealed };
}

export interface PatientWrite {
  readonly clinicId: string;
  readonly patientId: string;
  readonly details: PatientDetails;
}

const healthNumberHash = (fields: Fields, { clinicId, details }: PatientWrite): string | null =>
  details.healthNumber === undefined
    ? null
    : fields.hash("health-number", clinicId, normalizeHealthNumber(details.healthNumber));

const nameHash = (fields: Fields, { clinicId, details }: PatientWrite): string =>
  fields.hash("name", clinicId, normalizeName(details.firstName, details.lastName));

const termText = ({ firstName, lastName, birthDate }: PatientDetails): string =>
  `${firstName} ${lastName} ${birthDate ?? ""}`;

const termHashes = (fields: Fields, { clinicId, details }: PatientWrite): readonly string[] =>
  searchTerms(termText(details)).map((term) => fields.hash("patient-term", clinicId, term));

/** All that a patient is found by, under the key of now. */
export const patientHashes = (fields: Fields, patient: PatientWrite) => ({
  healthNumber: healthNumberHash(fields, patient),
  name: nameHash(fields, patient),
  terms: termHashes(fields, patient),
});

/** The words a patient is found by, in place of those of before. */
export function patientTermStatements(
  db: D1Database,
  fields: Fields,
  patient: PatientWrite,
): readonly [D1PreparedStatement, D1PreparedStatement] {
  const { clinicId, patientId } = patient;
  return [
    db.prepare("DELETE FROM patient_terms WHERE patient_id = ? AND clinic_id = ?").bind(patientId, clinicId),
    db
      .prepare(
        `INSERT OR IGNORE INTO patient_terms (clinic_id, term_hash, patient_id)
         SELECT ?1, value, ?2 FROM json_each(?3)
         WHERE EXISTS (SELECT 1 FROM patients WHERE patient_id = ?2 AND clinic_id = ?1)`,
      )
      .bind(clinicId, patientId, JSON.stringify(termHashes(fields, patient))),
  ];
}

/** Adds a patient; one of the same id in the same clinic gets these details. A health number is unique in a clinic. */
export async function patientUpsert(
  db: D1Database,
  fields: Fields,
  patient: PatientWrite,
  now: number,
): Promise<readonly D1PreparedStatement[]> {
  const { clinicId, patientId, details } = patient;
  const upsert = db
    .prepare(
      `INSERT INTO patients (patient_id, clinic_id, personal_sealed, health_number_hash, name_hash, created_at, updated_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
       ON CONFLICT (patient_id) DO UPDATE
       SET personal_sealed = ?3, health_number_hash = ?4, name_hash = ?5, updated_at = ?6 WHERE clinic_id = ?2`,
    )
    .bind(
      patientId,
      clinicId,
      await fields.seal(details, patientPlace(patientId)),
      healthNumberHash(fields, patient),
      nameHash(fields, patient),
      now,
    );
  return [upsert, ...patientTermStatements(db, fields, patient)];
}

/**
 * Writes new details over those that were read; `meta.changes` of the first statement is 0 when the patient changed
 * meanwhile, or is being erased. The words to search by follow in the same batch.
 */
export async function patientUpdate(
  db: D1Database,
  fields: Fields,
  patient: PatientWrite,
  readAs: string,
  now: number,
): Promise<D1PreparedStatement> {
  return db
    .prepare(
      `UPDATE patients SET personal_sealed = ?, health_number_hash = ?, name_hash = ?, updated_at = ?
       WHERE patient_id = ? AND clinic_id = ? AND personal_sealed = ? AND erasing_at IS NULL`,
    )
    .bind(
      await fields.seal(patient.details, patientPlace(patient.patientId)),
      healthNumberHash(fields, patient),
      nameHash(fields, patient),
      now,
      patient.patientId,
      patient.clinicId,
      readAs,
    );
}

export async function findPatient(
  db: D1Database,
  fields: Fields,
  clinicId: string,
  patientId: string,
): Promise<StoredPatient | undefined> {
  const row = await drizzle(db)
    .select()
    .from(patients)
    .where(and(eq(patients.patientId, patientId), eq(patients.clinicId, clinicId)))
    .get();
  return row === undefined ? undefined : readPatient(fields, row);
}

/** Those of the ids that are patients of this clinic. */
export async function findPatients(
  db: D1Database,
  fields: Fields,
  clinicId: string,
  patientIds: readonly string[],
): Promise<ReadonlyMap<string, Patient>> {
  const rows = await drizzle(db)
    .select()
    .from(patients)
    .where(
      and(
        sql`${patients.patientId} IN (SELECT value FROM json_each(${JSON.stringify(patientIds)}))`,
        eq(patients.clinicId, clinicId),
      ),
    );
  const found = await Promise.all(rows.map((row) => readPatient(fields, row)));
  return new Map(found.map((patient) => [patient.patientId, patient]));
}

export interface PatientFilter {
  /** Whole words of the name, in any order, and a birth date as `YYYY-MM-DD`; all must be the patient's. */
  readonly q: string | undefined;
  readonly healthNumber: string | undefined;
}

/** Newest first. Names and numbers are compared by keyed hash, so whole words match and parts of words do not. */
export async function listPatients(
  db: D1Database,
  fields: Fields,
  clinicId: string,
  query: PatientFilter & { readonly limit: number; readonly after: PageKey | undefined },
): Promise<Page<Patient>> {
  const { limit, after, q, healthNumber } = query;
  const rows = await drizzle(db)
    .select()
    .from(patients)
    .where(
      and(
        eq(patients.clinicId, clinicId),
        healthNumber === undefined
          ? undefined
          : inArray(patients.healthNumberHash, [...healthNumberHashes(fields, clinicId, healthNumber)]),
        q === undefined ? undefined : withTerms(fields, clinicId, searchTerms(q)),
        after === undefined
          ? undefined
          : sql`(${patients.createdAt}, ${patients.patientId}) < (${after.createdAt}, ${after.id})`,
      ),
    )
    .orderBy(desc(patients.createdAt), desc(patients.patientId))
    .limit(limit + 1);
  const page = cutPage(rows, limit, (row) => ({ createdAt: row.createdAt, id: row.patientId }));
  return { ...page, items: await Promise.all(page.items.map((row) => readPatient(fields, row))) };
}

/** A word counts once, under whichever key it was stored. */
function withTerms(fields: Fields, clinicId: string, terms: readonly string[]): SQL {
  const wanted = terms.flatMap((term, word) =>
    fields.hashes("patient-term", clinicId, term).map((hash) => ({ word, hash })),
  );
  return sql`${patients.patientId} IN (SELECT t.patient_id
    FROM json_each(${JSON.stringify(wanted)}) AS w CROSS JOIN patient_terms AS t
      ON t.clinic_id = ${clinicId} AND t.term_hash = w.value ->> 'hash'
    GROUP BY t.patient_id HAVING COUNT(DISTINCT w.value ->> 'word') = ${terms.length})`;
}

/** By what a health number may be stored: under the key of now, or under one still accepted. */
export const healthNumberHashes = (
  fields: Fields,
  clinicId: string,
  healthNumber: string,
): readonly [string, ...string[]] => fields.hashes("health-number", clinicId, normalizeHealthNumber(healthNumber));

/**
 * While hashes are moved to a new key: whether another patient has the health number under another key than today's. Under
 * today's the unique index sees to it.
 */
export async function isHealthNumberTakenBefore(
  db: D1Database,
  fields: Fields,
  { clinicId, patientId, details }: PatientWrite,
): Promise<boolean> {
  if (details.healthNumber === undefined) return false;
  const [, ...previous] = healthNumberHashes(fields, clinicId, details.healthNumber);
  if (previous.length === 0) return false;
  const row = await drizzle(db)
    .select({ patientId: patients.patientId })
    .from(patients)
    .where(
      and(
        eq(patients.clinicId, clinicId),
        inArray(patients.healthNumberHash, previous),
        ne(patients.patientId, patientId),
      ),
    )
    .get();
  return row !== undefined;
}

/** Whether this clinic has the patient, and may file for them. */
export async function isFilable(db: D1Database, clinicId: string, patientId: string): Promise<boolean> {
  const row = await drizzle(db)
    .select({ patientId: patients.patientId })
    .from(patients)
    .where(and(eq(patients.patientId, patientId), eq(patients.clinicId, clinicId), isNull(patients.erasingAt)))
    .get();
  return row !== undefined;
}
