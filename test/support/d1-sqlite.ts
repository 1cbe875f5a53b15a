/** Databases of core in memory, behind D1's interface. */
import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { d1On } from "../../scripts/lib/d1-sqlite.ts";

export { D1OnSqlite, d1On, StatementCache } from "../../scripts/lib/d1-sqlite.ts";

/** An empty database of core with every migration applied. */
export function migratedCoreSqlite(): DatabaseSync {
  const sqlite = new DatabaseSync(":memory:");
  const migrations = new URL("../../migrations/core/", import.meta.url);
  const files = readdirSync(migrations).filter((file) => file.endsWith(".up.sql"));
  for (const file of files.sort()) sqlite.exec(readFileSync(new URL(file, migrations), "utf8"));
  return sqlite;
}

export function migratedCore(): { readonly db: D1Database; readonly sqlite: DatabaseSync } {
  const sqlite = migratedCoreSqlite();
  return { db: d1On(sqlite), sqlite };
}
