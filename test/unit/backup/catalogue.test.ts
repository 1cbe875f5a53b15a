import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { type Catalogue, CORE_TABLES, copiedTables, HUB_TABLES } from "../../../src/backup/catalogue.ts";

function migrated(worker: "core" | "medlink"): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  const directory = new URL(`../../../migrations/${worker}/`, import.meta.url);
  const files = readdirSync(directory).filter((file) => file.endsWith(".up.sql"));
  for (const file of files.sort()) database.exec(readFileSync(new URL(file, directory), "utf8"));
  return database;
}

const tablesOf = (database: DatabaseSync): readonly string[] =>
  database
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all()
    .map(({ name }) => String(name));

for (const [worker, catalogue] of [
  ["core", CORE_TABLES],
  ["medlink", HUB_TABLES],
] as const satisfies readonly (readonly ["core" | "medlink", Catalogue])[]) {
  test(`every table of ${worker} is classed for backups, and nothing else is`, () => {
    expect(Object.keys(catalogue).sort()).toEqual(tablesOf(migrated(worker)));
  });

  test(`the copied tables of ${worker} stand after those that their rows refer to, and have a key`, () => {
    const database = migrated(worker);
    const order = copiedTables(catalogue).map(({ name }) => name);
    for (const [place, name] of order.entries()) {
      const parents = database.prepare('SELECT DISTINCT "table" AS parent FROM pragma_foreign_key_list(?)').all(name);
      for (const { parent } of parents) {
        expect({ name, parent, before: order.indexOf(String(parent)) < place }).toMatchObject({ before: true });
        expect(order).toContain(parent);
      }
      const key = database.prepare("SELECT COUNT(*) AS n FROM pragma_table_info(?) WHERE pk > 0").get(name);
      expect({ name, key: Number(key?.n) > 0 }).toEqual({ name, key: true });
    }
  });

  test(`what the migrations of ${worker} bring into copied tables is known`, () => {
    const database = migrated(worker);
    for (const [name, table] of Object.entries(catalogue)) {
      if (table.class === "never") continue;
      const rows = Number(database.prepare(`SELECT COUNT(*) AS n FROM ${name}`).get()?.n);
      expect({ name, rows }).toEqual({ name, rows: table.class === "copied" ? (table.seeded ?? 0) : 0 });
    }
  });

  test(`no copied column of ${worker} holds bytes, which lines of JSON can not carry`, () => {
    const database = migrated(worker);
    for (const { name } of copiedTables(catalogue)) {
      const columns = database.prepare("SELECT name, type FROM pragma_table_info(?)").all(name);
      expect(columns.filter(({ type }) => !/^(TEXT|INTEGER|REAL)$/.test(String(type)))).toEqual([]);
    }
  });
}
