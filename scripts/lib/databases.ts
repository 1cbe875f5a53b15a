/** A database of core or hub as an operator works on it: the local one is a file, the others are reached through wrangler. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { unstable_readConfig as readConfig } from "wrangler";
import { projectRoot } from "./bundle.ts";
import { Failure, messageOf } from "./fail.ts";
import { type DatabaseName, migrationsOf, readMigrations } from "./migration-files.ts";
import {
  CONFIGS,
  d1Bookmark,
  d1Export,
  d1File,
  d1Migrate,
  d1Query,
  type EnvironmentName,
  type Platform,
  type RemoteDatabase,
  type RemoteEnvironment,
  type Row,
} from "./platform.ts";
import { isInUse } from "./processes.ts";

/** How long a file is waited for that the system holds, as it does while it starts. */
const BUSY_MS = 15_000;

export interface Snapshot {
  /** Files that were written, and for a remote one what takes the whole database back to this moment. */
  readonly lines: readonly string[];
  readonly bookmark?: string;
}

export interface ManagedDatabase {
  readonly name: DatabaseName;
  readonly environment: EnvironmentName;
  rows(sql: string): Promise<readonly Row[]>;
  sizeBytes(): Promise<number | undefined>;
  /** All statements or none. */
  apply(sql: string): Promise<void>;
  /** Applies what is pending. @returns names. */
  migrate(): Promise<readonly string[]>;
  /** Kept under `directory`, read back before it counts. */
  snapshot(directory: string, tag: string): Promise<Snapshot>;
  /** A copy to try things on, in a file that the caller removes. */
  copyTo(path: string): Promise<void>;
  close(): void;
}

const RECORD_TABLE = `CREATE TABLE IF NOT EXISTS "d1_migrations"(
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  name       TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

const FIRST_MIGRATION: Readonly<Record<DatabaseName, string>> = {
  itrans: "0001_ledger.up.sql",
  medlink: "0001_hub.up.sql",
};

export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

export const recordSql = (name: string): string => `INSERT INTO "d1_migrations" (name) VALUES (${quoted(name)});`;
export const unrecordSql = (name: string): string => `DELETE FROM "d1_migrations" WHERE name = ${quoted(name)};`;

/** Names of applied migrations, oldest first. */
export async function appliedMigrations(
  database: Pick<ManagedDatabase, "rows">,
): Promise<readonly { readonly name: string; readonly at: string }[]> {
  const known = await database.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'd1_migrations'");
  if (known.length === 0) return [];
  const rows = await database.rows('SELECT name, applied_at FROM "d1_migrations" ORDER BY id');
  return rows.map(({ name, applied_at }) => ({ name: String(name), at: String(applied_at) }));
}

/** One transaction of everything. */
export function applyTo(sqlite: DatabaseSync, sql: string): void {
  sqlite.exec("BEGIN IMMEDIATE");
  try {
    sqlite.exec(sql);
    const orphans = sqlite.prepare("PRAGMA foreign_key_check").all();
    if (orphans.length > 0) throw new Failure(`${orphans.length} rows would refer to rows that are not there`);
    sqlite.exec("COMMIT");
  } catch (error) {
    sqlite.exec("ROLLBACK");
    throw error;
  }
}

export async function pendingMigrations(database: Pick<ManagedDatabase, "rows" | "name">) {
  const applied = new Set((await appliedMigrations(database)).map(({ name }) => name));
  const files = readMigrations(migrationsOf(database.name));
  const unknown = [...applied].filter((name) => !files.some((file) => file.name === name));
  return { pending: files.filter(({ name }) => !applied.has(name)), unknown };
}

/** Miniflare names a database's file by a hash; which is which its migrations tell. */
function localFile(dataDir: string, name: DatabaseName): string | undefined {
  const directory = join(dataDir, "d1", "miniflare-D1DatabaseObject");
  if (!existsSync(directory)) return undefined;
  for (const file of readdirSync(directory)) {
    if (!file.endsWith(".sqlite") || file === "metadata.sqlite") continue;
    const path = join(directory, file);
    const sqlite = new DatabaseSync(path, { readOnly: true, timeout: BUSY_MS });
    try {
      const known = sqlite.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'd1_migrations'").all();
      if (known.length === 0) continue;
      if (sqlite.prepare("SELECT 1 FROM d1_migrations WHERE name = ?").all(FIRST_MIGRATION[name]).length > 0)
        return path;
    } finally {
      sqlite.close();
    }
  }
  return undefined;
}

const sha256Of = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

function localDatabase(name: DatabaseName, dataDir: string): ManagedDatabase {
  const path = localFile(dataDir, name);
  if (path === undefined) {
    throw new Failure(`there is no ${name} under ${dataDir}; npm start makes it, with every migration`);
  }
  return fileDatabase(name, path, () => {
    if (isInUse(dataDir)) throw new Failure(`${dataDir} is in use; stop what runs on it first`);
  });
}

/** @param beforeWrite throws when nothing may be written now. */
export function fileDatabase(name: DatabaseName, path: string, beforeWrite: () => void = () => {}): ManagedDatabase {
  const sqlite = new DatabaseSync(path, { timeout: BUSY_MS });
  const copy = (to: string) => {
    rmSync(to, { force: true });
    sqlite.exec(`VACUUM INTO ${quoted(to)}`);
  };
  const database: ManagedDatabase = {
    name,
    environment: "local",
    rows: async (sql) => sqlite.prepare(sql).all(),
    async sizeBytes() {
      const row = sqlite
        .prepare("SELECT page_count * page_size AS n FROM pragma_page_count(), pragma_page_size()")
        .get();
      return Number(row?.n);
    },
    async apply(sql) {
      beforeWrite();
      applyTo(sqlite, sql);
    },
    async migrate() {
      beforeWrite();
      sqlite.exec(RECORD_TABLE);
      const { pending } = await pendingMigrations(database);
      for (const { name: migration, up } of pending) {
        try {
          applyTo(sqlite, `${up}\n${recordSql(migration)}`);
        } catch (error) {
          throw new Failure(`${migration} failed and was taken back: ${messageOf(error)}`);
        }
      }
      return pending.map((migration) => migration.name);
    },
    async snapshot(directory, tag) {
      mkdirSync(directory, { recursive: true });
      const file = join(directory, `${name}-${tag}.sqlite`);
      if (existsSync(file)) throw new Failure(`${file} exists already`);
      copy(`${file}.part`);
      const check = new DatabaseSync(`${file}.part`, { readOnly: true, timeout: BUSY_MS });
      const verdict = check.prepare("PRAGMA integrity_check").get()?.integrity_check;
      check.close();
      if (verdict !== "ok") throw new Failure(`the snapshot does not read back: ${String(verdict)}`);
      renameSync(`${file}.part`, file);
      return { lines: [file, `sha256 ${sha256Of(file)}`] };
    },
    async copyTo(to) {
      copy(to);
    },
    close: () => sqlite.close(),
  };
  return database;
}

/** Of the database in this environment's section of the configuration. */
export function remoteNameOf(name: DatabaseName, environment: RemoteEnvironment): string {
  const config = CONFIGS[name === "itrans" ? "itrans-core" : "medlink-hub"];
  const found = readConfig({ config: join(projectRoot, config), env: environment }).d1_databases[0]?.database_name;
  if (found === undefined) throw new Failure(`${config} has no database for ${environment}`);
  return found;
}

export function remoteDatabase(
  name: DatabaseName,
  environment: RemoteEnvironment,
  platform: Platform,
  remoteName: string = remoteNameOf(name, environment),
): ManagedDatabase {
  const at: RemoteDatabase = {
    worker: name === "itrans" ? "itrans-core" : "medlink-hub",
    environment,
    name: remoteName,
  };
  const withFile = async (sql: string, run: (path: string) => Promise<void>) => {
    const path = join(tmpdir(), `db-${process.pid}-${name}.sql`);
    writeFileSync(path, sql, { mode: 0o600 });
    try {
      await run(path);
    } finally {
      rmSync(path, { force: true });
    }
  };
  const database: ManagedDatabase = {
    name,
    environment,
    rows: async (sql) => (await d1Query(platform, at, sql)).rows,
    sizeBytes: async () => (await d1Query(platform, at, "SELECT 1")).sizeBytes,
    apply: (sql) => withFile(sql, (path) => d1File(platform, at, path)),
    async migrate() {
      const { pending } = await pendingMigrations(database);
      if (pending.length > 0) await d1Migrate(platform, at);
      return pending.map((migration) => migration.name);
    },
    async snapshot(directory, tag) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const bookmark = await d1Bookmark(platform, at);
      const file = join(directory, `${at.name}-${tag}.sql`);
      await d1Export(platform, at, file);
      if (!existsSync(file)) throw new Failure("the export wrote no file");
      const sha256 = sha256Of(file);
      const restore = `wrangler d1 time-travel restore ${at.name} --bookmark ${bookmark} --env ${environment}`;
      writeFileSync(`${file}.json`, JSON.stringify({ database: at.name, environment, bookmark, sha256 }, null, 2));
      return { lines: [file, `sha256 ${sha256}`, `${restore} takes it back whole, for 30 days`], bookmark };
    },
    async copyTo(to) {
      const file = `${to}.sql`;
      await d1Export(platform, at, file);
      rmSync(to, { force: true });
      const copy = new DatabaseSync(to, { timeout: BUSY_MS });
      try {
        copy.exec(readFileSync(file, "utf8"));
      } finally {
        copy.close();
        rmSync(file, { force: true });
      }
    },
    close() {},
  };
  return database;
}

export const openDatabase = (
  name: DatabaseName,
  environment: EnvironmentName,
  options: { readonly dataDir: string; readonly platform: Platform },
): ManagedDatabase =>
  environment === "local" ? localDatabase(name, options.dataDir) : remoteDatabase(name, environment, options.platform);
