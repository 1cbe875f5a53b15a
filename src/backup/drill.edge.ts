/**
 * The restore drill that nobody has to remember: once a month the newest snapshot, and the minutes since it, are restored into the
 * database SCRATCH, turn by turn, and held against the newest signed checkpoint and the newest confirmed anchor: a tail that stands still
 * is a backup that falls short, and the drill says so. Only what is younger than the recovery point may be missing. Without that binding there is none, and the
 * status says so; `npm run restore:drill` is the same on a machine of one's own.
 */
import type { VerifierKey } from "../ledger/note.ts";
import { listRuns, newestGoodSize, readProgress } from "./backup.store.ts";
import {
  beginDrill,
  copySchema,
  type DrillRow,
  failStaleDrills,
  listDrills,
  recordedPromises,
  saveDrill,
  takeDrill,
} from "./drill.store.ts";
import { readManifest } from "./manifest.ts";
import { drillIsDue } from "./nightly.ts";
import { RESTORE_START, restoreStep } from "./restore.edge.ts";
import { type BackupSource, type Promised, RestoreRefused, type RestoreState } from "./restore-files.edge.ts";
import { RUN_GIVEN_UP_MS, TAIL_GRACE_MS } from "./retention.ts";
import { readBackupObject, readManifestText, type SnapshotParts } from "./snapshot.edge.ts";

export interface DrillParts extends SnapshotParts {
  readonly scratch: D1Database;
  readonly logKeys: readonly VerifierKey[];
}

interface Cursor {
  /** false: the database is still to be emptied. */
  readonly prepared: boolean;
  readonly restore: RestoreState;
  readonly promises: readonly Promised[];
  /** The newest checkpoint's size when the drill began: what is beyond the promises is younger than the recovery point. */
  readonly newestCheckpoint: number;
  readonly workedMs: number;
}

export function bucketSource(parts: Pick<SnapshotParts, "bucket" | "prefix">): BackupSource {
  return {
    read: (path) => readBackupObject(parts, path),
    async list(directory) {
      const paths: string[] = [];
      let cursor: string | undefined;
      do {
        const prefix = `${parts.prefix}${directory}/`;
        const page = await parts.bucket.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
        paths.push(...page.objects.map(({ key }) => key.slice(parts.prefix.length)));
        cursor = page.truncated ? page.cursor : undefined;
      } while (cursor !== undefined);
      return paths;
    },
  };
}

export type DrillTurn =
  | { readonly type: "idle" | "running" | "good" }
  | { readonly type: "failed"; readonly reason: string };

const LEASE_MS = 120_000;

/** Begins a drill when one is due, and goes on with the one that runs until `deadline`. */
export async function advanceDrill(parts: DrillParts, deadline: number): Promise<DrillTurn> {
  const { db, ledger } = parts;
  const now = parts.now();
  await failStaleDrills(db, now - RUN_GIVEN_UP_MS, now);
  if (ledger !== undefined && drillIsDue(await listDrills(db, 20), now)) {
    const newest = (await listRuns(db, 60)).find(({ state }) => state === "good");
    if (newest !== undefined) {
      const covered = Math.max((await newestGoodSize(db)) ?? 0, (await readProgress(db)).tailTo);
      const recorded = await recordedPromises(db, ledger.id, covered, now - TAIL_GRACE_MS);
      const { checkpoint, anchor, newestSize: newestCheckpoint } = recorded;
      const promises = [
        ...(checkpoint === undefined ? [] : [{ ...checkpoint, what: "the newest checkpoint" }]),
        ...(anchor === undefined ? [] : [{ ...anchor, what: "the newest anchor" }]),
      ];
      const cursor: Cursor = { prepared: false, restore: RESTORE_START, promises, newestCheckpoint, workedMs: 0 };
      await beginDrill(db, newest.name, JSON.stringify(cursor), now);
    }
  }
  const leaseMs = parts.leaseMs ?? LEASE_MS;
  const drill = await takeDrill(db, now, leaseMs);
  if (drill === undefined) return { type: "idle" };
  return turn(parts, drill, deadline, leaseMs);
}

async function turn(parts: DrillParts, drill: DrillRow, deadline: number, leaseMs: number): Promise<DrillTurn> {
  // What was written is this module's own.
  let cursor = JSON.parse(drill.cursor) as Cursor;
  const save = (state: "running" | "good" | "failed", leaseUntil: number, reason: string | null = null) =>
    saveDrill(parts.db, drill, {
      state,
      cursor: state === "running" ? JSON.stringify(cursor) : "",
      leaseUntil,
      entries: cursor.restore.size,
      report: JSON.stringify({
        ...cursor.restore.counts,
        workedMs: cursor.workedMs,
        promised: Math.max(0, ...cursor.promises.map(({ size }) => size)),
        newestCheckpoint: cursor.newestCheckpoint,
      }),
      reason,
      now: parts.now(),
    });
  const fail = async (reason: string): Promise<DrillTurn> => {
    await save("failed", 0, reason.slice(0, 500));
    return { type: "failed", reason };
  };
  const read = readManifest((await readManifestText(parts, drill.snapshot)) ?? "", parts.keys);
  if (!read.ok) return fail(`the manifest of ${drill.snapshot}: ${read.reason}`);
  try {
    do {
      const began = parts.now();
      if (!cursor.prepared) {
        if (!(await copySchema(parts.db, parts.scratch))) {
          return await fail("SCRATCH has tables that no drill made: bind an empty database");
        }
        cursor = { ...cursor, prepared: true };
      } else {
        const restore = await restoreStep(
          {
            db: parts.scratch,
            payloads: undefined,
            source: bucketSource(parts),
            manifest: read.manifest,
            catalogue: parts.catalogue,
            keys: parts.keys,
            logKeys: parts.logKeys,
            promises: cursor.promises,
            now: parts.now,
          },
          cursor.restore,
        );
        cursor = { ...cursor, restore };
      }
      cursor = { ...cursor, workedMs: cursor.workedMs + parts.now() - began };
      if (cursor.restore.phase === "done") {
        await save("good", 0);
        return { type: "good" };
      }
      if (!(await save("running", parts.now() + leaseMs))) return { type: "idle" };
    } while (parts.now() < deadline);
    await save("running", 0);
    return { type: "running" };
  } catch (error) {
    if (error instanceof RestoreRefused) return fail(error.message);
    await save("running", 0).catch(() => undefined);
    throw error;
  }
}
