/** @throws when the database does not answer, or its tables are not there. */
export async function pingDatabase(db: D1Database): Promise<void> {
  await db.prepare("SELECT 1 FROM clinics LIMIT 1").run();
}
