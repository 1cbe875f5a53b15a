/** Applies migrations as `wrangler d1 migrations apply` does, and records them in the same table under the same names. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Miniflare } from "miniflare";
import { unstable_splitSqlQuery as splitSql } from "wrangler";
import { Failure, messageOf } from "./fail.ts";

export type Database = Awaited<ReturnType<Miniflare["getD1Database"]>>;

const RECORD_TABLE = `CREATE TABLE IF NOT EXISTS "d1_migrations"(
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  name       TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

export const migrationNames = (directory: string): readonly string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith(".up.sql"))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : 1));

/**
 * Each migration and its record are one transaction.
 * @returns names applied now, in order.
 * @throws Failure naming the migration that failed, or one that was applied by a newer version of this project.
 */
export async function applyMigrations(database: Database, directory: string): Promise<readonly string[]> {
  await database.prepare(RECORD_TABLE).run();
  const { results } = await database.prepare('SELECT name FROM "d1_migrations" ORDER BY id').all<{ name: string }>();
  const applied = new Set(results.map((row) => row.name));
  const names = migrationNames(directory);
  const unknown = [...applied].filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new Failure(`the data was migrated by a newer version (${unknown.join(", ")}); use that, or another --data`);
  }
  const appliedNow: string[] = [];
  for (const name of names) {
    if (applied.has(name)) continue;
    const statements = splitSql(readFileSync(join(directory, name), "utf8")).map((sql) => database.prepare(sql));
    const record = database.prepare('INSERT INTO "d1_migrations" (name) VALUES (?)').bind(name);
    try {
      await database.batch([...statements, record]);
    } catch (error) {
      throw new Failure(`migration ${name} failed: ${messageOf(error)}`);
    }
    appliedNow.push(name);
  }
  return appliedNow;
}
