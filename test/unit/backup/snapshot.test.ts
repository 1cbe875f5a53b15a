import { expect, test } from "vitest";
import { saveStep, takeRun } from "../../../src/backup/backup.store.ts";
import { listApart, listBackups } from "../../../src/backup/backup-service.edge.ts";
import { CORE_TABLES, copiedTables } from "../../../src/backup/catalogue.ts";
import { checkOldObjects, cleanBackups, deleteOldKeys, snapshotNames } from "../../../src/backup/clean.edge.ts";
import { advanceSnapshot, beginSnapshot } from "../../../src/backup/snapshot.edge.ts";
import { KEYS_OF_RANGE, PAYLOADS_OF_RANGE } from "../../../src/backup/source.store.ts";
import { writeTail } from "../../../src/backup/tail.edge.ts";
import { readSubjects } from "../../../src/workflow/check-subject.store.ts";
import { checkSubject } from "../../../src/workflow/check-subject.ts";
import { loadContext, loadHead, writeCommit } from "../../../src/workflow/commit.store.ts";
import { planCommit } from "../../../src/workflow/commit-plan.ts";
import {
  backupWorld,
  endSnapshot,
  manifestOf,
  restoreSnapshot,
  rowsOfTable,
  takeSnapshot,
} from "../../support/backups.ts";
import { submitCommand } from "../../support/commands.ts";
import { migratedCore, migratedCoreSqlite } from "../../support/d1-sqlite.ts";
import { checkEverything, grownWorld, LEDGER, LedgerWorld, logFindings } from "../../support/ledger-world.ts";

test("a restored ledger has every row of the old one and passes every check", async () => {
  const world = await grownWorld(60);
  const backups = backupWorld(world.db, world.bucket);
  const manifest = await takeSnapshot(backups);
  const restored = await restoreSnapshot(backups, manifest, { logKeys: [world.signer.key] });

  const same = ["ledger_entries", "requests", "claims", "payloads", "payload_keys", "erased_ids"];
  for (const table of [...same, ...copiedTables(CORE_TABLES).map(({ name }) => name)]) {
    if (table === "relay_leases") continue;
    expect({ table, rows: rowsOfTable(restored.sqlite, table) }).toEqual({
      table,
      rows: rowsOfTable(world.sqlite, table),
    });
  }
  const bucket = restored.bucket;
  for (const [key, bytes] of world.bucket.objects) if (key.startsWith("log/")) bucket.objects.set(key, bytes);
  const { findings } = await checkEverything({ db: restored.db, bucket, promised: world.promised }, world);
  expect(findings).toEqual([]);
});

test("segments are written once: a second snapshot writes what is new", async () => {
  const world = await LedgerWorld.make();
  await world.addEntries(9_000);
  const backups = backupWorld(world.db, world.bucket);
  const first = await takeSnapshot(backups);
  const before = new Set(backups.bucket.objects.keys());
  await world.addEntries(100);
  backups.later(86_400_000);
  const second = await takeSnapshot(backups);
  const fresh = [...backups.bucket.objects.keys()].filter((key) => !before.has(key));
  expect(first.files.filter(({ kind }) => kind === "entries").map(({ from, to }) => [from, to])).toEqual([
    [0, 4096],
    [4096, 8192],
    [8192, 9000],
  ]);
  expect(fresh.map((key) => key.replace(/[0-9a-f]{64}/, "*")).sort()).toEqual([
    "core/main/keys/000000008192-000000009100-*.sealed",
    "core/main/objects/entries/000000008192-000000009100-*.ndjson.gz",
    "core/main/objects/payloads/000000008192-000000009100-*.sealed",
    `core/main/snapshots/${second.name}/manifest.json`,
  ]);
  const restored = await restoreSnapshot(backups, second);
  expect(restored.state.size).toBe(9_100);
});

test("a turn that was taken over writes nothing more, and the one that took over ends the snapshot", async () => {
  const world = await LedgerWorld.make();
  await world.addEntries(4_200);
  const backups = backupWorld(world.db, world.bucket);
  const name = (await beginSnapshot(backups.parts, "command", undefined)) ?? "";
  expect(await beginSnapshot(backups.parts, "nightly", undefined)).toBeUndefined();
  const held = await takeRun(world.db, name, backups.bucket.time, 120_000);
  expect(await advanceSnapshot(backups.parts, name, 0)).toEqual({ type: "idle" });
  backups.later(121_000);
  await endSnapshot(backups, name);
  const late = { cursor: "{}", written: [], files: [] };
  expect(await saveStep(world.db, { name, fence: held?.fence ?? 0 }, late, backups.bucket.time, 1)).toBe(false);
});

test("a ledger whose entries do not give the head's root is never a good snapshot", async () => {
  const world = await LedgerWorld.make();
  await world.addEntries(50);
  world.sqlite.exec("DROP TRIGGER ledger_entries_update");
  world.sqlite.exec("UPDATE ledger_entries SET body = replace(body, 'CLAIM', 'CLAIN') WHERE seq = 20");
  const backups = backupWorld(world.db, world.bucket);
  await expect(takeSnapshot(backups)).rejects.toThrow("entry 20");
  expect([...backups.bucket.objects.keys()].filter((key) => key.includes("snapshots/"))).toEqual([]);
});

test("a restore that the newest checkpoint is out of reach of is refused, and the tail brings it there", async () => {
  const world = await grownWorld(8);
  const backups = backupWorld(world.db, world.bucket);
  const manifest = await takeSnapshot(backups);
  await world.addSubject("request", 1);
  await world.publish();
  const { size = 0, rootHash = "" } = world.promised ?? {};
  const promises = [{ size, rootHash, what: "the published checkpoint" }];
  await expect(restoreSnapshot(backups, manifest, { promises })).rejects.toThrow(
    `the published checkpoint promises ${size} entries, this backup reaches ${manifest.ledger?.size}`,
  );
  await writeTail(backups.parts, Number.POSITIVE_INFINITY);
  expect((await restoreSnapshot(backups, manifest, { promises })).state.size).toBe(size);
  const other = [{ size, rootHash: "0".repeat(64), what: "the anchor on the chain" }];
  await expect(restoreSnapshot(backups, manifest, { promises: other })).rejects.toThrow("the anchor on the chain");
});

test("a restore that falls short opens a new ledger on request, whose entry 0 names the old one and what is lost of it", async () => {
  const world = await grownWorld(8);
  const backups = backupWorld(world.db, world.bucket);
  const manifest = await takeSnapshot(backups);
  const reached = manifest.ledger?.size ?? 0;
  const kept = { size: reached, rootHash: manifest.ledger?.rootHash ?? "", what: "the checkpoint that was kept" };
  await world.addSubject("request", 1);
  await world.publish();
  const { size = 0, rootHash = "" } = world.promised ?? {};
  const promises = [kept, { size, rootHash, what: "the published checkpoint" }];
  const continuesAs = "main-2";
  await expect(restoreSnapshot(backups, manifest, { promises: [kept], continuesAs })).rejects.toThrow(
    "no new ledger is needed",
  );
  await expect(restoreSnapshot(backups, manifest, { promises, continuesAs: LEDGER })).rejects.toThrow(
    "is no name for a new ledger",
  );
  const { db, sqlite, state } = await restoreSnapshot(backups, manifest, { promises, continuesAs });
  expect(state.size).toBe(reached);
  const rows = sqlite.prepare("SELECT body FROM ledger_entries WHERE ledger_id = 'main-2'").all();
  expect(rows.map(({ body }) => JSON.parse(String(body)))).toMatchObject([
    {
      seq: 0,
      type: "LEDGER_CONTINUED",
      subject: `0x${rootHash}`,
      data: { ledger: LEDGER, size, rootHash, restoredSize: reached, restoredRootHash: kept.rootHash },
    },
  ]);
  expect(await logFindings(db, LEDGER)).toEqual([]);

  const command = submitCommand("in-the-new-one", { tenantId: "default" });
  const head = await loadHead(db, continuesAs);
  const plan = planCommit(head, await loadContext(db, continuesAs, [command]), [command], backups.bucket.time + 1, {
    ledgerId: continuesAs,
    chainId: 31_337,
  });
  if (!plan.changes) throw new Error("nothing was appended");
  await writeCommit(db, continuesAs, plan);
  expect(await logFindings(db, continuesAs)).toEqual([]);
  const [first] = await readSubjects(db, continuesAs, 0, 1);
  if (first === undefined) throw new Error("the subject of entry 0 is not read");
  const port = { unwrap: () => Promise.reject(), lookup: async () => undefined, readObject: async () => undefined };
  expect((await checkSubject(first, port)).findings).toEqual([]);
  const entries = first.entries.map((entry) => ({ ...entry, body: entry.body.replace(`"size":${size}`, '"size":1') }));
  expect((await checkSubject({ ...first, entries }, port)).findings[0]?.detail).toContain("does not say what is lost");
});

test("what was erased since the snapshot does not come back, whatever the backup of keys holds", async () => {
  const world = await grownWorld(10);
  const backups = backupWorld(world.db, world.bucket);
  const manifest = await takeSnapshot(backups);
  const keysBefore = new Map([...backups.bucket.objects].filter(([key]) => key.includes("/keys/")));
  await world.erase();
  await writeTail(backups.parts, Number.POSITIVE_INFINITY);
  for (const [key, bytes] of keysBefore) expect(backups.bucket.objects.get(key)).toBe(bytes);
  const restored = await restoreSnapshot(backups, manifest);
  for (const table of ["payload_keys", "payloads", "requests", "erased_ids"]) {
    expect({ table, rows: rowsOfTable(restored.sqlite, table) }).toEqual({
      table,
      rows: rowsOfTable(world.sqlite, table),
    });
  }
});

test("wrapped keys that were copied while a re-wrap went on are copied anew by the next snapshot, and then left", async () => {
  const world = await LedgerWorld.make();
  await world.addEntries(4_200);
  world.sqlite.exec("UPDATE payload_keys SET master_key_id = iif(subject_seq = 7, 'old', '0a0b0c0d')");
  const backups = backupWorld(world.db, world.bucket);
  const keysOfFirst = async (): Promise<readonly string[]> => {
    backups.later(3_600_000);
    await takeSnapshot(backups);
    return [...backups.bucket.objects.keys()].filter((key) => key.includes("/keys/000000000000-000000004096-"));
  };
  const during = await keysOfFirst();
  expect(during).toHaveLength(1);
  world.sqlite.exec("UPDATE payload_keys SET master_key_id = '0a0b0c0d', wrapped = 'under the new key'");
  const after = await keysOfFirst();
  expect(after).toHaveLength(1);
  expect(after).not.toEqual(during);
  expect(await keysOfFirst()).toEqual(after);
});

test("the relay is paused after a restore, and what was leased is due again under its event id", async () => {
  const world = await grownWorld(4);
  world.sqlite.exec(`INSERT INTO outbox (outbox_id, event_id, event_type, ledger_id, seq, subject, tenant_id, destination_id, state,
    due_at, body, correlation_id, lease_token, created_at)
    VALUES (1, 'e1', 'SUBMITTED', 'main', 0, '0x0', 'default', 'd', 'leased', 5, '{}', 'c', 7, 1),
           (2, 'e2', 'SUBMITTED', 'main', 1, '0x0', 'default', 'd', 'delivered', 5, '{}', 'c', 6, 1)`);
  const backups = backupWorld(world.db, world.bucket);
  const { sqlite, state } = await restoreSnapshot(backups, await takeSnapshot(backups));
  expect(state.counts.sentAgain).toBe(1);
  expect(sqlite.prepare("SELECT event_id, state, lease_token FROM outbox ORDER BY outbox_id").all()).toMatchObject([
    { event_id: "e1", state: "due", lease_token: 7 },
    { event_id: "e2", state: "delivered" },
  ]);
  const [leases] = sqlite.prepare("SELECT paused_at, last_token FROM relay_leases").all();
  expect(leases?.paused_at).toBe(backups.bucket.time);
  expect(Number(leases?.last_token)).toBeGreaterThan(7);
});

test("clean-up takes what no kept snapshot has and spares what others share; keys go after 30 days", async () => {
  const world = await LedgerWorld.make();
  await world.addEntries(4_200);
  const backups = backupWorld(world.db, world.bucket);
  const first = await takeSnapshot(backups);
  const log = () => {};
  for (let day = 0; day < 40; day++) {
    backups.later(86_400_000);
    await world.addEntries(1);
    await takeSnapshot(backups);
    await cleanBackups(backups.parts, log);
    await deleteOldKeys(backups.parts, backups.bucket.time);
  }
  const names = await snapshotNames(backups.parts);
  expect(names).not.toContain(first.name);
  expect(names.length).toBeLessThanOrEqual(33);
  for (const name of names) {
    const manifest = await manifestOf(backups, name);
    for (const { path } of manifest.files) expect(backups.bucket.objects.has(`core/main/${path}`)).toBe(true);
  }
  const tails = [...backups.bucket.objects.keys()].filter((key) => key.includes("objects/entries/000000004096"));
  expect(tails.length).toBe(names.length);
  const oldest = backups.bucket.time - 30 * 86_400_000;
  const { objects } = await backups.bucket.list({ prefix: "core/main/keys/" });
  expect(objects.length).toBe(2);
  for (const { uploaded } of objects) expect(uploaded.getTime()).toBeGreaterThan(oldest);
});

test("a new database over the bucket of a lost one lists what is there and takes none of it away", async () => {
  const world = await grownWorld(10);
  const backups = backupWorld(world.db, world.bucket);
  const manifest = await takeSnapshot(backups);
  const held = [...backups.bucket.objects.keys()].sort();
  const { db } = migratedCore();
  const after = backupWorld(db, world.bucket);
  for (const [key, bytes] of backups.bucket.objects) await after.bucket.put(key, bytes);
  expect((await listBackups(after.parts)).snapshots).toEqual([manifest.name]);
  const apart = await listApart(after.parts);
  expect(apart.keys.length).toBeGreaterThan(0);
  after.later(5 * 86_400_000);
  await cleanBackups(after.parts, () => {});
  await deleteOldKeys(after.parts, after.bucket.time);
  expect([...after.bucket.objects.keys()].sort()).toEqual(held);
  // What may open somebody's data goes with its time, whoever wrote it.
  after.later(26 * 86_400_000);
  await cleanBackups(after.parts, () => {});
  await deleteOldKeys(after.parts, after.bucket.time);
  expect(await listApart(after.parts)).toEqual({ keys: [], tail: [], oldestAt: null });
});

test("an object that was lost or changed is found by the rolling check and written again by the next snapshot", async () => {
  const world = await LedgerWorld.make();
  await world.addEntries(4_200);
  const backups = backupWorld(world.db, world.bucket);
  const first = await takeSnapshot(backups);
  const [file] = first.files;
  backups.bucket.objects.delete(`core/main/${file?.path}`);
  backups.later(31 * 86_400_000);
  const checked = await checkOldObjects(backups.parts, 1_000, () => {});
  expect(checked.damaged).toEqual([file?.path]);
  const second = await takeSnapshot(backups);
  expect(backups.bucket.objects.has(`core/main/${file?.path}`)).toBe(true);
  expect((await restoreSnapshot(backups, second)).state.size).toBe(4_200);
});

test("what is read for a segment is found by keys: its cost is the segment's, whatever the ledger's", () => {
  const sqlite = migratedCoreSqlite();
  const planOf = (sql: string): string =>
    sqlite
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all("main", 0, 100)
      .map(({ detail }) => String(detail))
      .join("\n");
  expect(planOf(PAYLOADS_OF_RANGE)).toMatch(/SEARCH p USING INDEX .*subject_seq=\?/);
  for (const found of [/SEARCH k .*subject_seq=\?/, /SEARCH r .*submitted_seq=\?/, /SEARCH c .*created_seq=\?/]) {
    expect(planOf(KEYS_OF_RANGE)).toMatch(found);
  }
});
