import { and, desc, eq, type SQL, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { AnySQLiteColumn } from "drizzle-orm/sqlite-core";
import { cutPage, type Page, type PageKey } from "../page.ts";
import { clinics, insurers, providers } from "../schema.ts";
import type { Clinic, Insurer, Provider } from "./record.ts";

/** Part of a name, in any case; what SQL's LIKE takes for more than itself is taken as it stands. */
const contains = (column: AnySQLiteColumn, q: string | undefined): SQL | undefined =>
  q === undefined ? undefined : sql`${column} LIKE ${`%${q.replace(/[%_\\]/g, "\\$&")}%`} ESCAPE '\\'`;

const named = (column: AnySQLiteColumn, ids: readonly string[]): SQL =>
  sql`${column} IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`;

const before = (createdAt: AnySQLiteColumn, id: AnySQLiteColumn, key: PageKey | undefined): SQL | undefined =>
  key === undefined ? undefined : sql`(${createdAt}, ${id}) < (${key.createdAt}, ${key.id})`;

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

export interface NameQuery {
  /** Part of the name. */
  readonly q: string | undefined;
  readonly limit: number;
  readonly after: PageKey | undefined;
}

const toProvider = ({ providerId, name, licenceNumber, createdAt }: typeof providers.$inferSelect): Provider => ({
  providerId,
  name,
  licenceNumber: licenceNumber ?? undefined,
  createdAt,
});

export async function listProviders(db: D1Database, clinicId: string, query: NameQuery): Promise<Page<Provider>> {
  const rows = await drizzle(db)
    .select()
    .from(providers)
    .where(
      and(
        eq(providers.clinicId, clinicId),
        contains(providers.name, query.q),
        before(providers.createdAt, providers.providerId, query.after),
      ),
    )
    .orderBy(desc(providers.createdAt), desc(providers.providerId))
    .limit(query.limit + 1);
  const page = cutPage(rows, query.limit, (row) => ({ createdAt: row.createdAt, id: row.providerId }));
  return { ...page, items: page.items.map(toProvider) };
}

/** Those of the ids that are providers of this clinic. */
export async function findProviders(
  db: D1Database,
  clinicId: string,
  providerIds: readonly string[],
): Promise<readonly Provider[]> {
  const rows = await drizzle(db)
    .select()
    .from(providers)
    .where(and(named(providers.providerId, providerIds), eq(providers.clinicId, clinicId)));
  return rows.map(toProvider);
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

export async function listInsurers(db: D1Database, clinicId: string, query: NameQuery): Promise<Page<Insurer>> {
  const rows = await drizzle(db)
    .select()
    .from(insurers)
    .where(
      and(
        eq(insurers.clinicId, clinicId),
        contains(insurers.name, query.q),
        before(insurers.createdAt, insurers.insurerId, query.after),
      ),
    )
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

/** For a batch: the address of the insurer that a claim goes to. */
export const insurerOfClaimSelect = (db: D1Database, clinicId: string, claimId: string): D1PreparedStatement =>
  db
    .prepare(
      `SELECT insurer_address AS insurerAddress FROM insurers WHERE clinic_id = ?1
         AND insurer_id = (SELECT insurer_id FROM claims WHERE claim_id = ?2 AND clinic_id = ?1)`,
    )
    .bind(clinicId, claimId);

/** Those of the ids that are insurers of this clinic. */
export async function findInsurers(
  db: D1Database,
  clinicId: string,
  insurerIds: readonly string[],
): Promise<readonly Insurer[]> {
  const rows = await drizzle(db)
    .select()
    .from(insurers)
    .where(and(named(insurers.insurerId, insurerIds), eq(insurers.clinicId, clinicId)));
  return rows.map(toInsurer);
}

/** Which of a claim's three parties this clinic does not have, by field name. A patient being erased is not had any more. */
export const missingParties = async (db: D1Database, clinicId: string, parties: Parties): Promise<readonly Party[]> =>
  missingOf((await partiesSelect(db, clinicId, parties).first<PartiesRow>()) ?? undefined);

const PARTIES = ["patientId", "providerId", "insurerId"] as const;
type Party = (typeof PARTIES)[number];
type Parties = Readonly<Record<Party, string>>;
export type PartiesRow = Readonly<Record<Party, number>>;

/** @param row of `partiesSelect`. */
export const missingOf = (row: PartiesRow | undefined): readonly Party[] => PARTIES.filter((name) => row?.[name] !== 1);

/** For a batch; `missingOf` reads its row. */
export const partiesSelect = (db: D1Database, clinicId: string, parties: Parties): D1PreparedStatement =>
  db
    .prepare(
      `SELECT EXISTS (SELECT 1 FROM patients WHERE patient_id = ?2 AND clinic_id = ?1 AND erasing_at IS NULL) AS patientId,
              EXISTS (SELECT 1 FROM providers WHERE provider_id = ?3 AND clinic_id = ?1) AS providerId,
              EXISTS (SELECT 1 FROM insurers WHERE insurer_id = ?4 AND clinic_id = ?1) AS insurerId`,
    )
    .bind(clinicId, parties.patientId, parties.providerId, parties.insurerId);

export const clinicUpsert = (db: D1Database, clinicId: string, name: string, now: number): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO clinics (clinic_id, name, created_at) VALUES (?1, ?2, ?3)
       ON CONFLICT (clinic_id) DO UPDATE SET name = ?2`,
    )
    .bind(clinicId, name, now);

export async function findClinic(db: D1Database, clinicId: string): Promise<Clinic | undefined> {
  return drizzle(db).select().from(clinics).where(eq(clinics.clinicId, clinicId)).get();
}

export const clinicUpdate = (db: D1Database, clinic: Clinic): D1PreparedStatement =>
  db
    .prepare("UPDATE clinics SET name = ?, locale = ?, retention_years = ? WHERE clinic_id = ?")
    .bind(clinic.name, clinic.locale, clinic.retentionYears, clinic.clinicId);
