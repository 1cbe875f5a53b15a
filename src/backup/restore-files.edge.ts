/** What a restore has at hand, and its files: each is held against the manifest before anything of it is used. */

import type { LogPosition } from "../ledger/check-log.ts";
import type { VerifierKey } from "../ledger/note.ts";
import type { Catalogue } from "./catalogue.ts";
import { checkFile, type Manifest, type ManifestFile } from "./manifest.ts";
import { type BackupKeys, openFile } from "./sealed-file.ts";
import { type Range, rangeOfPath, sha256Hex, unpackLines } from "./segments.ts";

export interface BackupSource {
  read(path: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Names under `keys/` or `tail/`. */
  list(directory: "keys" | "tail"): Promise<readonly string[]>;
}

export interface RestoreParts {
  readonly db: D1Database;
  /** Where ciphertext that was an object goes, and attachments; undefined: it is not restored. */
  readonly payloads: { put(key: string, value: string | Uint8Array<ArrayBuffer>): Promise<unknown> } | undefined;
  readonly source: BackupSource;
  readonly manifest: Manifest;
  readonly catalogue: Catalogue;
  readonly keys: BackupKeys;
  /** Keys of the log, pinned by whoever restores. */
  readonly logKeys: readonly VerifierKey[];
  /** What was promised of the ledger elsewhere: its newest signed checkpoint, its newest anchor. The restore must reach them. */
  readonly promises?: readonly Promised[];
  /** Of a new ledger, which is opened where the restore falls short of a promise; undefined: it is then refused. */
  readonly continuesAs?: string | undefined;
  readonly now: () => number;
}

export interface Promised {
  readonly size: number;
  readonly rootHash: string;
  /** `the published checkpoint`. */
  readonly what: string;
}

/** What stops a restore: the file or the promise that does not hold. */
export class RestoreRefused extends Error {
  override readonly name = "RestoreRefused";
}

export interface RestoreCounts {
  readonly entries: number;
  readonly subjects: number;
  readonly erased: number;
  /** Subjects whose key no backup holds, and no entry says that they were erased. */
  readonly withoutKey: number;
  readonly keys: number;
  readonly payloads: number;
  readonly rows: number;
  /** Rows whose parents were deleted while the snapshot was made. */
  readonly orphans: number;
  /** Deliveries of unknown fate that are sent again under their event id. */
  readonly sentAgain: number;
  /** Settlements under way, of which the operator is asked before anything is sent. */
  readonly askedAgain: number;
  readonly attachments: number;
  /** Those whose object the backup has not: deleted while it was made, or not what was stored. They may still be in the hub's bucket. */
  readonly attachmentsWithout: number;
}

export interface RestoreState {
  readonly phase: "begin" | "entries" | "tail" | "keys" | "payloads" | "tables" | "attachments" | "finish" | "done";
  readonly at: number;
  readonly position: LogPosition;
  readonly size: number;
  readonly counts: RestoreCounts;
}

export const filesOf = ({ manifest }: RestoreParts, kind: ManifestFile["kind"]): readonly ManifestFile[] =>
  manifest.files.filter((file) => file.kind === kind);

export const ledgerOf = ({ manifest }: RestoreParts) => {
  if (manifest.ledger === null) throw new Error("this backup has no ledger");
  return manifest.ledger;
};

/** The bytes of a file, as they were written. */
export async function readChecked(source: BackupSource, file: ManifestFile): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await source.read(file.path);
  const found = bytes === undefined ? undefined : { bytes: bytes.length, sha256: await sha256Hex(bytes) };
  const checked = checkFile(file, found);
  if (!checked.ok || bytes === undefined) {
    throw new RestoreRefused(`${file.path} ${checked.ok ? "is missing" : checked.reason}`);
  }
  return bytes;
}

export async function linesOf(
  keys: BackupKeys | undefined,
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<readonly unknown[]> {
  try {
    return unpackLines(keys === undefined ? bytes : await openFile(keys, bytes));
  } catch (error) {
    throw new RestoreRefused(`${path} can not be read: ${error instanceof Error ? error.message : "unknown"}`);
  }
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Entries in one batch: few enough that a batch is well under the platform's limits. */
export const BATCH = 512;

export interface TailFile {
  readonly path: string;
  readonly range: Range;
}

/** Tail files with something of entries from `from` on. */
export async function tailFiles(parts: RestoreParts, size: number): Promise<readonly TailFile[]> {
  const from = ledgerOf(parts).size;
  return (await parts.source.list("tail"))
    .flatMap((path) => {
      const range = rangeOfPath(path);
      return range !== undefined && range.to > from && range.from < size ? [{ path, range }] : [];
    })
    .sort((a, b) => a.range.from - b.range.from || a.range.to - b.range.to);
}

export async function readTail(
  parts: RestoreParts,
  size: number,
  part: "key" | "payload" | "outbox" | "settlement" | "idempotency" | "operatorAction",
): Promise<readonly { readonly path: string; readonly value: unknown }[]> {
  const found: { path: string; value: unknown }[] = [];
  for (const { path } of await tailFiles(parts, size)) {
    const bytes = await parts.source.read(path);
    if (bytes === undefined) continue;
    for (const line of await linesOf(parts.keys, path, bytes)) {
      if (isRecord(line) && part in line) found.push({ path, value: line[part] });
    }
  }
  return found;
}
