import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { migrationsOf, readMigrations } from "../../../scripts/lib/migration-files.ts";
import { drizzleFaults } from "../../../scripts/lib/schema-shape.ts";
import * as schema from "../../../src/core/schema.ts";

function migratedDatabase(): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  for (const { up } of readMigrations(migrationsOf("itrans"))) database.exec(up);
  return database;
}

const faultsOf = (database: DatabaseSync) => drizzleFaults(schema, (sql) => database.prepare(sql).all(), "whole");

test("the drizzle schema has the tables, columns, keys and indexes that the migrations make", () => {
  expect(faultsOf(migratedDatabase())).toEqual([]);
});

test.each([
  ["a column", "ALTER TABLE tenants ADD COLUMN more TEXT"],
  ["a table", "CREATE TABLE more (x)"],
  ["an index", "CREATE INDEX more ON tenants (name)"],
  ["the lack of an index", "DROP INDEX api_keys_tenant"],
])("%s that only the database has is a difference", (_what, sql) => {
  const database = migratedDatabase();
  database.exec(sql);
  expect(faultsOf(database)).toHaveLength(1);
});
