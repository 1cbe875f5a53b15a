import { cutPage, type Page, type PageKey } from "../page.ts";

export interface ListedClinic {
  readonly clinicId: string;
  readonly name: string;
  /** Accounts that are switched on. */
  readonly users: number;
  readonly createdAt: number;
}

export async function listClinics(
  db: D1Database,
  query: { readonly limit: number; readonly after: PageKey | undefined },
): Promise<Page<ListedClinic>> {
  const { limit, after } = query;
  const rows = await db
    .prepare(
      `SELECT c.clinic_id AS clinicId, c.name, c.created_at AS createdAt,
         (SELECT COUNT(*) FROM users u WHERE u.clinic_id = c.clinic_id AND u.disabled_at IS NULL) AS users
       FROM clinics c WHERE ?1 IS NULL OR (c.created_at, c.clinic_id) < (?1, ?2)
       ORDER BY c.created_at DESC, c.clinic_id DESC LIMIT ?3`,
    )
    .bind(after?.createdAt ?? null, after?.id ?? null, limit + 1)
    .all<ListedClinic>();
  return cutPage(rows.results, limit, ({ createdAt, clinicId: id }) => ({ createdAt, id }));
}

export const clinicInsert = (db: D1Database, clinicId: string, name: string, now: number): D1PreparedStatement =>
  db.prepare("INSERT INTO clinics (clinic_id, name, created_at) VALUES (?, ?, ?)").bind(clinicId, name, now);
