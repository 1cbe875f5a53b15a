import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { copiedTables, HUB_TABLES } from "../../../src/backup/catalogue.ts";
import { restoreAll } from "../../../src/backup/restore.edge.ts";
import { advanceSnapshot, beginSnapshot } from "../../../src/backup/snapshot.edge.ts";
import {
  type BackupWorld,
  backupWorld,
  endSnapshot,
  rowsOfTable,
  sourceOf,
  TEST_BACKUP_KEYS,
  takeSnapshot,
} from "../../support/backups.ts";
import { d1On } from "../../support/d1-sqlite.ts";
import { MemoryBucket } from "../../support/memory-bucket.ts";

const PATIENTS = 3_000;

function emptyHub(): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  const directory = new URL("../../../migrations/medlink/", import.meta.url);
  const files = readdirSync(directory).filter((file) => file.endsWith(".up.sql"));
  for (const file of files.sort()) database.exec(readFileSync(new URL(file, directory), "utf8"));
  return database;
}

/** A row for a table's columns that have no default; foreign keys point at what is there. */
function insert(sqlite: DatabaseSync, table: string, values: Readonly<Record<string, string | number | null>>): void {
  const names = Object.keys(values);
  sqlite
    .prepare(`INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
    .run(...Object.values(values));
}

function addPatient(sqlite: DatabaseSync, n: number): void {
  const id = `pat_${(n * 7_919) % 1_000_003}`;
  const times = { created_at: n, updated_at: n };
  insert(sqlite, "patients", {
    patient_id: id,
    clinic_id: "cln_1",
    personal_sealed: "k.c2VhbGVk",
    name_hash: "h",
    ...times,
  });
  insert(sqlite, "claims", {
    ...{ claim_id: `clm_${(n * 104_729) % 1_000_003}`, clinic_id: "cln_1", patient_id: id, provider_id: "prv_1" },
    ...{
      insurer_id: "ins_1",
      type: "claim",
      status: "draft",
      amount_minor: 100,
      currency: "CAD",
      details_sealed: "k.eA==",
    },
    ...{ created_by: "usr_1", version: 1, ...times },
  });
}

function filledHub(): DatabaseSync {
  const sqlite = emptyHub();
  insert(sqlite, "clinics", { clinic_id: "cln_1", name: "A clinic", created_at: 1 });
  const times = { created_at: 1, updated_at: 1 };
  insert(sqlite, "providers", { provider_id: "prv_1", clinic_id: "cln_1", name: "A", ...times });
  insert(sqlite, "insurers", { insurer_id: "ins_1", clinic_id: "cln_1", name: "B", insurer_address: "0x00", ...times });
  sqlite.exec("BEGIN");
  for (let n = 0; n < PATIENTS; n++) addPatient(sqlite, n);
  sqlite.exec("COMMIT");
  return sqlite;
}

const hubBackups = (sqlite: DatabaseSync): BackupWorld =>
  backupWorld(d1On(sqlite), new MemoryBucket(), {
    prefix: "hub/",
    of: "medlink-hub",
    catalogue: HUB_TABLES,
    ledger: undefined,
  });

async function restored(backups: BackupWorld, manifest: Awaited<ReturnType<typeof takeSnapshot>>) {
  const sqlite = emptyHub();
  const state = await restoreAll({
    db: d1On(sqlite),
    payloads: undefined,
    source: sourceOf(backups.bucket, "hub/"),
    manifest,
    catalogue: HUB_TABLES,
    keys: TEST_BACKUP_KEYS,
    logKeys: [],
    now: () => 0,
  });
  return { sqlite, state };
}

test("every row of the hub comes back, and its rows refer to rows that are there", async () => {
  const sqlite = filledHub();
  const backups = hubBackups(sqlite);
  const { sqlite: copy, state } = await restored(backups, await takeSnapshot(backups));
  for (const { name } of copiedTables(HUB_TABLES)) expect(rowsOfTable(copy, name)).toEqual(rowsOfTable(sqlite, name));
  expect(state.counts).toMatchObject({ orphans: 0 });
  expect(copy.prepare("PRAGMA foreign_key_check").all()).toEqual([]);
});

test("the next snapshot writes the chunks that changed, and a deleted row is gone from it", async () => {
  const sqlite = filledHub();
  const backups = hubBackups(sqlite);
  const first = await takeSnapshot(backups);
  sqlite.exec("DELETE FROM claims WHERE claim_id = 'clm_104729'");
  sqlite.exec("UPDATE patients SET personal_sealed = 'k.bmV3' WHERE patient_id = 'pat_7919'");
  backups.later(86_400_000);
  const second = await takeSnapshot(backups);
  const before = new Set(first.files.map(({ path }) => path));
  const fresh = second.files.filter(({ path }) => !before.has(path));
  expect(first.files.length).toBeGreaterThan(8);
  expect(fresh.length).toBeLessThanOrEqual(3);
  const { sqlite: copy } = await restored(backups, second);
  for (const name of ["claims", "patients"]) expect(rowsOfTable(copy, name)).toEqual(rowsOfTable(sqlite, name));
});

test("rows whose parents were erased while the snapshot was made do not come back", async () => {
  const sqlite = filledHub();
  const backups = hubBackups(sqlite);
  const name = await beginSnapshot(backups.parts, "command", undefined);
  if (name === undefined) throw new Error("it begins");
  const index = copiedTables(HUB_TABLES)
    .toReversed()
    .findIndex((table) => table.name === "patients");
  for (let at = 0; at < index; ) {
    await advanceSnapshot(backups.parts, name, 0);
    const { cursor } = { ...sqlite.prepare("SELECT cursor FROM backup_runs").get() };
    at = JSON.parse(String(cursor)).at;
  }
  // Claims are copied by now, patients are not.
  const [gone] = sqlite.prepare("SELECT patient_id AS id FROM patients ORDER BY patient_id DESC LIMIT 1").all();
  sqlite.prepare("DELETE FROM claims WHERE patient_id = ?").run(String(gone?.id));
  sqlite.prepare("DELETE FROM patients WHERE patient_id = ?").run(String(gone?.id));
  const { sqlite: copy, state } = await restored(backups, await endSnapshot(backups, name));
  expect(state.counts.orphans).toBe(1);
  for (const table of ["claims", "patients"]) expect(rowsOfTable(copy, table)).toEqual(rowsOfTable(sqlite, table));
});

test("a restore goes into a clean database only", async () => {
  const sqlite = filledHub();
  const backups = hubBackups(sqlite);
  const manifest = await takeSnapshot(backups);
  const parts = { payloads: undefined, source: sourceOf(backups.bucket, "hub/"), manifest, catalogue: HUB_TABLES };
  const again = restoreAll({ ...parts, db: d1On(sqlite), keys: TEST_BACKUP_KEYS, logKeys: [], now: () => 0 });
  await expect(again).rejects.toThrow(
    "the database is not clean: clinics, patients, providers, insurers, claims have rows",
  );
});
