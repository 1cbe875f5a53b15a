/**
 * SIGKILL while migrations are applied, and while what is stored is wrapped and sealed anew under new keys. What was cut off goes on or
 * begins again; nothing half done is taken for whole: a migration is there with its record or not at all, and a value opens under the
 * key that it names.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { projectRoot } from "../../../scripts/lib/bundle.ts";
import { d1On } from "../../../scripts/lib/d1-sqlite.ts";
import { applyTo, recordSql, unrecordSql } from "../../../scripts/lib/databases.ts";
import { fillWithRequests } from "../../../scripts/lib/db-fill.ts";
import { callAgain, summaryOf } from "../../../scripts/lib/http.ts";
import { migrationsOf, readMigrations } from "../../../scripts/lib/migration-files.ts";
import { OWN_OBJECTS, objectsOf } from "../../../scripts/lib/schema-shape.ts";
import { type Stack, startStack } from "../../../scripts/lib/stack.ts";
import { makeFields } from "../../../src/medlink/fields.ts";
import { makeKeyring } from "../../../src/platform/keyring.ts";
import { loadHead, writeCommit } from "../../../src/workflow/commit.store.ts";
import { planCommit } from "../../../src/workflow/commit-plan.ts";
import { keyPlace, makeVault } from "../../../src/workflow/vault.ts";
import { submitCommand } from "../../support/commands.ts";
import { type Random, seededRandom } from "./random.ts";
import { ANY_PORT, bundledOnce, secrets } from "./stack.ts";

export interface WorkKillOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly dataDir: string;
  readonly say?: (text: string) => void;
}

export interface WorkKillReport {
  readonly faults: readonly string[];
  /** What the kill met, and how often. */
  readonly met: Readonly<Record<string, number>>;
}

const databases = (dataDir: string): string => join(dataDir, "d1", "miniflare-D1DatabaseObject");
const bytes = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(randomBytes(length));

const counted = (met: Record<string, number>, key: string): void => {
  met[key] = (met[key] ?? 0) + 1;
};

// --- migrations

const REQUESTS = 12_000;
/** Later migrations are taken back and applied again, over all these rows. */
const KEPT_MIGRATIONS = 5;
const RECORDS = `CREATE TABLE "d1_migrations"(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)`;

async function oldDatabase(path: string): Promise<void> {
  const sqlite = new DatabaseSync(path);
  sqlite.exec(RECORDS);
  const files = readMigrations(migrationsOf("itrans"));
  for (const { name, up } of files) applyTo(sqlite, `${up}\n${recordSql(name)}`);
  await fillWithRequests(sqlite, "main", REQUESTS);
  for (const { name, down } of files.slice(KEPT_MIGRATIONS).toReversed()) {
    applyTo(sqlite, `${down ?? ""}\n${unrecordSql(name)}`);
  }
  sqlite.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  sqlite.close();
}

/** How often it is looked whether it is time to kill. */
const LOOK_EVERY_MS = 1;

/** @param isTime asked again and again; kills once it says so. @returns the exit code; null when it was killed. */
function deployOnce(dataDir: string, out: string, isTime?: () => boolean): Promise<number | null> {
  const command = ["scripts/db.ts", "deploy", "--database", "itrans", "--data", dataDir, "--out", out];
  return new Promise((resolve, reject) => {
    const child = spawn(join(projectRoot, "node_modules/.bin/node"), command, {
      cwd: projectRoot,
      stdio: "ignore",
      env: { PATH: process.env.PATH },
    });
    const timer = isTime && setInterval(() => isTime() && child.kill("SIGKILL"), LOOK_EVERY_MS);
    child.once("error", reject);
    child.once("exit", (code) => {
      clearInterval(timer);
      resolve(code);
    });
  });
}

/** How many migrations are recorded; undefined while the file is not to be read. */
function appliedIn(path: string): number | undefined {
  try {
    const sqlite = new DatabaseSync(path, { readOnly: true });
    try {
      return Number(sqlite.prepare('SELECT COUNT(*) AS n FROM "d1_migrations"').get()?.n);
    } finally {
      sqlite.close();
    }
  } catch {
    return undefined;
  }
}

/** The migrations that are recorded; what is wrong with what is there. */
function lookAt(path: string): { readonly applied: readonly string[]; readonly faults: readonly string[] } {
  const faults: string[] = [];
  const sqlite = new DatabaseSync(path);
  try {
    const verdict = sqlite.prepare("PRAGMA integrity_check").get()?.integrity_check;
    if (verdict !== "ok") faults.push(`the database is damaged: ${String(verdict)}`);
    const applied = sqlite
      .prepare('SELECT name FROM "d1_migrations" ORDER BY id')
      .all()
      .map(({ name }) => String(name));
    const expected = new DatabaseSync(":memory:");
    const files = readMigrations(migrationsOf("itrans"));
    for (const { name, up } of files) if (applied.includes(name)) expected.exec(up);
    const names = (database: DatabaseSync): string =>
      [...objectsOf(database.prepare(OWN_OBJECTS).all()).keys()].sort().join();
    if (names(sqlite) !== names(expected)) faults.push(`the schema is not what its ${applied.length} migrations make`);
    expected.close();
    const rows = Number(sqlite.prepare("SELECT COUNT(*) AS n FROM requests").get()?.n);
    if (rows !== REQUESTS) faults.push(`${rows} of ${REQUESTS} requests are there`);
    return { applied, faults };
  } finally {
    sqlite.close();
  }
}

function wholeSnapshots(out: string): readonly string[] {
  if (!existsSync(out)) return [];
  return readdirSync(out)
    .filter((name) => name.endsWith(".sqlite"))
    .flatMap((name) => {
      const sqlite = new DatabaseSync(join(out, name), { readOnly: true });
      const verdict = sqlite.prepare("PRAGMA integrity_check").get()?.integrity_check;
      sqlite.close();
      return verdict === "ok" ? [] : [`the snapshot ${name} is not whole: ${String(verdict)}`];
    });
}

export async function killMigrations(options: WorkKillOptions): Promise<WorkKillReport> {
  const { rounds, dataDir, say = () => {} } = options;
  const random = seededRandom(options.seed);
  const faults: string[] = [];
  const met: Record<string, number> = {};
  mkdirSync(databases(dataDir), { recursive: true });
  const old = join(dataDir, "old.sqlite");
  await oldDatabase(old);
  const path = join(databases(dataDir), "core.sqlite");
  const out = join(dataDir, "snapshots");
  const renew = (): void => {
    for (const suffix of ["-wal", "-shm", "-journal"]) rmSync(`${path}${suffix}`, { force: true });
    rmSync(out, { recursive: true, force: true });
    copyFileSync(old, path);
  };
  renew();
  const began = performance.now();
  if ((await deployOnce(dataDir, out)) !== 0) return { faults: ["the migrations do not apply"], met };
  const wholeMs = performance.now() - began;
  const all = readMigrations(migrationsOf("itrans")).length;
  for (let round = 0; round < rounds; round++) {
    renew();
    // Every other round as soon as some of them are recorded, the next is then on its way; else while the snapshot before them is made.
    const target = round % 2 === 0 ? random.between(KEPT_MIGRATIONS + 1, all - 1) : undefined;
    const afterMs = Math.round(wholeMs * (0.3 + 0.6 * random.next()));
    const startedAt = performance.now();
    await deployOnce(dataDir, out, () =>
      target === undefined ? performance.now() - startedAt >= afterMs : (appliedIn(path) ?? 0) >= target,
    );
    const { applied, faults: found } = lookAt(path);
    counted(met, applied.length === all ? "late" : applied.length > KEPT_MIGRATIONS ? "between" : "before");
    faults.push(...[...found, ...wholeSnapshots(out)].map((fault) => `round ${round}: ${fault}`));
    // Snapshots are named by the second.
    await sleep(1_000);
    if ((await deployOnce(dataDir, out)) !== 0) faults.push(`round ${round}: it does not go on`);
    const { applied: then, faults: left } = lookAt(path);
    if (then.length !== all) faults.push(`round ${round}: ${then.length} of ${all} migrations are applied in the end`);
    faults.push(...left.map((fault) => `round ${round}, in the end: ${fault}`));
    const when = target === undefined ? `after ${afterMs} ms` : `at migration ${target}`;
    say(`migrations ${round + 1} of ${rounds}: killed ${when}, ${applied.length} of ${all} were applied`);
  }
  return { faults, met };
}

// --- keys

const SUBJECTS = 2_000;
const PATIENTS = 1_000;
const LEDGER = "main";

interface Secrets {
  master: string;
  fields: string;
}

const keyringsOf = async (accepted: readonly Secrets[]) => ({
  payload: await makeKeyring(
    accepted.map(({ master }) => master),
    "payload",
  ),
  field: await makeKeyring(
    accepted.map(({ fields }) => fields),
    "field",
  ),
});

function fileWith(dataDir: string, table: string): string {
  for (const name of readdirSync(databases(dataDir))) {
    if (!name.endsWith(".sqlite") || name === "metadata.sqlite") continue;
    const path = join(databases(dataDir), name);
    const sqlite = new DatabaseSync(path, { readOnly: true });
    const found = sqlite.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").all(table);
    sqlite.close();
    if (found.length > 0) return path;
  }
  throw new Error(`no database has ${table}`);
}

/** Subjects and patients sealed under the first keys, straight into the files. @returns what each pair of keys is, by subject. */
async function fill(dataDir: string, current: Secrets): Promise<ReadonlyMap<string, string>> {
  const { payload, field } = await keyringsOf([current]);
  const vault = makeVault(payload, LEDGER, bytes);
  const pairs = new Map<string, string>();
  const core = new DatabaseSync(fileWith(dataDir, "ledger_heads"));
  core.exec("PRAGMA synchronous = OFF");
  const db = d1On(core);
  let head = await loadHead(db, LEDGER);
  for (let from = 0; from < SUBJECTS; from += 500) {
    const commands = await Promise.all(
      Array.from({ length: 500 }, async (_, i) => {
        const id = `wrapped-${from + i}`;
        const { opened, wrappedKey } = await vault.create(id);
        const pair = await payload.open(wrappedKey, keyPlace(LEDGER, opened.subject));
        pairs.set(opened.subject, Buffer.from(pair).toString("hex"));
        const made = { type: "inline", sealed: await opened.seal("payload", "{}") } as const;
        return submitCommand(id, { requestIdHash: opened.subject, wrappedKey, payload: made });
      }),
    );
    const context = { requests: new Map(), claims: new Map(), settlements: new Map(), destinations: [] };
    const plan = planCommit(head, context, commands, Date.now(), { ledgerId: LEDGER, chainId: 31_337 });
    await writeCommit(db, LEDGER, plan);
    head = plan.head;
  }
  core.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  core.close();

  const fields = makeFields(field, [secrets.HASH_KEY ?? ""], bytes);
  const hub = new DatabaseSync(fileWith(dataDir, "patients"));
  hub.exec("PRAGMA synchronous = OFF; BEGIN");
  hub.exec("INSERT INTO clinics (clinic_id, name, created_at) VALUES ('cln_kill', 'A clinic', 1)");
  const insert = hub.prepare(
    `INSERT INTO patients (patient_id, clinic_id, personal_sealed, name_hash, created_at, updated_at)
     VALUES (?, 'cln_kill', ?, 'h', 1, 1)`,
  );
  for (let n = 0; n < PATIENTS; n++) {
    const id = `pat_${String(n).padStart(8, "0")}`;
    insert.run(id, await fields.seal(personOf(id), `patients/${id}`));
  }
  hub.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
  hub.close();
  return pairs;
}

const personOf = (id: string) => ({
  firstName: "A",
  lastName: id,
  birthDate: "1980-01-01",
  healthNumber: "",
  notes: "",
});

const progressSchema = z.looseObject({ state: z.string() });
const rewrapsSchema = z.looseObject({
  rewraps: z.array(z.looseObject({ finished: z.boolean(), unreadable: z.number() })),
});

interface Looked {
  readonly faults: readonly string[];
  /** Rows under the key of now. */
  readonly wrapped: number;
  readonly sealed: number;
}

async function lookAtKeys(
  stack: Stack,
  accepted: readonly Secrets[],
  pairs: ReadonlyMap<string, string>,
): Promise<Looked> {
  const faults: string[] = [];
  const { payload, field } = await keyringsOf(accepted);
  const core = await stack.database("itrans-core");
  const keys = await core
    .prepare("SELECT subject, master_key_id AS keyId, wrapped AS sealed FROM payload_keys")
    .all<{ subject: string; keyId: string; sealed: string }>();
  let wrapped = 0;
  for (const { subject, keyId, sealed } of keys.results) {
    if (keyId === payload.currentKeyId) wrapped += 1;
    const pair = await payload.open({ keyId, sealed }, keyPlace(LEDGER, subject)).catch(() => undefined);
    if (pair === undefined) faults.push(`the key of ${subject} does not open`);
    else if (Buffer.from(pair).toString("hex") !== pairs.get(subject)) faults.push(`the key of ${subject} is another`);
  }
  if (keys.results.length !== pairs.size) faults.push(`${keys.results.length} of ${pairs.size} keys are there`);
  const hub = await stack.database("medlink-hub");
  const patients = await hub
    .prepare("SELECT patient_id AS id, personal_sealed AS text FROM patients WHERE clinic_id = 'cln_kill'")
    .all<{ id: string; text: string }>();
  const fields = makeFields(field, [secrets.HASH_KEY ?? ""], bytes);
  let sealed = 0;
  for (const { id, text } of patients.results) {
    if (text.startsWith(`${field.currentKeyId}.`)) sealed += 1;
    const person = await fields.open(text, `patients/${id}`).catch(() => undefined);
    if (JSON.stringify(person) !== JSON.stringify(personOf(id))) faults.push(`${id} does not open as it was`);
  }
  if (patients.results.length !== PATIENTS) faults.push(`${patients.results.length} of ${PATIENTS} patients are there`);
  return { faults, wrapped, sealed };
}

/** Until the rows that a kill waits for are under the key of now. */
const LONGEST_MS = 60_000;
/** Of the rounds wanted: a kill that came before or after the work meets nothing and is made again. */
const MOST_TRIES = 3;

type Renewed = "keys" | "fields";

const ROWS_OF: Readonly<Record<Renewed, number>> = { keys: SUBJECTS, fields: PATIENTS };

/** How many rows are under the key whose id this is, read beside the running worker. */
function renewedRows(path: string, what: Renewed, keyId: string): number {
  const sqlite = new DatabaseSync(path, { readOnly: true });
  try {
    const [query, value] =
      what === "keys"
        ? (["SELECT COUNT(*) AS n FROM payload_keys WHERE master_key_id = ?", keyId] as const)
        : (["SELECT COUNT(*) AS n FROM patients WHERE personal_sealed LIKE ?", `${keyId}.%`] as const);
    return Number(sqlite.prepare(query).get(value)?.n ?? 0);
  } catch {
    return 0; // it is being written: looked at again
  } finally {
    sqlite.close();
  }
}

export async function killRenewals(options: WorkKillOptions): Promise<WorkKillReport> {
  const { rounds, dataDir, say = () => {} } = options;
  const random: Random = seededRandom(options.seed);
  const faults: string[] = [];
  const met: Record<string, number> = {};
  const values: Record<string, string> = { ...secrets };
  const script = bundledOnce();
  const start = (): Promise<Stack> =>
    startStack({
      dataDir,
      ports: ANY_PORT,
      workers: ["itrans-core", "medlink-hub"],
      secrets: values,
      script,
      settings: () => ({ "itrans-core": { LOG_LEVEL: "error" }, "medlink-hub": { LOG_LEVEL: "error" } }),
    });
  let current: Secrets = { master: secrets.PAYLOAD_MASTER_KEY ?? "", fields: secrets.ENCRYPTION_KEY ?? "" };
  let stack = await start();
  await stack.dispose();
  const pairs = await fill(dataDir, current);
  const fileOf: Readonly<Record<Renewed, string>> = {
    keys: fileWith(dataDir, "payload_keys"),
    fields: fileWith(dataDir, "patients"),
  };
  const ask = (url: string, key: string, body: unknown) =>
    callAgain(url, { method: "POST", headers: { "x-api-key": key }, body, timeoutMs: 60_000 });
  const rewrap = () => ask(`${stack.urls.core}/operations/rewrap`, secrets.OPERATOR_API_KEY ?? "", undefined);
  const reEncrypt = (body: unknown) =>
    ask(`${stack.urls.hub}/api/admin/re-encrypt`, secrets.HUB_OPERATOR_API_KEY ?? "", body);
  let underWay = 0;
  for (let round = 0; underWay < rounds && round < rounds * MOST_TRIES; round++) {
    const target: Renewed = underWay % 2 === 0 ? "keys" : "fields";
    const before = current;
    current = { master: randomBytes(32).toString("base64url"), fields: randomBytes(32).toString("base64url") };
    Object.assign(values, {
      PAYLOAD_MASTER_KEY: current.master,
      PAYLOAD_MASTER_KEY_PREVIOUS: before.master,
      ENCRYPTION_KEY: current.fields,
      ENCRYPTION_KEY_PREVIOUS: before.fields,
    });
    stack = await start();
    try {
      await reEncrypt({ start: true, rows: 0 });
      let up = true;
      const working = [
        (async () => {
          while (up) await reEncrypt({ rows: 60 });
        })(),
        (async () => {
          while (up) await rewrap();
        })(),
      ].map((work) => work.catch(() => undefined));
      const { payload, field } = await keyringsOf([current]);
      const keyId = target === "keys" ? payload.currentKeyId : field.currentKeyId;
      const wanted = random.between(1, ROWS_OF[target] / 2);
      const beganAt = performance.now();
      while (renewedRows(fileOf[target], target, keyId) < wanted && performance.now() - beganAt < LONGEST_MS) {
        await sleep(LOOK_EVERY_MS);
      }
      // Somewhere within what comes next.
      await sleep(random.between(0, 20));
      const after = Math.round(performance.now() - beganAt);
      process.kill(stack.workerdPid(), "SIGKILL");
      await stack.died;
      up = false;
      await Promise.all(working);
      await stack.dispose();
      stack = await start();

      const cut = await lookAtKeys(stack, [current, before], pairs);
      faults.push(...cut.faults.map((fault) => `round ${round}: ${fault}`));
      const renewed = target === "keys" ? cut.wrapped : cut.sealed;
      const meets = renewed === 0 ? "before" : renewed === ROWS_OF[target] ? "late" : "between";
      counted(met, `${target} ${meets}`);
      if (meets === "between") underWay += 1;

      const open = async (): Promise<boolean> => {
        const wrapped = await rewrap();
        const sealed = await reEncrypt({ rows: 2_000 });
        if (wrapped.status !== 200 || sealed.status !== 200) {
          throw new Error(`it does not go on: ${summaryOf(wrapped)} ${summaryOf(sealed)}`);
        }
        const { rewraps } = rewrapsSchema.parse(wrapped.body);
        if (rewraps.some(({ unreadable }) => unreadable > 0)) faults.push(`round ${round}: keys were not readable`);
        return rewraps.some(({ finished }) => !finished) || progressSchema.parse(sealed.body).state !== "complete";
      };
      let turns = 0;
      while (await open()) {
        turns += 1;
        if (turns > 200) throw new Error("it does not end");
      }
      // The old keys alone could open what was left: nothing is.
      const end = await lookAtKeys(stack, [current], pairs);
      faults.push(...end.faults.map((fault) => `round ${round}, in the end: ${fault}`));
      say(`renewal ${underWay} of ${rounds}: killed after ${after} ms at ${cut.wrapped} keys and ${cut.sealed} fields`);
    } finally {
      await stack.dispose();
    }
  }
  if (underWay < rounds) faults.push(`only ${underWay} of ${rounds} kills came while rows were renewed`);
  return { faults, met };
}
