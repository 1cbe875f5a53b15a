/** `npm run db:*`: migrations and the state of the two databases. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import * as coreSchema from "../src/core/schema.ts";
import * as hubSchema from "../src/medlink/schema.ts";
import { projectRoot } from "./lib/bundle.ts";
import {
  appliedMigrations,
  applyTo,
  type ManagedDatabase,
  openDatabase,
  pendingMigrations,
  remoteNameOf,
  unrecordSql,
} from "./lib/databases.ts";
import { fillHub, fillWithRequests } from "./lib/db-fill.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { HOT_QUERIES } from "./lib/hot-queries.ts";
import {
  countSql,
  DATABASES,
  type DatabaseName,
  lossesOf,
  type Migration,
  migrationsOf,
  readMigrations,
  rollbackFaults,
} from "./lib/migration-files.ts";
import { cloudflare, d1Insights, ENVIRONMENTS, type EnvironmentName } from "./lib/platform.ts";
import { D1_FULL, D1_LIMIT_BYTES } from "./lib/scale/model.ts";
import { drizzleFaults, extentOf, OWN_OBJECTS, OWN_TABLES, objectsOf } from "./lib/schema-shape.ts";

const USAGE = `npm run db:status        which migrations are applied and which are pending
npm run db:check         schema = migrations = drizzle schema; exit 1 when they differ
npm run db:dry-run       applies what is pending to a copy grown to a real size: times, and plans of new indexes
npm run db:deploy        snapshot, then applies what is pending; db:push is the same
npm run db:rollback      snapshot, then takes the newest migration back by its down file
npm run db:backup        a snapshot of both databases
npm run db:test          whether they answer, and how fast
npm run db:health        integrity, sizes, pending migrations
npm run db:slow-queries  local: plans and times of the hot statements; else what was slowest of the last day

  --env local|staging|production    default local: the data of npm start
  --database itrans|medlink         default both; db:rollback needs one
  --data DIR                        of a local run (.data)
  --out DIR                         where snapshots go (BACKUP_DIR, or .local/snapshots)
  --rows N                          db:dry-run: requests or claims that the copy is grown by (20000); 0: it stays as it is
  --drop-rows                       db:rollback outside development: rows that are not the ledger's may go

A snapshot of staging or production is a Time Travel bookmark and an export. While it is exported a database answers nobody: switch
maintenance on, or choose the hour.`;

const OPTIONS = {
  help: { type: "boolean" },
  env: { type: "string" },
  database: { type: "string" },
  data: { type: "string" },
  out: { type: "string" },
  rows: { type: "string" },
  "drop-rows": { type: "boolean" },
  limit: { type: "string" },
} as const;

type Values = ReturnType<typeof parse>["values"];

const parse = (args: readonly string[]) => parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });

function environmentOf(values: Values): EnvironmentName {
  const found = ENVIRONMENTS.find((name) => name === (values.env ?? "local"));
  if (found === undefined) throw new Failure(`--env is one of ${ENVIRONMENTS.join(", ")}`);
  return found;
}

function databasesOf(values: Values): readonly DatabaseName[] {
  if (values.database === undefined) return DATABASES;
  const found = DATABASES.find((name) => name === values.database);
  if (found === undefined) throw new Failure(`--database is one of ${DATABASES.join(", ")}`);
  return [found];
}

function wholeNumber(name: "rows" | "limit", values: Values, fallback: number): number {
  const given = values[name];
  if (given === undefined) return fallback;
  if (!/^\d{1,8}$/.test(given)) throw new Failure(`--${name} is not a whole number`);
  return Number(given);
}

const snapshotsDir = (values: Values): string =>
  resolve(projectRoot, values.out ?? process.env.BACKUP_DIR ?? ".local/snapshots");

const tagOf = (what: string): string => `${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}-${what}`;

const say = (line: string): void => console.log(line);

async function status(database: ManagedDatabase): Promise<void> {
  const applied = await appliedMigrations(database);
  const { pending, unknown } = await pendingMigrations(database);
  say(`${database.name} (${database.environment}): ${applied.length} applied, ${pending.length} pending`);
  for (const { name, at } of applied) say(`  applied  ${at}  ${name}`);
  for (const { name } of pending) say(`  pending                       ${name}`);
  for (const name of unknown) say(`  unknown                       ${name}: a newer version applied it`);
}

/** What the applied migrations make, in memory. */
function madeBy(database: DatabaseName, names: readonly string[]): DatabaseSync {
  const sqlite = new DatabaseSync(":memory:");
  const files = new Map(readMigrations(migrationsOf(database)).map((file) => [file.name, file]));
  for (const name of names) sqlite.exec(files.get(name)?.up ?? "");
  return sqlite;
}

/** @returns what differs, a line each. */
export async function databaseFaults(database: ManagedDatabase): Promise<readonly string[]> {
  const { pending, unknown } = await pendingMigrations(database);
  const faults = [
    ...pending.map(({ name }) => `${name} is not applied`),
    ...unknown.map((name) => `${name} is applied and not in this copy of the project`),
  ];
  const applied = (await appliedMigrations(database)).map(({ name }) => name);
  const expected = madeBy(database.name, [...applied].sort());
  const wanted = objectsOf(expected.prepare(OWN_OBJECTS).all());
  const found = objectsOf(await database.rows(OWN_OBJECTS));
  for (const [object, sql] of wanted) {
    if (!found.has(object)) faults.push(`${object} is missing`);
    else if (found.get(object) !== sql && !object.startsWith("table "))
      faults.push(`${object} is not what the migrations make`);
    else if (found.get(object) !== sql) faults.push(...(await columnFaults(database, expected, object.slice(6))));
  }
  for (const object of found.keys())
    if (!wanted.has(object)) faults.push(`${object} is there and no migration made it`);
  const all = madeBy(
    database.name,
    readMigrations(migrationsOf(database.name)).map(({ name }) => name),
  );
  faults.push(
    ...drizzleFaults(
      database.name === "itrans" ? coreSchema : hubSchema,
      (sql) => all.prepare(sql).all(),
      extentOf(database.name),
    ),
  );
  return faults;
}

/** The text of a table that was altered depends on the order of the alterations; what counts are its columns. */
async function columnFaults(
  database: ManagedDatabase,
  expected: DatabaseSync,
  table: string,
): Promise<readonly string[]> {
  const sql = `SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info('${table}') ORDER BY name`;
  const [wanted, found] = [expected.prepare(sql).all(), await database.rows(sql)];
  const text = (rows: readonly object[]) => rows.map((row) => JSON.stringify(Object.values(row))).join();
  return text(wanted) === text(found) ? [] : [`the columns of ${table} are not what the migrations make`];
}

/**
 * Applies what is pending to a copy that is as large as asked for, whatever is pending: the copy is brought to the newest schema, which
 * today's code can fill, taken back to where the database is, and then the migrations are timed.
 * @param rows 0: the copy stays as small as it is, which is said. @returns whether all of it went well.
 */
export async function dryRun(database: ManagedDatabase, rows: number, say: (line: string) => void): Promise<boolean> {
  const { pending } = await pendingMigrations(database);
  say(`${database.name} (${database.environment}): ${pending.length} pending`);
  if (pending.length === 0) return true;
  const directory = mkdtempSync(join(tmpdir(), "db-dry-run-"));
  try {
    const path = join(directory, "copy.sqlite");
    await database.copyTo(path);
    const copy = new DatabaseSync(path);
    // Settling the disk is not what is measured; a copy that is lost is made again.
    copy.exec("PRAGMA synchronous = OFF");
    try {
      if (rows === 0) say("  not grown, as --rows 0 says: the times are those of the rows that there are");
      else if (!(await grow(database.name, copy, pending, rows, say))) return false;
      return applyTimed(copy, pending, say);
    } finally {
      copy.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function applyTimed(copy: DatabaseSync, pending: readonly Migration[], say: (line: string) => void): boolean {
  const count = copy.prepare("SELECT page_count * page_size AS n FROM pragma_page_count(), pragma_page_size()").get();
  say(`  the copy has ${(Number(count?.n) / 1e6).toFixed(1)} MB`);
  let passed = true;
  for (const { name, up, down } of pending) {
    const before = new Set(
      copy
        .prepare(OWN_OBJECTS)
        .all()
        .map(({ type, name: object }) => `${type} ${object}`),
    );
    const began = performance.now();
    try {
      applyTo(copy, up);
    } catch (error) {
      say(`  FAIL  ${name}: ${messageOf(error)}`);
      return false;
    }
    say(
      `  ok    ${name} took ${(performance.now() - began).toFixed(0)} ms${down === undefined ? ", and has no down file" : ""}`,
    );
    if (down === undefined) passed = false;
    for (const row of copy.prepare(OWN_OBJECTS).all()) {
      if (row.type === "index" && !before.has(`index ${row.name}`)) say(`        ${planOf(copy, String(row.name))}`);
    }
  }
  return passed;
}

/** @returns whether the copy is at the level where it was, with the rows asked for. */
async function grow(
  database: DatabaseName,
  copy: DatabaseSync,
  pending: readonly Migration[],
  rows: number,
  say: (line: string) => void,
): Promise<boolean> {
  const began = performance.now();
  const fails = (what: string, error: unknown): false => {
    say(`  FAIL  not grown: ${what}: ${messageOf(error)}; --rows 0 leaves the copy as it is`);
    return false;
  };
  for (const { name, up } of pending) {
    try {
      applyTo(copy, up);
    } catch (error) {
      return fails(name, error);
    }
  }
  try {
    if (database === "itrans") {
      const head = copy.prepare("SELECT ledger_id FROM ledger_heads LIMIT 1").get();
      await fillWithRequests(copy, String(head?.ledger_id ?? "main"), rows);
    } else fillHub(copy, rows);
  } catch (error) {
    return fails("the newest schema could not be filled", error);
  }
  for (const { name, down } of pending.toReversed()) {
    try {
      if (down === undefined) throw new Error("it has no down file");
      applyTo(copy, down);
    } catch (error) {
      return fails(`${name} taken back`, error);
    }
  }
  const tables = copy.prepare(OWN_TABLES).all();
  const held = tables
    .map(({ name }) => Number(copy.prepare(`SELECT COUNT(*) AS n FROM "${String(name)}"`).get()?.n))
    .reduce((sum, n) => sum + n, 0);
  const what = database === "itrans" ? "requests" : "claims";
  say(`  grown by ${rows} ${what} to ${held} rows in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return true;
}

/** How SQLite looks a row up by the index's columns. */
function planOf(copy: DatabaseSync, index: string): string {
  const table = String(copy.prepare("SELECT tbl_name FROM sqlite_schema WHERE name = ?").get(index)?.tbl_name);
  const sql = String(copy.prepare("SELECT sql FROM sqlite_schema WHERE name = ?").get(index)?.sql ?? "");
  const columns = copy
    .prepare("SELECT name FROM pragma_index_info(?) ORDER BY seqno")
    .all(index)
    .flatMap(({ name }) => (name === null ? [] : [`"${name}" = 'x'`]));
  const partial = /\sWHERE\s([\s\S]+)$/i.exec(sql)?.[1];
  const where = [...columns, ...(partial === undefined ? [] : [`(${partial})`])].join(" AND ");
  const plan = copy.prepare(`EXPLAIN QUERY PLAN SELECT * FROM "${table}" WHERE ${where === "" ? "1" : where}`).all();
  return `${index}: ${plan.map(({ detail }) => detail).join("; ")}`;
}

async function deploy(database: ManagedDatabase, directory: string): Promise<void> {
  const { pending, unknown } = await pendingMigrations(database);
  if (unknown.length > 0) throw new Failure(`${database.name} was migrated by a newer version: ${unknown.join(", ")}`);
  if (pending.length === 0) return say(`${database.name} (${database.environment}): nothing is pending`);
  for (const line of (await database.snapshot(directory, tagOf("before-deploy"))).lines) say(`  snapshot  ${line}`);
  for (const name of await database.migrate()) say(`  applied   ${name}`);
  const faults = await databaseFaults(database);
  if (faults.length > 0) throw new Failure(`applied, but db:check finds:\n  ${faults.join("\n  ")}`);
}

async function rollback(database: ManagedDatabase, directory: string, dropRows: boolean): Promise<void> {
  const last = (await appliedMigrations(database)).at(-1);
  if (last === undefined) throw new Failure(`${database.name}: no migration is applied`);
  const file = readMigrations(migrationsOf(database.name)).find(({ name }) => name === last.name);
  if (file?.down === undefined) throw new Failure(`${last.name} has no down file here`);
  const losses = await Promise.all(
    lossesOf(file.down).map(async (loss) => ({ ...loss, rows: Number((await database.rows(countSql(loss)))[0]?.n) })),
  );
  const faults = rollbackFaults(database.name, database.environment, losses, dropRows);
  if (faults.length > 0) throw new Failure(`${last.name} stays:\n  ${faults.join("\n  ")}`);
  for (const line of (await database.snapshot(directory, tagOf("before-rollback"))).lines) say(`  snapshot  ${line}`);
  await database.apply(`${file.down}\n${unrecordSql(last.name)}`);
  say(`  rolled back ${last.name}`);
}

async function test(database: ManagedDatabase): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const began = performance.now();
    await database.rows("SELECT 1 AS one");
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  say(`${database.name} (${database.environment}) answers: median ${times[2]?.toFixed(1)} ms of 5`);
}

async function health(database: ManagedDatabase): Promise<boolean> {
  const size = await database.sizeBytes();
  const verdict = Object.values((await database.rows("PRAGMA quick_check"))[0] ?? {})[0];
  const orphans = await database.rows("PRAGMA foreign_key_check");
  const { pending, unknown } = await pendingMigrations(database);
  say(`${database.name} (${database.environment})`);
  say(`  integrity   ${String(verdict)}, ${orphans.length} rows refer to nothing`);
  if (size !== undefined)
    say(
      `  size        ${(size / 1e6).toFixed(1)} MB, ${((100 * size) / D1_LIMIT_BYTES).toFixed(2)} % of what D1 takes`,
    );
  say(`  migrations  ${pending.length} pending, ${unknown.length} unknown`);
  const tables = (await database.rows(OWN_TABLES)).map(({ name }) => String(name));
  const counted = await database.rows(
    tables.map((table) => `SELECT '${table}' AS name, COUNT(*) AS n FROM "${table}"`).join(" UNION ALL "),
  );
  for (const { name, n } of counted) if (Number(n) > 0) say(`  ${String(n).padStart(10)}  ${String(name)}`);
  const tooLarge = size !== undefined && size > D1_FULL * D1_LIMIT_BYTES;
  return verdict === "ok" && orphans.length === 0 && pending.length + unknown.length === 0 && !tooLarge;
}

async function slowQueries(database: ManagedDatabase, limit: number): Promise<void> {
  const { name, environment } = database;
  say(`${name} (${environment})`);
  if (environment !== "local") {
    const worker = name === "itrans" ? ("itrans-core" as const) : ("medlink-hub" as const);
    const rows = await d1Insights(cloudflare, { worker, environment, name: remoteNameOf(name, environment) }, limit);
    for (const row of rows) say(`  ${JSON.stringify(row)}`);
    return;
  }
  const timed: { readonly what: string; readonly ms: number; readonly plan: string }[] = [];
  for (const { what, sql } of HOT_QUERIES[name]) {
    const plan = (await database.rows(`EXPLAIN QUERY PLAN ${sql}`)).map(({ detail }) => String(detail)).join("; ");
    const began = performance.now();
    await database.rows(sql);
    timed.push({ what, ms: performance.now() - began, plan });
  }
  timed.sort((a, b) => b.ms - a.ms);
  for (const { what, ms, plan } of timed.slice(0, limit)) {
    say(
      `  ${ms.toFixed(2).padStart(8)} ms  ${/\bSCAN (?!json_each|CONSTANT)/.test(plan) ? "SCAN " : "     "} ${what}\n               ${plan}`,
    );
  }
}

async function main(): Promise<number> {
  const [command, ...rest] = process.argv.slice(2);
  const { values } = parse(rest);
  if (values.help === true || command === undefined || command === "help") {
    console.log(USAGE);
    return command === undefined ? 1 : 0;
  }
  const environment = environmentOf(values);
  const names = databasesOf(values);
  if (command === "rollback" && values.database === undefined)
    throw new Failure("name one with --database: itrans or medlink");
  const dataDir = resolve(projectRoot, values.data ?? ".data");
  let code = 0;
  for (const name of names) {
    const database = openDatabase(name, environment, { dataDir, platform: cloudflare });
    try {
      switch (command) {
        case "status":
          await status(database);
          break;
        case "check": {
          const faults = await databaseFaults(database);
          say(
            `${name} (${environment}): ${faults.length === 0 ? "schema, migrations and drizzle schema agree" : "differs"}`,
          );
          for (const fault of faults) say(`  ${fault}`);
          if (faults.length > 0) code = 1;
          break;
        }
        case "dry-run":
          if (!(await dryRun(database, wholeNumber("rows", values, 20_000), say))) code = 1;
          break;
        case "deploy":
          await deploy(database, snapshotsDir(values));
          break;
        case "rollback":
          await rollback(database, snapshotsDir(values), values["drop-rows"] === true);
          break;
        case "backup":
          for (const line of (await database.snapshot(snapshotsDir(values), tagOf("backup"))).lines) say(`  ${line}`);
          break;
        case "test":
          await test(database);
          break;
        case "health":
          if (!(await health(database))) code = 1;
          break;
        case "slow-queries":
          await slowQueries(database, wholeNumber("limit", values, 10));
          break;
        default:
          throw new Failure(USAGE);
      }
    } finally {
      database.close();
    }
  }
  return code;
}

if (process.argv[1] === import.meta.filename) {
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      console.error(error instanceof Failure ? error.message : error);
      process.exit(1);
    },
  );
}
