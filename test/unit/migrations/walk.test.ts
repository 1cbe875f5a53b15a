import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { applyTo } from "../../../scripts/lib/databases.ts";
import { fillWithRequests } from "../../../scripts/lib/db-fill.ts";
import {
  DATABASES,
  lossesOf,
  migrationsOf,
  readMigrations,
  rollbackFaults,
} from "../../../scripts/lib/migration-files.ts";
import { drizzleFaults, extentOf, OWN_OBJECTS, OWN_TABLES, objectsOf } from "../../../scripts/lib/schema-shape.ts";
import * as coreSchema from "../../../src/core/schema.ts";
import * as hubSchema from "../../../src/medlink/schema.ts";

const HASH = "ab".repeat(32);

/** Rows of tables whose triggers take no other. */
const GIVEN: Readonly<Record<string, string>> = {
  ledger_heads: `INSERT INTO ledger_heads VALUES ('main', 0, 0, '${"0".repeat(64)}', '${HASH}', '[]', '2026-11-22T10:00:00.000Z');
    UPDATE ledger_heads SET version = 1, size = 1`,
  ledger_entries: `INSERT INTO ledger_entries VALUES ('main', 0, '${HASH}', '${"0".repeat(64)}', '0x${HASH}', 'c', 0, '{}')`,
};

/** Values that a trigger, a check or a later migration looks at. */
const VALUES: Readonly<Record<string, string | number>> = {
  role: "admin",
  tenant_id: "default",
  seq: 0,
  size: 1,
  state: "queued",
  status: "draft",
};

/** One row in every table that has none, whatever its columns: every text is `x`, so that each refers to the others. */
function fillEmptyTables(sqlite: DatabaseSync): void {
  // In the order in which they were made, which is that in which they refer to each other.
  for (const { name } of sqlite.prepare(OWN_TABLES.replace("ORDER BY name", "ORDER BY rowid")).all()) {
    const table = String(name);
    if (Number(sqlite.prepare(`SELECT COUNT(*) AS n FROM "${table}"`).get()?.n) > 0) continue;
    const given = GIVEN[table];
    if (given !== undefined) {
      sqlite.exec(given);
      continue;
    }
    const columns = sqlite.prepare("SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden = 0").all(table);
    const names = columns.map((column) => `"${String(column.name)}"`).join(", ");
    const values = columns.map((column) => VALUES[String(column.name)] ?? (column.type === "TEXT" ? "x" : 1));
    sqlite.prepare(`INSERT INTO "${table}" (${names}) VALUES (${values.map(() => "?").join(", ")})`).run(...values);
  }
}

const counts = (sqlite: DatabaseSync): ReadonlyMap<string, number> =>
  new Map(
    sqlite
      .prepare(OWN_TABLES)
      .all()
      .map(({ name }) => [
        String(name),
        Number(sqlite.prepare(`SELECT COUNT(*) AS n FROM "${String(name)}"`).get()?.n),
      ]),
  );

const shape = (sqlite: DatabaseSync) => Object.fromEntries(objectsOf(sqlite.prepare(OWN_OBJECTS).all()));

function openedForWalk(): DatabaseSync {
  const sqlite = new DatabaseSync(":memory:");
  // Rows of the walk say nothing; what a check admits is not what is walked here.
  sqlite.exec("PRAGMA ignore_check_constraints = ON");
  return sqlite;
}

describe.each(DATABASES)("the migrations of %s", (name) => {
  const migrations = readMigrations(migrationsOf(name));

  it("each have a way back and a number of their own", () => {
    expect(migrations.filter(({ down }) => down === undefined).map((one) => one.name)).toEqual([]);
    const numbers = migrations.map((one) => one.name.slice(0, 4));
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  it("go up, down and up again with rows in every table, lose what the down file names and nothing else", () => {
    const sqlite = openedForWalk();
    const shapes: unknown[] = [shape(sqlite)];
    for (const { up } of migrations) {
      sqlite.exec(up);
      fillEmptyTables(sqlite);
      shapes.push(shape(sqlite));
    }
    for (let i = migrations.length; i > 0; i--) {
      const migration = migrations[i - 1];
      if (migration?.down === undefined) throw new Error("each has a way back");
      const before = counts(sqlite);
      const lost = new Set(
        lossesOf(migration.down).flatMap(({ table, column }) => (column === undefined ? [table] : [])),
      );
      sqlite.exec(migration.down);
      expect(shape(sqlite), `${migration.name} taken back`).toEqual(shapes[i - 1]);
      const after = counts(sqlite);
      for (const [table, rows] of before) {
        if (lost.has(table)) expect(after.get(table) ?? 0, `${migration.name}: ${table}`).toBe(0);
        else expect(after.get(table), `${migration.name} keeps ${table}`).toBe(rows);
      }
      sqlite.exec(migration.up);
      expect(shape(sqlite), `${migration.name} again`).toEqual(shapes[i]);
      sqlite.exec(migration.down);
    }
    expect(counts(sqlite).size).toBe(0);
  });

  it("make what the drizzle schema says", () => {
    const sqlite = new DatabaseSync(":memory:");
    for (const { up } of migrations) sqlite.exec(up);
    const schema = name === "itrans" ? coreSchema : hubSchema;
    expect(drizzleFaults(schema, (sql) => sqlite.prepare(sql).all(), extentOf(name))).toEqual([]);
  });
});

describe("taking a migration back", () => {
  const lossOf = (table: string, rows: number, column?: string) => ({ table, column, rows });

  it("is refused outside development when rows of the ledger would go, whatever is said", () => {
    for (const environment of ["staging", "production"] as const) {
      const faults = rollbackFaults("itrans", environment, [lossOf("ledger_entries", 3), lossOf("outbox", 0)], true);
      expect(faults).toHaveLength(1);
      expect(faults[0]).toContain("3 rows of ledger_entries");
    }
    expect(rollbackFaults("itrans", "local", [lossOf("ledger_entries", 3)], false)).toEqual([]);
  });

  it("is refused for a column of the ledger that says something, and not for one that says nothing", () => {
    expect(rollbackFaults("itrans", "production", [lossOf("requests", 2, "erased_seq")], true)).toHaveLength(1);
    expect(rollbackFaults("itrans", "production", [lossOf("requests", 0, "erased_seq")], false)).toEqual([]);
  });

  it("needs the operator's word for any other rows", () => {
    expect(rollbackFaults("medlink", "staging", [lossOf("attachments", 1)], false)).toHaveLength(1);
    expect(rollbackFaults("medlink", "staging", [lossOf("attachments", 1)], true)).toEqual([]);
  });

  it("would be refused for every migration that made a table of the ledger, once it has entries", () => {
    const of = (name: string) => readMigrations(migrationsOf("itrans")).find((one) => one.name.startsWith(name))?.down;
    for (const name of ["0001", "0003", "0006", "0012"]) {
      const losses = lossesOf(of(name) ?? "").map((loss) => ({ ...loss, rows: 1 }));
      expect(rollbackFaults("itrans", "production", losses, true), name).not.toEqual([]);
    }
  });

  it("keeps everything when its statements fail half way", () => {
    const sqlite = new DatabaseSync(":memory:");
    sqlite.exec("CREATE TABLE a (x); INSERT INTO a VALUES (1)");
    expect(() => applyTo(sqlite, "DROP TABLE a; DROP TABLE nothing")).toThrow();
    expect(sqlite.prepare("SELECT x FROM a").all()).toEqual([{ x: 1 }]);
  });

  it("takes a table that is built anew under another name for one that keeps its rows", () => {
    const down = `-- DROP TABLE comment;
      DROP TABLE IF EXISTS gone; CREATE TABLE kept_next (x); DROP TABLE kept; ALTER TABLE kept_next RENAME TO kept;
      ALTER TABLE other DROP COLUMN y; DELETE FROM some;`;
    expect(lossesOf(down)).toEqual([
      { table: "gone", column: undefined },
      { table: "some", column: undefined },
      { table: "other", column: "y" },
    ]);
  });
});

it("grows a copy through the code that commits, to entries that link", async () => {
  const sqlite = new DatabaseSync(":memory:");
  for (const { up } of readMigrations(migrationsOf("itrans"))) sqlite.exec(up);
  expect(await fillWithRequests(sqlite, "main", 750)).toBe(750);
  expect(await fillWithRequests(sqlite, "main", 10)).toBe(760);
  expect(sqlite.prepare("SELECT COUNT(*) AS n FROM payload_keys").get()).toMatchObject({ n: 760 });
});
