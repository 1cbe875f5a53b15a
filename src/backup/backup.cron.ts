/** The minute's part of backups: new entries go into the tail, a run goes on, the night's begins, old objects are read again. */
import { type Log, reasonOf } from "../platform/log.ts";
import { failStaleRuns, listRuns, pruneRuns } from "./backup.store.ts";
import { checkOldObjects, cleanBackups, deleteOldKeys } from "./clean.edge.ts";
import { limitsAreDue, nightlyIsDue } from "./nightly.ts";
import { RUN_GIVEN_UP_MS, RUNS_KEPT_MS } from "./retention.ts";
import { advanceSnapshot, beginSnapshot, type SnapshotParts, type Turn } from "./snapshot.edge.ts";
import { pruneTail, writeTail } from "./tail.edge.ts";

/** Objects that are read again in a minute; each is some megabytes. */
const CHECKS_A_MINUTE = 4;
const RUNS_LOOKED_AT = 20;

export interface BackupLimits {
  readonly hourUtc: number;
  readonly turnMs: number;
}

type Job = "tail" | "old-keys" | "old-tail" | "old-runs" | "stale-runs" | "snapshot" | "clean-up" | "old-objects";

/**
 * Safe to call at any time and as often as one likes: turns keep one another away by their lease. One job that fails holds up no other;
 * least of all the tail, which is what a loss costs, and the limits of wrapped keys, which erasure rests on.
 * @throws the first failure, when all jobs have had their turn; each is logged.
 */
export async function backUp(parts: SnapshotParts, limits: BackupLimits, log: Log): Promise<Turn> {
  const began = parts.now();
  const deadline = began + limits.turnMs;
  const failures: unknown[] = [];
  const attempt = async <Value>(job: Job, work: () => Promise<Value>): Promise<Value | undefined> => {
    try {
      return await work();
    } catch (error) {
      failures.push(error);
      log("error", "backup.job-failed", { code: job, reason: reasonOf(error) });
      return undefined;
    }
  };
  await attempt("tail", () => writeTail(parts, began + limits.turnMs / 2));
  if (limitsAreDue(began)) {
    await attempt("old-keys", () => deleteOldKeys(parts, began));
    await attempt("old-tail", () => pruneTail(parts));
    await attempt("old-runs", () => pruneRuns(parts.db, began - RUNS_KEPT_MS));
  }
  await attempt("stale-runs", () => failStaleRuns(parts.db, began - RUN_GIVEN_UP_MS, began));
  const turn = await attempt("snapshot", async () => {
    if (nightlyIsDue(await listRuns(parts.db, RUNS_LOOKED_AT), began, limits.hourUtc)) {
      await beginSnapshot(parts, "nightly", undefined);
    }
    return advanceSnapshot(parts, undefined, deadline);
  });
  if (turn !== undefined) await attempt("clean-up", () => afterTurn(parts, turn, log));
  if (turn === undefined || turn.type === "idle")
    await attempt("old-objects", () => checkOldObjects(parts, CHECKS_A_MINUTE, log));
  if (failures.length > 0) throw failures[0];
  return turn ?? { type: "idle" };
}

/** What a run's end brings with it. */
export async function afterTurn(parts: SnapshotParts, turn: Turn, log: Log): Promise<void> {
  switch (turn.type) {
    case "idle":
    case "running":
      return;
    case "failed":
      log("error", "backup.failed", { reason: turn.reason });
      return;
    case "good": {
      log("info", "backup.good", {});
      const { expired, deleted } = await cleanBackups(parts, log);
      log("info", "backup.cleaned", { count: expired.length + deleted });
    }
  }
}
