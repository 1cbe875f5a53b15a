import { and, desc, eq, type SQL, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { AnySQLiteColumn } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import { type Fields, normalizeHealthNumber, normalizeName } from "../fields.ts";
import { cutPage, type Page, type PageKey } from "../page.ts";
import { insurers, patients, providers } from "../schema.ts";
import type { Insurer, Patient, PatientDetails, Provider } from "./record.ts";

const personalSchema = z.object({
  firstName: z.string(),
  lastName: z.string(),
  birthDate: z.string().optional(),
  healthNumber: z.string().optional(),
  notes: z.string().optional(),
});

const place = (patientId: string): string => `patients/${patientId}`;

const before = (createdAt: AnySQLiteColumn, id: AnySQLiteColumn, key: PageKey | undefined): SQL | undefined =>
  key === undefined ? undefined : sql`(${createdAt}, ${id}) < (${key.createdAt}, ${key.id})`;

async function readPatient(fields: Fields, row: typeof patients.$inferSelect): Promise<Patient> {
  const personal = personalSchema.parse(await fields.open(row.personalSealed, place(row.patientId)));
  return { patientId: row.patientId, ...personal, createdAt: row.createdAt };
}

/** Adds a patient; one of the same id in the same clinic gets these details. A health number is unique in a clinic. */
export async function patientUpsert(
  db: D1Database,
  fields: Fields,
  patient: { readonly clinicId: string; readonly patientId: string; readonly details: PatientDetails },
  now: number,
): Promise<D1PreparedStatement> {
  const { clinicId, patientId, details } = patient;
  return db
    .prepare(
      `INSERT INTO patients (patient_id, clinic_id, personal_sealed, health_number_hash, name_hash, created_at, updated_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
       ON CONFLICT (patient_id) DO UPDATE
       SET personal_sealed = ?3, health_number_hash = ?4, name_hash = ?5, updated_at = ?6 WHERE clinic_id = ?2`,
    )
    .bind(
      patientId,
      clinicId,
      await fields.seal(details, place(patientId)),
      details.healthNumber === undefined
        ? null
        : fields.hash("health-number", clinicId, normalizeHealthNumber(details.healthNumber)),
      fields.hash("name", clinicId, normalizeName(details.firstName, details.lastName)),
      now,
    );
}

export async function listPatients(
  db: D1Database,
  fields: Fields,
  clinicId: string,
  query: { readonly limit: number; readonly after: PageKey | undefined },
): Promise<Page<Patient>> {
  const { limit, after } = query;
  const rows = await drizzle(db)
    .select()
    .from(patients)
    .where(and(eq(patients.clinicId, clinicId), before(patients.createdAt, patients.patientId, after)))
    .orderBy(desc(patients.createdAt), desc(patients.patientId))
    .limit(limit + 1);
  const page = cutPage(rows, limit, (row) => ({ createdAt: row.createdAt, id: row.patientId }));
  return { ...page, items: await Promise.all(page.items.map((row) => readPatient(fields, row))) };
}

export const providerUpsert = (
  db: D1Database,
  provider: Omit<Provider, "createdAt"> & { readonly clinicId: string },
  now: number,
): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO providers (provider_id, clinic_id, name, licence_number, created_at, updated_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?5)
       ON CONFLICT (provider_id) DO UPDATE SET name = ?3, licence_number = ?4, updated_at = ?5 WHERE clinic_id = ?2`,
    )
    .bind(provider.providerId, provider.clinicId, provider.name, provider.licenceNumber ?? null, now);

export async function listProviders(
  db: D1Database,
  clinicId: string,
  query: { readonly limit: number; readonly after: PageKey | undefined },
): Promise<Page<Provider>> {
  const rows = await drizzle(db)
    .select()
    .from(providers)
    .where(and(eq(providers.clinicId, clinicId), before(providers.createdAt, providers.providerId, query.after)))
    .orderBy(desc(providers.createdAt), desc(providers.providerId))
    .limit(query.limit + 1);
  const page = cutPage(rows, query.limit, (row) => ({ createdAt: row.createdAt, id: row.providerId }));
  return {
    ...page,
    items: page.items.map(({ providerId, name, licenceNumber, createdAt }) => ({
      providerId,
      name,
      licenceNumber: licenceNumber ?? undefined,
      createdAt,
    })),
  };
}

export const insurerUpsert = (
  db: D1Database,
  insurer: Omit<Insurer, "createdAt"> & { readonly clinicId: string },
  now: number,
): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO insurers (insurer_id, clinic_id, name, insurer_address, created_at, updated_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?5)
       ON CONFLICT (insurer_id) DO UPDATE SET name = ?3, insurer_address = ?4, updated_at = ?5 WHERE clinic_id = ?2`,
    )
    .bind(insurer.insurerId, insurer.clinicId, insurer.name, insurer.insurerAddress, now);

const toInsurer = ({ insurerId, name, insurerAddress, createdAt }: typeof insurers.$inferSelect): Insurer => ({
  insurerId,
  name,
  insurerAddress,
  createdAt,
});

export async function listInsurers(
  db: D1Database,
  clinicId: string,
  query: { readonly limit: number; readonly after: PageKey | undefined },
): Promise<Page<Insurer>> {
  const rows = await drizzle(db)
    .select()
    .from(insurers)
    .where(and(eq(insurers.clinicId, clinicId), before(insurers.createdAt, insurers.insurerId, query.after)))
    .orderBy(desc(insurers.createdAt), desc(insurers.insurerId))
    .limit(query.limit + 1);
  const page = cutPage(rows, query.limit, (row) => ({ createdAt: row.createdAt, id: row.insurerId }));
  return { ...page, items: page.items.map(toInsurer) };
}

export async function findInsurer(db: D1Database, clinicId: string, insurerId: string): Promise<Insurer | undefined> {
  const row = await drizzle(db)
    .select()
    .from(insurers)
    .where(and(eq(insurers.clinicId, clinicId), eq(insurers.insurerId, insurerId)))
    .get();
  return row === undefined ? undefined : toInsurer(row);
}

/** Which of a claim's three parties this clinic does not have, by field name. */
export async function missingParties(
  db: D1Database,
  clinicId: string,
  parties: { readonly patientId: string; readonly providerId: string; readonly insurerId: string },
): Promise<readonly ("patientId" | "providerId" | "insurerId")[]> {
  const row = await db
    .prepare(
      `SELECT EXISTS (SELECT 1 FROM patients WHERE patient_id = ?2 AND clinic_id = ?1) AS patientId,
              EXISTS (SELECT 1 FROM providers WHERE provider_id = ?3 AND clinic_id = ?1) AS providerId,
              EXISTS (SELECT 1 FROM insurers WHERE insurer_id = ?4 AND clinic_id = ?1) AS insurerId`,
    )
    .bind(clinicId, parties.patientId, parties.providerId, parties.insurerId)
    .first<{ patientId: number; providerId: number; insurerId: number }>();
  const names = ["patientId", "providerId", "insurerId"] as const;
  return names.filter((name) => row?.[name] !== 1);
}

export const clinicUpsert = (db: D1Database, clinicId: string, name: string, now: number): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO clinics (clinic_id, name, created_at) VALUES (?1, ?2, ?3)
       ON CONFLICT (clinic_id) DO UPDATE SET name = ?2`,
    )
    .bind(clinicId, name, now);
