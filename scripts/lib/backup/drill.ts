/** A restore drill: a snapshot of a running system is fetched, checked and restored on this machine, and the system is told how it went. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { TAIL_GRACE_MS } from "../../../src/backup/retention.ts";
import { backupKeys } from "../../../src/backup/sealed-file.ts";
import { parseVerifierKey, type VerifierKey } from "../../../src/ledger/note.ts";
import { Failure, messageOf } from "../fail.ts";
import { call, summaryOf } from "../http.ts";
import { writeArchive } from "./archive.ts";
import { recoveryPoints } from "./recovery.ts";
import { restoreArchive } from "./restore.ts";
import { type BackupSite, remoteSnapshot } from "./site.ts";
import { fileTarget } from "./target.ts";

export interface DrillParts {
  readonly site: BackupSite;
  /** Whether the system keeps a list of drills: core does. */
  readonly of?: "core" | "hub";
  readonly snapshot: string;
  /** For a log that is not public. */
  readonly auditorToken?: string | undefined;
  /** Hears what could not be looked at. */
  readonly warn?: (line: string) => void;
  /** Values of BACKUP_ENCRYPTION_KEY that may open it. */
  readonly secrets: readonly string[];
  /** Keys that may have signed the checkpoint. */
  readonly logKeys: readonly VerifierKey[];
  readonly progress: Parameters<typeof writeArchive>[2];
}

export interface Drilled {
  readonly entries: number;
  readonly fetchMs: number;
  readonly checkMs: number;
  readonly restoreMs: number;
  /** A line for each class of data: what a loss would have cost. */
  readonly recovery: readonly string[];
}

/** The outcome is recorded, a bad one too. @throws Failure naming why it was bad. */
export async function runDrill({
  site,
  of = "core",
  snapshot,
  auditorToken,
  warn = () => {},
  secrets,
  logKeys,
  progress,
}: DrillParts): Promise<Drilled> {
  const startedAt = new Date();
  const scratch = mkdtempSync(join(tmpdir(), "itrans-drill-"));
  let drilled: Drilled | undefined;
  let reason: string | null = null;
  let report: Record<string, string | number> = {};
  try {
    const began = performance.now();
    const { archive } = await writeArchive(await remoteSnapshot(site, snapshot), scratch, progress);
    const fetchMs = performance.now() - began;
    const restored = await restoreArchive(archive, {
      keys: backupKeys(secrets),
      promisesFor: async () => ({ logKeys, promises: [] }),
      withoutKeys: false,
      targetOf: (manifest) => fileTarget(join(scratch, "restored.sqlite"), manifest),
      progress,
    });
    const { checkMs, restoreMs, state } = restored;
    if (of === "core" && !(await checkReach(site.operator.url, state.size, startedAt.getTime(), auditorToken))) {
      warn(
        "how far the backup reaches was not checked: the log is not public, and AUDITOR_TOKEN is not set or not its",
      );
    }
    report = {
      fetchMs: Math.round(fetchMs),
      checkMs: Math.round(checkMs),
      restoreMs: Math.round(restoreMs),
      ...state.counts,
    };
    const recovery = recoveryPoints(restored, startedAt.getTime());
    drilled = { entries: state.size, fetchMs, checkMs, restoreMs, recovery };
  } catch (error) {
    reason = messageOf(error).slice(0, 500);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  if (of === "core") {
    await site.operator.ask(`${site.base}/restore-drills`, {
      method: "POST",
      body: {
        snapshot,
        good: reason === null,
        startedAt: startedAt.toISOString(),
        finishedAt: new Date().toISOString(),
        entries: drilled?.entries ?? 0,
        reason,
        report,
      },
    });
  }
  if (drilled === undefined) throw new Failure(`the drill failed: ${reason}`);
  return drilled;
}

const entrySchema = z.object({ entry: z.object({ at: z.iso.datetime() }) });

/**
 * The first entry that the backup has not may be younger than the recovery point, and no older: else the tail stands still.
 * @param startedAt epoch ms, when the files were asked for.
 * @returns false when the log did not let it be asked; the cron's drill asks in its stead.
 * @throws Failure naming the entry, or what was answered instead of it.
 */
export async function checkReach(url: string, size: number, startedAt: number, token?: string): Promise<boolean> {
  const path = `/ledger/entries/${size}`;
  const answer = await call(`${url}${path}`, {
    headers: token === undefined || token === "" ? {} : { authorization: `Bearer ${token}` },
  });
  // The backup has them all.
  if (answer.status === 404) return true;
  if (answer.status === 401 || answer.status === 403) return false;
  const read = entrySchema.safeParse(answer.status === 200 ? answer.body : undefined);
  if (!read.success) throw new Failure(`whether the backup reaches entry ${size} is not known: ${summaryOf(answer)}`);
  if (startedAt - Date.parse(read.data.entry.at) <= TAIL_GRACE_MS) return true;
  throw new Failure(`entry ${size} of ${read.data.entry.at} is in no backup: what there is reaches ${size} entries`);
}

/** A drill is about the backup: whether the log is what others pinned, `npm run verify` says. */
export async function servedKeys(url: string): Promise<readonly VerifierKey[]> {
  const answer = await call(`${url}/ledger/log/key`);
  if (answer.status !== 200 || typeof answer.body !== "string") return [];
  return answer.body
    .split("\n")
    .map(parseVerifierKey)
    .filter((key) => key !== undefined);
}
