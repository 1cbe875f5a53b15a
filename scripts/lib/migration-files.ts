/** The numbered migrations of a database, and what each down file takes away. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./bundle.ts";

export type DatabaseName = "itrans" | "medlink";
export const DATABASES: readonly DatabaseName[] = ["itrans", "medlink"];

export const migrationsOf = (database: DatabaseName): string =>
  join(projectRoot, "migrations", database === "itrans" ? "core" : "medlink");

export interface Migration {
  /** As it is recorded in d1_migrations: `0001_ledger.up.sql`. */
  readonly name: string;
  readonly up: string;
  /** Undefined: it has no way back. */
  readonly down: string | undefined;
}

export function readMigrations(directory: string): readonly Migration[] {
  return readdirSync(directory)
    .filter((name) => /^\d{4}_[a-z0-9_]+\.up\.sql$/.test(name))
    .sort()
    .map((name) => {
      const down = join(directory, name.replace(/\.up\.sql$/, ".down.sql"));
      return {
        name,
        up: readFileSync(join(directory, name), "utf8"),
        down: existsSync(down) ? readFileSync(down, "utf8") : undefined,
      };
    });
}

/** What a down file takes away: whole tables, columns, or some rows. */
export interface Loss {
  readonly table: string;
  /** Undefined: the table's rows. */
  readonly column: string | undefined;
}

const NAME = '"?([A-Za-z_][A-Za-z0-9_]*)"?';

/** A table that is built anew under another name and renamed keeps its rows. */
export function lossesOf(down: string): readonly Loss[] {
  const sql = down.replace(/--.*$/gm, "");
  const found = (pattern: string) => [...sql.matchAll(new RegExp(pattern, "gi"))];
  const renamed = new Set(found(`ALTER\\s+TABLE\\s+${NAME}\\s+RENAME\\s+TO\\s+${NAME}`).map(([, , to]) => to));
  const rows = [
    ...found(`DROP\\s+TABLE\\s+(?:IF\\s+EXISTS\\s+)?${NAME}`),
    ...found(`DELETE\\s+FROM\\s+${NAME}`),
  ].flatMap(([, table]) => (table === undefined || renamed.has(table) ? [] : [{ table, column: undefined }]));
  const columns = found(`ALTER\\s+TABLE\\s+${NAME}\\s+DROP\\s+COLUMN\\s+${NAME}`).flatMap(([, table, column]) =>
    table === undefined || column === undefined ? [] : [{ table, column }],
  );
  return [...rows, ...columns];
}

/** What the ledger promises to keep: entries, what opens and proves them, and the projections that speak for them. */
export const LEDGER_TABLES: ReadonlySet<string> = new Set([
  "ledger_heads",
  "ledger_entries",
  "requests",
  "claims",
  "payloads",
  "payload_keys",
  "id_lookup_keys",
  "erased_ids",
  "checkpoints",
  "anchors",
  "anchor_events",
  "operator_actions",
  "settlements",
]);

/** How many rows a loss would take; for a column, those in which it says something. */
export const countSql = ({ table, column }: Loss): string =>
  column === undefined
    ? `SELECT COUNT(*) AS n FROM "${table}"`
    : `SELECT COUNT(*) AS n FROM "${table}" WHERE "${column}" IS NOT NULL`;

export interface CountedLoss extends Loss {
  readonly rows: number;
}

/**
 * Whether a migration may be taken back.
 * @param dropRows the operator said that rows outside the ledger may go.
 * @returns one line for each reason why not.
 */
export function rollbackFaults(
  database: DatabaseName,
  environment: "local" | "staging" | "production",
  losses: readonly CountedLoss[],
  dropRows: boolean,
): readonly string[] {
  if (environment === "local") return [];
  return losses
    .filter(({ rows }) => rows > 0)
    .flatMap(({ table, column, rows }) => {
      const what = column === undefined ? `${rows} rows of ${table}` : `${table}.${column} of ${rows} rows`;
      if (database === "itrans" && LEDGER_TABLES.has(table)) {
        return [`it would drop ${what}, which belong to the ledger: only a development ledger is ever dropped`];
      }
      return dropRows ? [] : [`it would drop ${what}; --drop-rows says that they may go`];
    });
}
