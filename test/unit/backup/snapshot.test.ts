import { expect, test } from "vitest";
import { CORE_TABLES, copiedTables } from "../../../src/backup/catalogue.ts";
import { backupWorld, restoreSnapshot, rowsOfTable, takeSnapshot } from "../../support/backups.ts";
import { checkEverything, grownWorld, LedgerWorld } from "../../support/ledger-world.ts";

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
