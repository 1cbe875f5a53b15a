/** Where a restore goes: a new database file, or a new data directory of `npm start`. Neither has its name before it is whole. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Log, LogLevel, Miniflare } from "miniflare";
import { type Catalogue, CORE_TABLES, HUB_TABLES } from "../../../src/backup/catalogue.ts";
import type { Manifest } from "../../../src/backup/manifest.ts";
import { projectRoot } from "../bundle.ts";
import { d1On } from "../d1-sqlite.ts";
import { Failure } from "../fail.ts";
import { applyMigrations, migrationNames } from "../migrate.ts";
import { workerSite } from "../stack.ts";
import type { LogFiles } from "./publish.ts";

export interface Target {
  readonly db: D1Database;
  readonly sqlite: DatabaseSync;
  readonly catalogue: Catalogue;
  readonly objects: LogFiles;
  /** The bucket is new as well: the log's files are made again. */
  readonly publishes: boolean;
  /** Gives it its name. */
  finish(): Promise<void>;
  /** Takes away what is half done. */
  discard(): void;
}

const MIGRATIONS = { "itrans-core": "migrations/core", "medlink-hub": "migrations/medlink" } as const;
const CATALOGUES = { "itrans-core": CORE_TABLES, "medlink-hub": HUB_TABLES } as const;

const RECORD_TABLE = `CREATE TABLE IF NOT EXISTS "d1_migrations"(
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  name       TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

function migrate(sqlite: DatabaseSync, directory: string, names: readonly string[]): void {
  for (const name of names) {
    sqlite.exec(readFileSync(join(directory, name), "utf8"));
    sqlite.prepare('INSERT INTO "d1_migrations" (name) VALUES (?)').run(name);
  }
}

/** The migrations of the snapshot, and those that came after it. */
function migrationsOf(manifest: Manifest): {
  readonly directory: string;
  readonly before: readonly string[];
  readonly after: readonly string[];
} {
  const directory = join(projectRoot, MIGRATIONS[manifest.of]);
  const names = migrationNames(directory);
  const unknown = manifest.schema.filter((name) => !names.includes(name));
  if (unknown.length > 0)
    throw new Failure(`the snapshot is of a newer version: ${unknown.join(", ")} are not known here`);
  // Where they are not recorded, the schema is this version's.
  const before = manifest.schema.length === 0 ? names : names.filter((name) => manifest.schema.includes(name));
  return { directory, before, after: names.filter((name) => !before.includes(name)) };
}

function catalogueIn(sqlite: DatabaseSync, manifest: Manifest): Catalogue {
  const there = new Set(
    sqlite
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
      .all()
      .map(({ name }) => String(name)),
  );
  return Object.fromEntries(Object.entries(CATALOGUES[manifest.of]).filter(([name]) => there.has(name)));
}

/** Nothing of worth is lost with a file that is not finished: speed before durability, until it is whole. */
const FAST = "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000";

/** @throws Failure when something is at `path`. */
export function fileTarget(path: string, manifest: Manifest): Target {
  if (existsSync(path)) throw new Failure(`${path} is there: a restore goes into a new database`);
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.partial`;
  rmSync(partial, { force: true });
  const { directory, before, after } = migrationsOf(manifest);
  const sqlite = new DatabaseSync(partial);
  sqlite.exec(FAST);
  sqlite.exec(RECORD_TABLE);
  migrate(sqlite, directory, before);
  const objects = `${path}.objects`;
  return {
    db: d1On(sqlite),
    sqlite,
    catalogue: catalogueIn(sqlite, manifest),
    objects: objectsUnder(objects),
    publishes: false,
    async finish() {
      migrate(sqlite, directory, after);
      settle(sqlite, partial);
      renameSync(partial, path);
    },
    discard() {
      if (sqlite.isOpen) sqlite.close();
      rmSync(partial, { force: true });
      rmSync(objects, { recursive: true, force: true });
    },
  };
}

/** Closes it, whole and in one file. The connection that filled it may still hold statements, which a checkpoint does not get past. */
function settle(sqlite: DatabaseSync, path: string): void {
  const faults = sqlite.prepare("PRAGMA foreign_key_check").all();
  if (faults.length > 0) throw new Failure(`${faults.length} rows refer to rows that are not there`);
  sqlite.exec("PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL");
  sqlite.close();
  const settled = new DatabaseSync(path);
  settled.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  settled.close();
}

/** Objects of the bucket: a file each, under the object's name. */
const objectsUnder = (directory: string): LogFiles => ({
  async get(key) {
    const place = join(directory, key);
    return existsSync(place) ? new Uint8Array(readFileSync(place)) : undefined;
  },
  async put(key, value) {
    const place = join(directory, key);
    if (!place.startsWith(`${directory}/`)) throw new Failure(`${key} is no name of an object`);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, value);
  },
});

const filesUnder = (directory: string, prefix = ""): readonly string[] =>
  existsSync(join(directory, prefix))
    ? readdirSync(join(directory, prefix), { withFileTypes: true }).flatMap((entry) => {
        const name = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
        return entry.isDirectory() ? filesUnder(directory, name) : [name];
      })
    : [];

/** Of what `startSystem` makes. */
const DATA_VERSION = "1";

/** @throws Failure when the directory is there and not empty. */
export async function dataTarget(directory: string, manifest: Manifest): Promise<Target> {
  if (existsSync(directory) && readdirSync(directory).length > 0) {
    throw new Failure(`${directory} is not empty: a restore goes into a new one`);
  }
  const partial = `${directory}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  const { directory: migrations, after } = migrationsOf(manifest);
  if (after.length > 0) throw new Failure("restore into a file first: the snapshot is of an older schema");
  const site = workerSite(manifest.of);
  const start = () =>
    new Miniflare({
      modules: [{ type: "ESModule", path: "restore.js", contents: "export default {}" }],
      compatibilityDate: site.options.compatibilityDate,
      d1Databases: site.options.d1Databases,
      r2Buckets: site.options.r2Buckets,
      d1Persist: join(partial, "d1"),
      r2Persist: join(partial, "r2"),
      log: new Log(LogLevel.NONE),
      cf: false,
    });
  const made = start();
  try {
    await applyMigrations(await made.getD1Database("DB"), migrations);
  } finally {
    await made.dispose();
  }
  const place = join(partial, "d1", "miniflare-D1DatabaseObject");
  const [file, ...others] = readdirSync(place).filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
  if (file === undefined || others.length > 0) throw new Failure("the file of the new database is not to be told");
  const sqlite = new DatabaseSync(join(place, file));
  sqlite.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000");
  const objects = join(partial, "objects");
  return {
    db: d1On(sqlite),
    sqlite,
    catalogue: catalogueIn(sqlite, manifest),
    objects: objectsUnder(objects),
    publishes: true,
    async finish() {
      settle(sqlite, join(place, file));
      const filled = start();
      try {
        const bucket = await filled.getR2Bucket(manifest.of === "itrans-core" ? "LEDGER" : "ATTACHMENTS");
        for (const key of filesUnder(objects)) await bucket.put(key, new Uint8Array(readFileSync(join(objects, key))));
      } finally {
        await filled.dispose();
      }
      rmSync(objects, { recursive: true, force: true });
      writeFileSync(join(partial, "version"), `${DATA_VERSION}\n`);
      rmSync(directory, { recursive: true, force: true });
      renameSync(partial, directory);
    },
    discard() {
      if (sqlite.isOpen) sqlite.close();
      rmSync(partial, { recursive: true, force: true });
    },
  };
}
