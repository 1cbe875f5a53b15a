import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import { dryRun } from "../../../scripts/db.ts";
import { fileDatabase, recordSql } from "../../../scripts/lib/databases.ts";
import { DATABASES, type DatabaseName, migrationsOf, readMigrations } from "../../../scripts/lib/migration-files.ts";

const directory = mkdtempSync(join(tmpdir(), "dry-run-test-"));
afterAll(() => rmSync(directory, { recursive: true }));

let made = 0;

/** A database at which the first so many migrations are applied. */
function databaseAt(name: DatabaseName, level: number, more = "") {
  const path = join(directory, `${made++}.sqlite`);
  const sqlite = new DatabaseSync(path);
  sqlite.exec("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY");
  sqlite.exec(
    "CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TEXT DEFAULT 'then')",
  );
  for (const { name: file, up } of readMigrations(migrationsOf(name)).slice(0, level))
    sqlite.exec(`${up};${recordSql(file)}`);
  sqlite.exec(more);
  sqlite.close();
  return fileDatabase(name, path);
}

async function tried(name: DatabaseName, level: number, rows: number, more?: string) {
  const lines: string[] = [];
  const database = databaseAt(name, level, more);
  try {
    return { passed: await dryRun(database, rows, (line) => lines.push(line)), lines: lines.join("\n") };
  } finally {
    database.close();
  }
}

const ROWS = 60;
const SUBJECTS: Readonly<Record<DatabaseName, string>> = { itrans: "requests", medlink: "claims" };

describe.each(DATABASES)("the dry run of %s", (name) => {
  const all = readMigrations(migrationsOf(name)).length;

  it.each(Array.from({ length: all - 1 }, (_, i) => i + 1))(
    "times what is pending behind migration %i on a copy that was grown",
    async (level) => {
      const { passed, lines } = await tried(name, level, ROWS);
      expect(lines).not.toContain("FAIL");
      expect(passed).toBe(true);
      const held = Number(new RegExp(`grown by ${ROWS} ${SUBJECTS[name]} to (\\d+) rows`).exec(lines)?.[1]);
      expect(held).toBeGreaterThan(ROWS);
      expect(lines.match(/^ {2}ok /gm)).toHaveLength(all - level);
    },
  );

  it("fails when the copy can not be grown, unless it is told not to grow it", async () => {
    const refuse = `CREATE TRIGGER refuse BEFORE INSERT ON ${SUBJECTS[name]} BEGIN SELECT RAISE(ABORT, 'no more rows'); END`;
    const failed = await tried(name, all - 1, ROWS, refuse);
    expect(failed.passed).toBe(false);
    expect(failed.lines).toContain("not grown");
    expect(failed.lines).toContain("no more rows");
    const small = await tried(name, all - 1, 0, refuse);
    expect(small.passed).toBe(true);
    expect(small.lines).toContain("not grown, as --rows 0 says");
  });

  it("leaves the database itself as it was", async () => {
    const database = databaseAt(name, all - 1);
    const tables = "SELECT COUNT(*) AS n FROM sqlite_schema";
    const before = await database.rows(tables);
    await dryRun(database, ROWS, () => {});
    expect(await database.rows(tables)).toEqual(before);
    expect(Number((await database.rows(`SELECT COUNT(*) AS n FROM ${SUBJECTS[name]}`))[0]?.n)).toBe(0);
    database.close();
  });
});
