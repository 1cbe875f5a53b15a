/** Runs and drills as the API shows them. */
import type { RunRow } from "./run.ts";

const iso = (epochMs: number): string => new Date(epochMs).toISOString();

export const showRun = (run: RunRow) => ({
  name: run.name,
  kind: run.kind,
  state: run.state,
  size: run.size,
  startedAt: iso(run.startedAt),
  finishedAt: run.finishedAt === null ? null : iso(run.finishedAt),
  files: run.files,
  bytes: run.bytes,
  newFiles: run.newFiles,
  newBytes: run.newBytes,
  manifestSha256: run.manifestSha256,
  reason: run.reason,
  phase: phaseOf(run.cursor),
});

export type ShownRun = ReturnType<typeof showRun>;

function phaseOf(cursor: string): string | null {
  const parsed: unknown = JSON.parse(cursor);
  return typeof parsed === "object" && parsed !== null && "phase" in parsed ? String(parsed.phase) : null;
}

/** A path that is one of a backup's: nothing else in the bucket is served. */
export const isBackupPath = (path: string): boolean =>
  /^(?:objects\/(?:entries|payloads|attachments|tables\/[a-z0-9_]+)|keys|tail)\/[0-9a-f-]{64,110}\.(?:ndjson\.gz|sealed)$/.test(
    path,
  );
