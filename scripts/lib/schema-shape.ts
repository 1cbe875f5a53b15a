/** The shape of a database and of a drizzle schema, written the same way so that they can be compared. */
import { getTableConfig, SQLiteTable } from "drizzle-orm/sqlite-core";

export interface Shape {
  readonly columns: readonly string[];
  readonly primaryKey: readonly string[];
  readonly indexes: readonly string[];
}

export type ReadRows = (sql: string) => readonly Readonly<Record<string, unknown>>[];

const affinity = (type: string): string => type.toLowerCase().replace(" collate nocase", "");

/** @param rows runs a statement on the database. */
export function migratedShape(rows: ReadRows, table: string): Shape {
  const columns = rows(`SELECT * FROM pragma_table_info('${table}')`);
  const indexes = rows(`SELECT * FROM pragma_index_list('${table}')`);
  const keyColumns = (name: unknown) =>
    rows(`SELECT name FROM pragma_index_info('${String(name)}') ORDER BY seqno`).map((row) => String(row.name));
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

export function drizzleShape(table: SQLiteTable): Shape {
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

/** The tables of a schema module, by name. */
export const drizzleTables = (schema: Readonly<Record<string, unknown>>): ReadonlyMap<string, SQLiteTable> =>
  new Map(
    Object.values(schema)
      .filter((value) => value instanceof SQLiteTable)
      .map((table) => [getTableConfig(table).name, table]),
  );

/** Tables of ours: not SQLite's, D1's or wrangler's own. */
export const OWN_TABLES = `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
  AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name NOT LIKE 'd1\\_%' ESCAPE '\\' ORDER BY name`;

/** Everything that SQL made: tables, indexes and triggers, with the text that made them, whitespace evened out. */
export const OWN_OBJECTS = `SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL
  AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name NOT LIKE 'd1\\_%' ESCAPE '\\'
  AND tbl_name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY type, name`;

export const objectsOf = (rows: readonly Readonly<Record<string, unknown>>[]): ReadonlyMap<string, string> =>
  new Map(
    rows.map(({ type, name, sql }) => [
      `${String(type)} ${String(name)}`,
      String(sql)
        .replace(/--[^\n]*/g, " ")
        .replace(/["`]/g, "")
        .replace(/\s+/g, " ")
        .replace(/ ?([(),]) ?/g, "$1")
        .trim(),
    ]),
  );

/**
 * @param extent core's schema is the whole database; the hub's has what typed statements touch, without defaults and indexes.
 * @returns one line for each difference.
 */
export function drizzleFaults(
  schema: Readonly<Record<string, unknown>>,
  rows: ReadRows,
  extent: "whole" | "part",
): readonly string[] {
  const tables = drizzleTables(schema);
  const stored = new Set(rows(OWN_TABLES).map(({ name }) => String(name)));
  const faults =
    extent === "part"
      ? []
      : [...stored].filter((name) => !tables.has(name)).map((name) => `${name} is not in the drizzle schema`);
  for (const [name, table] of tables) {
    if (!stored.has(name)) {
      faults.push(`${name} is in the drizzle schema and no migration makes it`);
      continue;
    }
    const [drizzle, migrated] = [drizzleShape(table), migratedShape(rows, name)];
    if (extent === "part") {
      const undefaulted = new Set(migrated.columns.map(withoutDefault));
      const unknown = drizzle.columns.map(withoutDefault).filter((column) => !undefaulted.has(column));
      faults.push(...unknown.map((column) => `${name}: no migration makes the column ${column}`));
      continue;
    }
    for (const part of ["columns", "primaryKey", "indexes"] as const) {
      const [a, b] = [drizzle[part].join("; "), migrated[part].join("; ")];
      if (a !== b) faults.push(`${name}: the ${part} of the drizzle schema are ${a}; the migrations make ${b}`);
    }
  }
  return faults;
}

/** Name, type and whether it may be null. */
const withoutDefault = (column: string): string => /^\S+ \S+ (?:not )?null/.exec(column)?.[0] ?? column;

/** Of a database's schema module. */
export const extentOf = (database: "itrans" | "medlink"): "whole" | "part" =>
  database === "itrans" ? "whole" : "part";
