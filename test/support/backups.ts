/** Snapshots of a ledger in Node, and restores of them into a clean database, by the real code. */
import type { DatabaseSync } from "node:sqlite";
import { CORE_TABLES } from "../../src/backup/catalogue.ts";
import { type Manifest, readManifest } from "../../src/backup/manifest.ts";
import { restoreAll } from "../../src/backup/restore.edge.ts";
import type { BackupSource, RestoreParts, RestoreState } from "../../src/backup/restore-files.edge.ts";
import { backupKeys } from "../../src/backup/sealed-file.ts";
import {
  advanceSnapshot,
  beginSnapshot,
  readManifestText,
  type SnapshotParts,
} from "../../src/backup/snapshot.edge.ts";
import { migratedCore } from "./d1-sqlite.ts";
import { LEDGER } from "./ledger-world.ts";
import { MemoryBucket } from "./memory-bucket.ts";

export const TEST_BACKUP_KEYS = backupKeys(["a backup key of the tests, long enough"]);

/** With the times at which objects were put, as R2 has them. */
export class DatedBucket extends MemoryBucket {
  readonly #times = new Map<string, number>();
  /** Epoch ms. */
  time = Date.parse("2026-11-22T02:00:00.000Z");

  override async put(...args: Parameters<MemoryBucket["put"]>) {
    this.#times.set(args[0], this.time);
    return super.put(...args);
  }

  /** @param time epoch ms. */
  touch(key: string, time: number): void {
    this.#times.set(key, time);
  }

  override async list(options: Parameters<MemoryBucket["list"]>[0]) {
    const page = await super.list(options);
    const uploaded = (key: string) => new Date(this.#times.get(key) ?? 0);
    return { ...page, objects: page.objects.map(({ key }) => ({ key, uploaded: uploaded(key) })) };
  }
}

export interface BackupWorld {
  readonly parts: SnapshotParts;
  readonly bucket: DatedBucket;
  /** Moves the clock of the snapshots. */
  later(ms: number): void;
}

export function backupWorld(
  db: D1Database,
  payloads: MemoryBucket = new MemoryBucket(),
  over: Partial<SnapshotParts> = {},
): BackupWorld {
  const bucket = new DatedBucket();
  const parts: SnapshotParts = {
    db,
    bucket: bucket.r2,
    prefix: "core/main/",
    of: "itrans-core",
    catalogue: CORE_TABLES,
    ledger: { id: LEDGER, masterKeyId: "0a0b0c0d", payloads: payloads.r2 },
    keys: TEST_BACKUP_KEYS,
    settings: { LEDGER_ID: LEDGER },
    now: () => bucket.time,
    ...over,
  };
  return {
    parts,
    bucket,
    later: (ms) => {
      bucket.time += ms;
    },
  };
}

/** From its beginning to its end. */
export async function takeSnapshot(world: BackupWorld, tag?: string): Promise<Manifest> {
  const name = await beginSnapshot(world.parts, "command", tag);
  if (name === undefined) throw new Error("a snapshot is under way");
  return endSnapshot(world, name);
}

export async function endSnapshot(world: BackupWorld, name: string): Promise<Manifest> {
  for (let turns = 0; turns < 10_000; turns++) {
    const turn = await advanceSnapshot(world.parts, name, 0);
    if (turn.type === "failed") throw new Error(turn.reason);
    if (turn.type === "idle") throw new Error("the run is held by another turn");
    if (turn.type === "good") return manifestOf(world, name);
  }
  throw new Error("the snapshot does not end");
}

export async function manifestOf(world: Pick<BackupWorld, "parts">, name: string): Promise<Manifest> {
  const read = readManifest((await readManifestText(world.parts, name)) ?? "", TEST_BACKUP_KEYS);
  if (!read.ok) throw new Error(read.reason);
  return read.manifest;
}

export const sourceOf = (bucket: MemoryBucket, prefix = "core/main/"): BackupSource => ({
  async read(path) {
    const bytes = bucket.objects.get(`${prefix}${path}`);
    return bytes?.slice();
  },
  async list(directory) {
    const under = `${prefix}${directory}/`;
    return [...bucket.objects.keys()].filter((key) => key.startsWith(under)).map((key) => key.slice(prefix.length));
  },
});

export interface Restored {
  readonly db: D1Database;
  readonly sqlite: DatabaseSync;
  readonly bucket: MemoryBucket;
  readonly state: RestoreState;
}

export async function restoreSnapshot(
  world: BackupWorld,
  manifest: Manifest,
  over: Partial<RestoreParts> = {},
): Promise<Restored> {
  const { db, sqlite } = migratedCore();
  const bucket = new MemoryBucket();
  const state = await restoreAll({
    db,
    payloads: bucket.r2,
    source: sourceOf(world.bucket),
    manifest,
    catalogue: CORE_TABLES,
    keys: TEST_BACKUP_KEYS,
    logKeys: [],
    now: () => world.bucket.time,
    ...over,
  });
  return { db, sqlite, bucket, state };
}

/** Every row of a table, in the order of all its columns. */
export const rowsOfTable = (sqlite: DatabaseSync, table: string): readonly string[] =>
  sqlite
    .prepare(`SELECT * FROM ${table}`)
    .all()
    .map((row) => JSON.stringify(row))
    .sort();
