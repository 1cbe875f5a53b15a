import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { getTableConfig, SQLiteTable } from "drizzle-orm/sqlite-core";
import { describe, expect, it } from "vitest";
import * as schema from "../../../src/medlink/schema.ts";

const apply = (database: DatabaseSync, file: string): void =>
  database.exec(readFileSync(new URL(`../../../migrations/medlink/${file}.sql`, import.meta.url), "utf8"));

function databaseBefore(): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  for (const file of ["0001_hub.up", "0002_auto_submit.up"]) apply(database, file);
  database.exec(`
    INSERT INTO clinics VALUES ('cln_1', 'One', 1);
    INSERT INTO users VALUES ('usr_1', 'cln_1', 'admin', 'hash', 'sealed', 'password', NULL, 2, 3);
    INSERT INTO sessions VALUES ('session', 'usr_1', 4, 5);`);
  return database;
}

describe("the accounts migration", () => {
  it("keeps the people of a running hub, and ends their sessions", () => {
    const database = databaseBefore();
    apply(database, "0003_accounts.up");
    expect(database.prepare("SELECT * FROM users").all()).toMatchObject([
      { user_id: "usr_1", clinic_id: "cln_1", role: "admin", password_hash: "password", locale: "en" },
    ]);
    expect(database.prepare("SELECT COUNT(*) AS n FROM sessions").get()).toMatchObject({ n: 0 });
    expect(database.prepare("PRAGMA foreign_key_check").all()).toEqual([]);
  });

  it("gives operators no clinic and everyone else one", () => {
    const database = databaseBefore();
    apply(database, "0003_accounts.up");
    const insert = (id: string, clinic: string | null, role: string) => () =>
      database
        .prepare(
          "INSERT INTO users (user_id, clinic_id, role, email_hash, profile_sealed, password_hash, created_at, updated_at) VALUES (?, ?, ?, ?, '', '', 1, 1)",
        )
        .run(id, clinic, role, id);
    expect(insert("a", null, "operator")).not.toThrow();
    expect(insert("b", "cln_1", "operator")).toThrow("CHECK");
    expect(insert("c", null, "admin")).toThrow("CHECK");
    expect(insert("d", "cln_nowhere", "admin")).toThrow("FOREIGN KEY");
  });

  it("goes back to what was before, without the operators that had no place there", () => {
    const database = databaseBefore();
    const shape = () =>
      database.prepare("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'users%' ORDER BY name").all();
    const before = shape();
    const people = database.prepare("SELECT * FROM users").all();
    for (const file of ["0003_accounts.up", "0005_flags.up"]) apply(database, file);
    database.exec(
      "INSERT INTO users (user_id, role, email_hash, profile_sealed, password_hash, created_at, updated_at) VALUES ('op', 'operator', 'x', '', '', 1, 1)",
    );
    for (const file of ["0005_flags.down", "0003_accounts.down"]) apply(database, file);
    expect(shape()).toEqual(before);
    expect(database.prepare("SELECT * FROM users").all()).toEqual(people);
    apply(database, "0003_accounts.up");
  });

  it("makes the columns that drizzle reads", () => {
    const database = databaseBefore();
    for (const file of ["0003_accounts.up", "0005_flags.up"]) apply(database, file);
    const mine = [schema.users, schema.sessions, schema.pendingSignIns, schema.secondFactors, schema.invitations];
    for (const table of [...mine, schema.passwordResets, schema.apiTokens, schema.flags]) {
      expect(table).toBeInstanceOf(SQLiteTable);
      const { name, columns } = getTableConfig(table);
      const found = database.prepare('SELECT name, "notnull", pk FROM pragma_table_info(?)').all(name);
      const nullable = new Map(found.map((row) => [String(row.name), row.notnull === 0 && row.pk === 0]));
      for (const column of columns) {
        expect(nullable.get(column.name), `${name}.${column.name}`).toBe(!(column.notNull || column.primary));
      }
    }
  });
});
