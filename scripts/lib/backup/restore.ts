/** A restore from an archive, with what it is held against and what it came to. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Manifest } from "../../../src/backup/manifest.ts";
import { restoreAll, restoredRows, restoreSteps } from "../../../src/backup/restore.edge.ts";
import { type Promised, RestoreRefused, type RestoreState } from "../../../src/backup/restore-files.edge.ts";
import type { BackupKeys } from "../../../src/backup/sealed-file.ts";
import type { VerifierKey } from "../../../src/ledger/note.ts";
import { Failure } from "../fail.ts";
import { openArchive, type Progress } from "./archive.ts";
import { publishRestored } from "./publish.ts";
import type { Target } from "./target.ts";

export interface RestoreOptions {
  readonly keys: BackupKeys;
  /** What the ledger was promised to be, by whoever keeps such promises apart from the backup. @throws Failure: then nothing is restored. */
  readonly promisesFor: (manifest: Manifest) => Promise<{
    readonly logKeys: readonly VerifierKey[];
    readonly promises: readonly Promised[];
  }>;
  /** Id of the ledger that is opened where the backup falls short of a promise; undefined: it is refused. */
  readonly continuesAs?: string | undefined;
  /** Restores without the wrapped keys: entries and tables alone, nobody's data opens. */
  readonly withoutKeys: boolean;
  readonly targetOf: (manifest: Manifest) => Target | Promise<Target>;
  readonly progress: Progress;
}

export interface Restored {
  readonly manifest: Manifest;
  readonly state: RestoreState;
  readonly rows: Readonly<Record<string, number>>;
  readonly checkMs: number;
  readonly restoreMs: number;
  /** The newest entry's time; null without a ledger. */
  readonly lastEntryAt: string | null;
}

/** @throws Failure with the file or the promise that does not hold; then nothing is offered. */
export async function restoreArchive(path: string, options: RestoreOptions): Promise<Restored> {
  const scratch = mkdtempSync(join(tmpdir(), "itrans-restore-"));
  let target: Target | undefined;
  try {
    const began = performance.now();
    const { manifest, source, hasKeys } = await openArchive(path, scratch, options.keys, options.progress);
    if (manifest.ledger !== null && !hasKeys && !options.withoutKeys) {
      throw new Failure(
        "the archive of wrapped keys is not beside it: with --without-keys nobody's data can be opened, and ids are hashes",
      );
    }
    const checked = performance.now();
    const { logKeys, promises } = await options.promisesFor(manifest);
    const asked = performance.now();
    target = await options.targetOf(manifest);
    const parts = {
      db: target.db,
      payloads: target.objects,
      source,
      manifest,
      catalogue: target.catalogue,
      keys: options.keys,
      logKeys,
      promises,
      continuesAs: options.continuesAs,
      now: Date.now,
    };
    const steps = restoreSteps(manifest);
    const state = await restoreAll(parts, (now, done) =>
      options.progress(`restoring ${now.phase}`, Math.min(done, steps), steps),
    );
    if (target.publishes && manifest.ledger !== null) {
      await publishRestored(target.db, manifest.ledger.id, target.objects, (done, total) =>
        options.progress("making the log's files", done, total),
      );
    }
    const rows = await restoredRows(target);
    const last = target.sqlite.prepare("SELECT name FROM sqlite_schema WHERE name = 'ledger_heads'").get();
    const head =
      last === undefined
        ? undefined
        : target.sqlite.prepare("SELECT last_at FROM ledger_heads WHERE ledger_id = ?").get(manifest.ledger?.id ?? "");
    const lastEntryAt = head === undefined ? null : String(head.last_at);
    await target.finish();
    return {
      manifest,
      state,
      rows,
      checkMs: checked - began,
      restoreMs: performance.now() - asked,
      lastEntryAt,
    };
  } catch (error) {
    target?.discard();
    throw error instanceof RestoreRefused ? new Failure(error.message) : error;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
