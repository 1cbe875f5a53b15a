/** Archives on disk: whole under their names, with keys of today beside them, and of one system. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  openArchive,
  pruneKeyArchives,
  type SnapshotSource,
  writeArchive,
} from "../../../scripts/lib/backup/archive.ts";
import { restoreArchive } from "../../../scripts/lib/backup/restore.ts";
import { fileTarget } from "../../../scripts/lib/backup/target.ts";
import { projectRoot } from "../../../scripts/lib/bundle.ts";
import { fillHub } from "../../../scripts/lib/db-fill.ts";
import { applyMigrations } from "../../../scripts/lib/migrate.ts";
import { listApart } from "../../../src/backup/backup-service.edge.ts";
import { HUB_TABLES } from "../../../src/backup/catalogue.ts";
import { KEYS_KEPT_MS } from "../../../src/backup/retention.ts";
import { readBackupObject, readManifestText } from "../../../src/backup/snapshot.edge.ts";
import { writeTail } from "../../../src/backup/tail.edge.ts";
import { type BackupWorld, backupWorld, sourceOf, TEST_BACKUP_KEYS, takeSnapshot } from "../../support/backups.ts";
import { d1On } from "../../support/d1-sqlite.ts";
import { grownWorld } from "../../support/ledger-world.ts";

const DAY = 86_400_000;
let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "itrans-archive-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function fetched(backups: BackupWorld, name: string): Promise<SnapshotSource> {
  const source = sourceOf(backups.bucket);
  const { keys, tail, oldestAt } = await listApart(backups.parts);
  return {
    manifestText: (await readManifestText(backups.parts, name)) ?? "",
    apart: [...keys.map(({ path }) => path), ...tail],
    apartFrom: oldestAt === null ? undefined : Date.parse(oldestAt),
    read: async (path) => (await source.read(path)) ?? new Uint8Array(),
  };
}

async function apartIn(archive: string): Promise<readonly string[]> {
  const scratch = mkdtempSync(join(directory, "scratch-"));
  try {
    const { source } = await openArchive(archive, scratch, TEST_BACKUP_KEYS, () => {});
    return [...(await source.list("keys")), ...(await source.list("tail"))];
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

test("a snapshot that was fetched before comes with the keys and the tail of now", async () => {
  const world = await grownWorld(10);
  const backups = backupWorld(world.db, world.bucket);
  const { name } = await takeSnapshot(backups);
  const first = await writeArchive(await fetched(backups, name), directory, () => {});
  expect((await apartIn(first.archive)).some((path) => path.startsWith("tail/"))).toBe(false);
  await world.addSubject("request", 1);
  await writeTail(backups.parts, Number.POSITIVE_INFINITY);
  const again = await writeArchive(await fetched(backups, name), directory, () => {});
  expect(again.archive).toBe(first.archive);
  expect((await apartIn(again.archive)).some((path) => path.startsWith("tail/"))).toBe(true);
  // A system that lost its keys must not take the last copy along.
  const without = async () => writeArchive({ ...(await fetched(backups, name)), apart: [] }, directory, () => {});
  await expect(without()).rejects.toThrow("the system that was asked has none any more");
  expect((await apartIn(again.archive)).length).toBeGreaterThan(0);
  // Past their time they go: erasure is complete when the last copy of a key is gone.
  const long = new Date(Date.now() - KEYS_KEPT_MS - 1_000);
  utimesSync(again.keys ?? "", long, long);
  const gone = await without();
  expect(gone.keys).toBeUndefined();
  expect(readdirSync(directory).filter((file) => file.includes(".keys."))).toEqual([]);
});

test("an archive of another system's snapshot of the same name is not taken for this one's", async () => {
  const [here, there] = await Promise.all([grownWorld(4), grownWorld(6)]);
  const [one, other] = [here, there].map((world) => backupWorld(world.db, world.bucket));
  if (one === undefined || other === undefined) throw new Error("there are two");
  const { name } = await takeSnapshot(one);
  expect((await takeSnapshot(other)).name).toBe(name);
  const { archive } = await writeArchive(await fetched(one, name), directory, () => {});
  await expect(writeArchive(await fetched(other, name), directory, () => {})).rejects.toThrow("is of another system");
  expect((await apartIn(archive)).length).toBeGreaterThan(0);
});

test("an archive has its name when its keys are beside it, and one that was cut off is fetched again", async () => {
  const world = await grownWorld(10);
  const backups = backupWorld(world.db, world.bucket);
  const { name } = await takeSnapshot(backups);
  const source = await fetched(backups, name);
  const cut: SnapshotSource = {
    ...source,
    read: (path) => (path.startsWith("keys/") ? Promise.reject(new Error("cut off")) : source.read(path)),
  };
  await expect(writeArchive(cut, directory, () => {})).rejects.toThrow("cut off");
  expect(readdirSync(directory).filter((file) => file.endsWith(".tar.gz"))).toEqual([]);
  const { archive, keys } = await writeArchive(source, directory, () => {});
  expect((await apartIn(archive)).length).toBeGreaterThan(0);
  // Lost since, by whoever moved them: fetched again with the snapshot's name.
  mkdirSync(join(directory, "elsewhere"));
  renameSync(keys ?? "", join(directory, "elsewhere", "keys.tar.gz"));
  await writeArchive(source, directory, () => {});
  expect((await apartIn(archive)).length).toBeGreaterThan(0);
});

test("keys of a snapshot are deleted 30 days after the oldest of them was written, however old the snapshot is", async () => {
  const world = await grownWorld(10);
  const backups = backupWorld(world.db, world.bucket);
  const { name } = await takeSnapshot(backups);
  const source = await fetched(backups, name);
  // The snapshot is of whatever day; its keys were written anew in the bucket ten days ago.
  const now = Date.now();
  const { keys = "" } = await writeArchive({ ...source, apartFrom: now - 10 * DAY }, directory, () => {});
  expect(pruneKeyArchives(directory, now)).toEqual([]);
  expect(pruneKeyArchives(directory, now + 19 * DAY)).toEqual([]);
  expect(existsSync(keys)).toBe(true);
  expect(pruneKeyArchives(directory, now + 20 * DAY + 1)).toHaveLength(1);
  expect(readdirSync(directory).filter((file) => file.includes(".keys."))).toEqual([]);
  // The time of its keys, not of their arrival here.
  const { keys: aged = "" } = await writeArchive({ ...source, apartFrom: 1_000 }, directory, () => {});
  expect(statSync(aged).mtimeMs).toBe(1_000);
});

test("an archive of the hub restores into a file of its own, which is whole by itself", async () => {
  const sqlite = new DatabaseSync(":memory:");
  await applyMigrations(d1On(sqlite), join(projectRoot, "migrations", "medlink"));
  fillHub(sqlite, 2_500);
  const over = { of: "medlink-hub", prefix: "hub/", catalogue: HUB_TABLES, ledger: undefined } as const;
  const backups = backupWorld(d1On(sqlite), undefined, over);
  const { name } = await takeSnapshot(backups);
  const { archive } = await writeArchive(
    {
      manifestText: (await readManifestText(backups.parts, name)) ?? "",
      apart: [],
      read: async (path) => (await readBackupObject(backups.parts, path)) ?? new Uint8Array(),
    },
    directory,
    () => {},
  );
  const path = join(directory, "restored.sqlite");
  const { rows } = await restoreArchive(archive, {
    keys: TEST_BACKUP_KEYS,
    promisesFor: async () => ({ logKeys: [], promises: [] }),
    withoutKeys: false,
    targetOf: (manifest) => fileTarget(path, manifest),
    progress: () => {},
  });
  expect(rows.claims).toBe(2_500);
  expect(readdirSync(directory).filter((file) => file.startsWith("restored"))).toEqual(["restored.sqlite"]);
  const restored = new DatabaseSync(path, { readOnly: true });
  expect(restored.prepare("SELECT COUNT(*) AS n FROM claims").get()?.n).toBe(2_500);
  expect(restored.prepare("PRAGMA integrity_check").get()?.integrity_check).toBe("ok");
  restored.close();
});
