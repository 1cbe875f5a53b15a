import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { copiedTables, HUB_TABLES } from "../../../src/backup/catalogue.ts";
import { restoreAll } from "../../../src/backup/restore.edge.ts";
import { sha256Hex } from "../../../src/backup/segments.ts";
import { advanceSnapshot, beginSnapshot } from "../../../src/backup/snapshot.edge.ts";
import { objectKey } from "../../../src/medlink/attachments/attachment.ts";
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

const hubBackups = (sqlite: DatabaseSync, attachments = new MemoryBucket()): BackupWorld =>
  backupWorld(d1On(sqlite), new MemoryBucket(), {
    prefix: "hub/",
    of: "medlink-hub",
    catalogue: HUB_TABLES,
    ledger: undefined,
    attachments: attachments.r2,
  });

async function restored(
  backups: BackupWorld,
  manifest: Awaited<ReturnType<typeof takeSnapshot>>,
  objects?: MemoryBucket,
) {
  const sqlite = emptyHub();
  const state = await restoreAll({
    db: d1On(sqlite),
    payloads: objects?.r2,
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

interface WithAttachments {
  readonly sqlite: DatabaseSync;
  readonly bucket: MemoryBucket;
  readonly backups: BackupWorld;
  attach(id: string, text: string): Promise<string>;
}

function hubWithAttachments(): WithAttachments {
  const sqlite = filledHub();
  const bucket = new MemoryBucket();
  const backups = hubBackups(sqlite, bucket);
  const [claim] = sqlite.prepare("SELECT claim_id FROM claims LIMIT 1").all();
  const claimId = String(claim?.claim_id);
  return {
    sqlite,
    bucket,
    backups,
    async attach(id, text) {
      const bytes = new TextEncoder().encode(text);
      const key = objectKey({ clinicId: "cln_1", claimId, attachmentId: id });
      await bucket.put(key, bytes);
      insert(sqlite, "attachments", {
        ...{ attachment_id: id, clinic_id: "cln_1", claim_id: claimId, name_sealed: "k.eA==", size: bytes.length },
        ...{ content_type: "application/pdf", sha256: await sha256Hex(bytes), state: "stored", created_by: "usr_1" },
        ...{ created_at: 1, updated_at: 1 },
      });
      return key;
    },
  };
}

const attachmentsIn = ({ bucket }: BackupWorld): readonly string[] =>
  [...bucket.objects.keys()].filter((key) => key.startsWith("hub/objects/attachments/")).sort();

test("attachments are copied sealed and once each, and come back under their names", async () => {
  const { bucket, backups, attach } = hubWithAttachments();
  const keys = [await attach("att_1", "%PDF-1 the first"), await attach("att_2", "%PDF-1 the second")];
  await takeSnapshot(backups);
  const first = attachmentsIn(backups);
  expect(first).toHaveLength(2);
  for (const key of first) {
    expect(new TextDecoder().decode(backups.bucket.objects.get(key))).not.toContain("%PDF");
  }

  keys.push(await attach("att_3", "%PDF-1 the third"));
  let reads = 0;
  const get = (key: string) => {
    reads += 1;
    return bucket.get(key);
  };
  const counted = { get } as unknown as R2Bucket;
  backups.later(86_400_000);
  const later = { ...backups, parts: { ...backups.parts, attachments: counted } };
  const manifest = await takeSnapshot(later);
  expect(reads).toBe(1);
  expect(attachmentsIn(backups)).toHaveLength(3);
  expect(manifest.files.filter(({ kind }) => kind === "attachment")).toHaveLength(3);

  const objects = new MemoryBucket();
  const { state } = await restored(backups, manifest, objects);
  expect(state.counts).toMatchObject({ attachments: 3, attachmentsWithout: 0 });
  expect(keys.map((key) => objects.objects.get(key))).toEqual(keys.map((key) => bucket.objects.get(key)));
  expect(objects.objects.size).toBe(3);
});

test("an attachment that is gone or changed is no part of the backup, and the restore says so; one changed in the backup is refused", async () => {
  const { bucket, backups, attach } = hubWithAttachments();
  await attach("att_1", "%PDF-1 whole");
  bucket.objects.delete(await attach("att_2", "%PDF-1 gone"));
  await bucket.put(await attach("att_3", "%PDF-1 changed"), "other bytes");
  const manifest = await takeSnapshot(backups);
  const objects = new MemoryBucket();
  const { state } = await restored(backups, manifest, objects);
  expect(state.counts).toMatchObject({ attachments: 1, attachmentsWithout: 2 });

  const [name = ""] = attachmentsIn(backups);
  const bytes = backups.bucket.objects.get(name) ?? new Uint8Array();
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await expect(restored(backups, manifest, new MemoryBucket())).rejects.toThrow(name.slice("hub/".length));
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
