/** The minute's part of backups: a run goes on, the night's begins, new entries go into the tail, old objects are read again. */
import type { Log } from "../platform/log.ts";
import { listRuns } from "./backup.store.ts";
import { checkOldObjects, cleanBackups } from "./clean.edge.ts";
import { nightlyIsDue } from "./nightly.ts";
import { advanceSnapshot, beginSnapshot, type SnapshotParts, type Turn } from "./snapshot.edge.ts";
import { pruneTail, writeTail } from "./tail.edge.ts";

/** Objects that are read again in a minute; each is some megabytes. */
const CHECKS_A_MINUTE = 4;
const RUNS_LOOKED_AT = 20;

export interface BackupLimits {
  readonly hourUtc: number;
  readonly turnMs: number;
}

/** Safe to call at any time and as often as one likes: turns keep one another away by their lease. */
export async function backUp(parts: SnapshotParts, limits: BackupLimits, log: Log): Promise<Turn> {
  const began = parts.now();
  const deadline = began + limits.turnMs;
  if (nightlyIsDue(await listRuns(parts.db, RUNS_LOOKED_AT), began, limits.hourUtc)) {
    await beginSnapshot(parts, "nightly", undefined);
  }
  const turn = await advanceSnapshot(parts, undefined, deadline);
  await afterTurn(parts, turn, log);
  await writeTail(parts, Math.max(deadline, parts.now() + limits.turnMs / 4));
  if (turn.type === "idle") await checkOldObjects(parts, CHECKS_A_MINUTE, log);
  return turn;
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
      const pruned = await pruneTail(parts);
      log("info", "backup.cleaned", { count: expired.length + deleted + pruned });
    }
  }
}
