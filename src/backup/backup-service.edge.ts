/** What operators ask of backups, the same of core and of the hub. */
import type { Log } from "../platform/log.ts";
import type { Problem } from "../platform/problem.ts";
import { afterTurn } from "./backup.cron.ts";
import { findRun, listRuns, newestGoodSize, readProgress } from "./backup.store.ts";
import { snapshotNames } from "./clean.edge.ts";
import { type DrillRow, listDrills } from "./drill.store.ts";
import { isTag } from "./retention.ts";
import type { RunRow } from "./run.ts";
import { isBackupPath, type ShownRun, showRun } from "./show-backup.ts";
import {
  advanceSnapshot,
  beginSnapshot,
  readBackupObject,
  readManifestText,
  type SnapshotParts,
} from "./snapshot.edge.ts";

export type Asked<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Problem };

const refused = (code: Problem["code"], detail: string): { readonly ok: false; readonly problem: Problem } => ({
  ok: false,
  problem: { code, detail },
});

export const NO_BACKUPS = refused(
  "unavailable",
  "Nothing is backed up: this worker has no bucket BACKUPS or no BACKUP_ENCRYPTION_KEY.",
);
const NO_SNAPSHOT = refused("not_found", "There is no such snapshot.");

const found = (run: RunRow | undefined): Asked<ShownRun> =>
  run === undefined ? NO_SNAPSHOT : { ok: true, value: showRun(run) };

export async function askToBegin(parts: SnapshotParts, tag: string | undefined): Promise<Asked<ShownRun>> {
  if (tag !== undefined && !isTag(tag))
    return refused("invalid_body", "A tag is at most 32 letters, digits and hyphens.");
  const name = await beginSnapshot(parts, "command", tag);
  if (name !== undefined) return found(await findRun(parts.db, name));
  return refused("conflict", "A snapshot is under way. Ask for it, or wait for its end.");
}

/** One turn now, for whoever does not want to wait for the minute's cron. */
export async function askToAdvance(
  parts: SnapshotParts,
  name: string,
  turnMs: number,
  log: Log,
): Promise<Asked<ShownRun>> {
  const turn = await advanceSnapshot(parts, name, parts.now() + turnMs);
  await afterTurn(parts, turn, log);
  return found(await findRun(parts.db, name));
}

export const askForRun = async (parts: SnapshotParts, name: string): Promise<Asked<ShownRun>> =>
  found(await findRun(parts.db, name));

export const showDrill = (drill: DrillRow) => ({
  source: drill.source,
  snapshot: drill.snapshot,
  state: drill.state,
  startedAt: new Date(drill.startedAt).toISOString(),
  finishedAt: drill.finishedAt === null ? null : new Date(drill.finishedAt).toISOString(),
  entries: drill.entries,
  reason: drill.reason,
  report: recordOf(drill.report),
});

function recordOf(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  return typeof value === "object" && value !== null ? { ...value } : {};
}

const RUNS_SHOWN = 60;
const DRILLS_SHOWN = 12;

export async function listBackups(parts: SnapshotParts) {
  const [runs, drills, progress, good, names] = await Promise.all([
    listRuns(parts.db, RUNS_SHOWN),
    listDrills(parts.db, DRILLS_SHOWN),
    readProgress(parts.db),
    newestGoodSize(parts.db),
    snapshotNames(parts),
  ]);
  return {
    runs: runs.map(showRun),
    drills: drills.map(showDrill),
    /** In the bucket, newest first: also those that another database made. */
    snapshots: names.toSorted().toReversed(),
    /** Entries that the bucket holds, the last minutes' among them. */
    covered: Math.max(progress.tailTo, good ?? 0),
    damaged: progress.damaged,
  };
}

export async function askForManifest(parts: SnapshotParts, name: string): Promise<Asked<string>> {
  const text = await readManifestText(parts, name);
  return text === undefined ? NO_SNAPSHOT : { ok: true, value: text };
}

/**
 * Files of wrapped keys, and of the minutes since the last snapshot: what a restore takes beside the snapshot. Read from the bucket: after
 * a loss the database knows of none.
 */
export async function listApart(parts: SnapshotParts) {
  const [keys, tail] = await Promise.all([filesUnder(parts, "keys/"), filesUnder(parts, "tail/")]);
  const times = [...keys, ...tail].map(({ writtenAt }) => writtenAt);
  return {
    keys: keys.map(({ path }) => ({ path })),
    tail: tail.map(({ path }) => path),
    /** A copy of these must be gone 30 days after it. */
    oldestAt: times.length === 0 ? null : new Date(Math.min(...times)).toISOString(),
  };
}

async function filesUnder(parts: SnapshotParts, directory: string) {
  const files: { readonly path: string; readonly writtenAt: number }[] = [];
  let cursor: string | undefined;
  do {
    const page = await parts.bucket.list({
      prefix: `${parts.prefix}${directory}`,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const { key, uploaded } of page.objects) {
      files.push({ path: key.slice(parts.prefix.length), writtenAt: uploaded.getTime() });
    }
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return files;
}

export async function askForObject(parts: SnapshotParts, path: string): Promise<Asked<Uint8Array<ArrayBuffer>>> {
  if (!isBackupPath(path)) return refused("invalid_query", "This is not the path of a backup's file.");
  const bytes = await readBackupObject(parts, path);
  return bytes === undefined ? refused("not_found", "There is no such file.") : { ok: true, value: bytes };
}
