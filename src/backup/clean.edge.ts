/**
 * What follows a good snapshot: those that are no longer kept are taken away, and what none of the kept ones holds; old objects are
 * read again, some a day. What a retention lock holds stays until the lock ends.
 */
import type { Log } from "../platform/log.ts";
import { reasonOf } from "../platform/log.ts";
import { expireRun, forgetObjects, keysFiles, leastChecked, saveChecks, unusedObjects } from "./backup.store.ts";
import { checkFile, readManifest } from "./manifest.ts";
import { expiredNames, KEYS_KEPT_MS } from "./retention.ts";
import { rangeOfPath, sha256Hex } from "./segments.ts";
import { manifestPath, readBackupObject, readManifestText, type SnapshotParts } from "./snapshot.edge.ts";

const DAY_MS = 86_400_000;
const MAX_NAMES = 1_000;
const MAX_UNUSED = 500;
/** An object is left alone for this long: a run that was cut off may come to record it. */
const UNUSED_AFTER_MS = 2 * DAY_MS;
/** Every object is read again within this time, as far as the bound of a turn allows. */
const CHECK_EVERY_MS = 30 * DAY_MS;

type Places = Pick<SnapshotParts, "bucket" | "prefix">;

/** Names of the snapshots in the bucket, good ones: those with a manifest. */
export async function snapshotNames({ bucket, prefix }: Places): Promise<readonly string[]> {
  const names: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await bucket.list({ prefix: `${prefix}snapshots/`, ...(cursor === undefined ? {} : { cursor }) });
    for (const { key } of page.objects) {
      const match = /^([^/]+)\/manifest\.json$/.exec(key.slice(`${prefix}snapshots/`.length));
      if (match?.[1] !== undefined) names.push(match[1]);
    }
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined && names.length < MAX_NAMES);
  return names;
}

/** @throws Error when a manifest can not be read: then nothing is known to be unused. */
async function referenced(parts: SnapshotParts, names: readonly string[]): Promise<ReadonlySet<string>> {
  const paths = new Set<string>();
  for (const name of names) {
    const text = await readManifestText(parts, name);
    const read = text === undefined ? undefined : readManifest(text, undefined);
    if (read?.ok !== true) throw new Error(`the manifest of ${name} can not be read`);
    for (const { path } of read.manifest.files) paths.add(path);
  }
  return paths;
}

export interface Cleaned {
  readonly expired: readonly string[];
  readonly deleted: number;
}

export async function cleanBackups(parts: SnapshotParts, log: Log): Promise<Cleaned> {
  const now = parts.now();
  const names = await snapshotNames(parts);
  const expired = new Set(expiredNames(names, now));
  for (const name of expired) {
    try {
      // The manifest first: without it nobody takes the rest for a snapshot.
      await parts.bucket.delete(`${parts.prefix}${manifestPath(name)}`);
      await expireRun(parts.db, name);
    } catch (error) {
      expired.delete(name);
      log("warn", "backup.kept-by-lock", { reason: reasonOf(error) });
    }
  }
  const kept = names.filter((name) => !expired.has(name));
  let deleted = 0;
  try {
    deleted = await deleteUnused(parts, kept, now, log);
  } catch (error) {
    // Nothing is lost by what stays; what may not stay is not this one's to delete.
    log("error", "backup.unused-kept", { reason: reasonOf(error) });
  }
  return { expired: [...expired], deleted };
}

/** @throws Error when a manifest can not be read. */
async function deleteUnused(parts: SnapshotParts, names: readonly string[], now: number, log: Log): Promise<number> {
  const unused = await unusedObjects(parts.db, now - UNUSED_AFTER_MS, MAX_UNUSED);
  if (unused.length === 0) return 0;
  const kept = await referenced(parts, names);
  let deleted = 0;
  for (const path of unused.filter((one) => !kept.has(one))) {
    try {
      await parts.bucket.delete(`${parts.prefix}${path}`);
      await forgetObjects(parts.db, [path]);
      deleted += 1;
    } catch (error) {
      log("warn", "backup.kept-by-lock", { reason: reasonOf(error) });
    }
  }
  return deleted;
}

/**
 * Whatever else failed: erasure is complete everywhere when the last copy of a key is gone. Found in the bucket, not in our rows,
 * and by the clock: it waits for no run and no manifest.
 */
export async function deleteOldKeys(parts: SnapshotParts, now: number): Promise<void> {
  const held = await keysFiles(parts.db);
  const old = held.filter(({ writtenAt }) => now - writtenAt > KEYS_KEPT_MS).map(({ path }) => path);
  const kept = held.filter(({ path }) => !old.includes(path));
  const current = new Set(kept.map(({ path }) => path));
  /** A database that is new knows no file: what it has not written again itself may be all there is. */
  const isReplaced = (path: string): boolean => {
    const range = rangeOfPath(path);
    return range !== undefined && kept.some(({ from, to }) => from === range.from && to !== null && to >= range.to);
  };
  let cursor: string | undefined;
  do {
    const prefix = `${parts.prefix}keys/`;
    const page = await parts.bucket.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
    const gone = page.objects
      .map(({ key }) => key)
      .filter((key) => {
        const path = key.slice(parts.prefix.length);
        if (old.includes(path)) return true;
        const uploaded = page.objects.find((object) => object.key === key)?.uploaded;
        if (current.has(path) || uploaded === undefined) return false;
        const age = now - uploaded.getTime();
        // Nobody's: replaced by a turn that was cut off, or of a database that is gone.
        return age > KEYS_KEPT_MS || (age > UNUSED_AFTER_MS && isReplaced(path));
      });
    if (gone.length > 0) await parts.bucket.delete(gone);
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  if (old.length > 0) await forgetObjects(parts.db, old);
}

export interface Checked {
  readonly good: number;
  readonly damaged: readonly string[];
}

/** Reads again what was looked at longest ago. What is lost or changed is forgotten, so that the next snapshot writes it again. */
export async function checkOldObjects(parts: SnapshotParts, limit: number, log: Log): Promise<Checked> {
  const now = parts.now();
  const due = await leastChecked(parts.db, now - CHECK_EVERY_MS, limit);
  const good: string[] = [];
  const damaged: string[] = [];
  for (const object of due) {
    const bytes = await readBackupObject(parts, object.path);
    const found = bytes === undefined ? undefined : { bytes: bytes.length, sha256: await sha256Hex(bytes) };
    const checked = checkFile(object, found);
    if (checked.ok) good.push(object.path);
    else {
      damaged.push(object.path);
      log("error", "backup.damaged", { code: object.kind, reason: `${checked.path} ${checked.reason}` });
    }
  }
  if (due.length > 0) await saveChecks(parts.db, good, damaged, now);
  return { good: good.length, damaged };
}
