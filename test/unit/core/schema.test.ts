import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { getTableConfig, SQLiteTable } from "drizzle-orm/sqlite-core";
import { expect, test } from "vitest";
import * as schema from "../../../src/core/schema.ts";

const MIGRATIONS = new URL("../../../migrations/core/", import.meta.url);

function migratedDatabase(): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  const files = readdirSync(MIGRATIONS).filter((file) => file.endsWith(".up.sql"));
  for (const file of files.sort()) database.exec(readFileSync(new URL(file, MIGRATIONS), "utf8"));
  return database;
}

interface Shape {
  readonly columns: readonly string[];
  readonly primaryKey: readonly string[];
  readonly indexes: readonly string[];
}

const affinity = (type: string): string => type.toLowerCase().replace(" collate nocase", "");

function migratedShape(database: DatabaseSync, table: string): Shape {
  const columns = database.prepare("SELECT * FROM pragma_table_info(?)").all(table);
  const indexes = database.prepare("SELECT * FROM pragma_index_list(?)").all(table);
  const keyColumns = (name: unknown) =>
    database
      .prepare("SELECT name FROM pragma_index_info(?) ORDER BY seqno")
      .all(String(name))
      .map((row) => String(row.name));
  return {
    columns: columns.map((column) =>
      [
        column.name,
        affinity(String(column.type)),
        column.notnull === 1 || column.pk !== 0 ? "not null" : "null",
        column.dflt_value ?? "no default",
      ].join(" "),
    ),
    primaryKey: columns
      .filter((column) => column.pk !== 0)
      .sort((a, b) => Number(a.pk) - Number(b.pk))
      .map((column) => String(column.name)),
    indexes: indexes
      .filter((index) => index.origin !== "pk")
      .map((index) => {
        const unique = index.unique === 1 ? "unique" : "plain";
        const partial = index.partial === 1 ? "partial" : "whole";
        const name = index.origin === "u" ? "" : String(index.name);
        return `${name} ${unique} ${partial} (${keyColumns(index.name).join(", ")})`;
      })
      .sort(),
  };
}

function drizzleShape(table: SQLiteTable): Shape {
  const config = getTableConfig(table);
  const single = config.columns.filter((column) => column.primary).map((column) => column.name);
  const composite = config.primaryKeys.flatMap((key) => key.columns.map((column) => column.name));
  const unique = config.columns.filter((column) => column.isUnique).map((column) => ` unique whole (${column.name})`);
  const named = config.indexes.map(({ config: index }) => {
    const columns = index.columns.map((column) => ("name" in column ? String(column.name) : "expression"));
    const kind = index.unique ? "unique" : "plain";
    return `${index.name} ${kind} ${index.where === undefined ? "whole" : "partial"} (${columns.join(", ")})`;
  });
  return {
    columns: config.columns.map((column) =>
      [
        column.name,
        affinity(column.getSQLType()),
        column.notNull || column.primary ? "not null" : "null",
        column.default === undefined
          ? "no default"
          : typeof column.default === "string"
            ? `'${column.default}'`
            : String(column.default),
      ].join(" "),
    ),
    primaryKey: [...single, ...composite],
    indexes: [...unique, ...named].sort(),
  };
}

test("the drizzle schema has the tables, columns, keys and indexes that the migrations make", () => {
  const database = migratedDatabase();
  const tables = Object.values(schema).filter((value) => value instanceof SQLiteTable);
  const names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
  expect(tables.map((table) => getTableConfig(table).name).sort()).toEqual(names.map((row) => row.name));
  for (const table of tables) {
    const { name } = getTableConfig(table);
    expect({ name, ...drizzleShape(table) }).toEqual({ name, ...migratedShape(database, name) });
  }
});
