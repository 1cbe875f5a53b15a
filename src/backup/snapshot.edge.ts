/**
 * A snapshot, made in turns: each step writes one segment or chunk to the bucket, reads it back, and records it in one batch with how
 * far the run is. A step that was cut off is done again and gives the same objects under the same names. The manifest comes last:
 * a snapshot without one is none.
 *
 * The ledger part is as of the size that the head had when the run began, whatever is appended meanwhile: entries never change, and
 * the tree over those that were written must have the root that the head had.
 */

import { LOG_START, type LogPosition, LogWalk } from "../ledger/check-log.ts";
import { FAST_HASHER } from "../ledger/check-tree.ts";
import { objectKey } from "../medlink/attachments/attachment.ts";
import { fromUtf8, utf8 } from "../platform/encoding.ts";
import { attachmentPath, packAttachment } from "./attachment-file.ts";
import { readAttachments } from "./attachments.store.ts";
import {
  countFiles,
  endRun,
  filesOfRun,
  findObjects,
  insertRun,
  keysFiles,
  type NewObject,
  readProgress,
  releaseRun,
  type Step,
  saveStep,
  takeRun,
} from "./backup.store.ts";
import { type Catalogue, copiedTables } from "./catalogue.ts";
import { type ManifestFile, sealManifest } from "./manifest.ts";
import { keysDueAfter, snapshotName } from "./retention.ts";
import type { RunRow } from "./run.ts";
import { type BackupKeys, openFile, sealFile } from "./sealed-file.ts";
import {
  endsChunk,
  FILE_CHARACTERS,
  nextSegment,
  PAGE_ROWS,
  packLines,
  pagesOf,
  pathOf,
  type Range,
  SEGMENT_ENTRIES,
  sha256Hex,
} from "./segments.ts";
import {
  appliedMigrations,
  type LedgerFacts,
  readEntryLines,
  readKeyRows,
  readLedgerFacts,
  readPayloadRows,
  readTablePage,
  tableShape,
} from "./source.store.ts";

export interface SnapshotParts {
  readonly db: D1Database;
  readonly bucket: R2Bucket;
  /** In the bucket, before every name: `core/main/`, `hub/`. */
  readonly prefix: string;
  readonly of: "itrans-core" | "medlink-hub";
  readonly catalogue: Catalogue;
  /** Undefined: there is no ledger in this database. */
  readonly ledger: { readonly id: string; readonly masterKeyId: string; readonly payloads: R2Bucket } | undefined;
  /** Where the hub's attachments are; undefined: this worker has none. */
  readonly attachments?: R2Bucket;
  readonly keys: BackupKeys;
  readonly settings: Readonly<Record<string, string | number | boolean | null>>;
  readonly now: () => number;
  /** How long a turn that stopped telling of itself keeps others away. */
  readonly leaseMs?: number;
}

const LEASE_MS = 120_000;

interface Cursor {
  readonly phase: "segments" | "keys" | "tables" | "attachments" | "finish";
  readonly createdAt: string;
  readonly ledger: LedgerFacts | null;
  readonly schema: readonly string[];
  /** The next place in the manifest. */
  readonly place: number;
  /** Keys: the next range begins here. Tables: which one, counted from the last. */
  readonly at: number;
  /** Tables: the key of the last row that is in a chunk. Attachments: the id of the last that was gone through. */
  readonly after: readonly unknown[] | null;
}

/** A damaged snapshot is worse than none: it is given up, and says why. */
class Refused extends Error {
  override readonly name = "Refused";
}

/**
 * @returns the name; undefined when one is under way already.
 */
export async function beginSnapshot(
  parts: SnapshotParts,
  kind: "nightly" | "command",
  tag: string | undefined,
): Promise<string | undefined> {
  const now = parts.now();
  const name = snapshotName(now, tag);
  const ledger = parts.ledger === undefined ? undefined : await readLedgerFacts(parts.db, parts.ledger.id);
  const cursor: Cursor = {
    phase: ledger === undefined ? "tables" : "segments",
    createdAt: new Date(now).toISOString(),
    ledger: ledger ?? null,
    schema: await appliedMigrations(parts.db),
    place: 0,
    at: 0,
    after: null,
  };
  const begun = await insertRun(parts.db, { name, kind, cursor: JSON.stringify(cursor), size: ledger?.size ?? 0, now });
  return begun ? name : undefined;
}

export type Turn =
  | { readonly type: "idle" }
  | { readonly type: "running" | "good"; readonly name: string }
  | { readonly type: "failed"; readonly name: string; readonly reason: string };

/**
 * Takes a run up and goes on until `deadline`.
 * @param name undefined: whichever runs.
 * @throws when database or bucket fail; the next turn goes on from the last step that was recorded.
 */
export async function advanceSnapshot(parts: SnapshotParts, name: string | undefined, deadline: number): Promise<Turn> {
  const leaseMs = parts.leaseMs ?? LEASE_MS;
  const run = await takeRun(parts.db, name, parts.now(), leaseMs);
  if (run === undefined) return { type: "idle" };
  try {
    // What was written is this module's own.
    let cursor = JSON.parse(run.cursor) as Cursor;
    do {
      const done = await step(parts, run, cursor);
      if (done.type === "good") return { type: "good", name: run.name };
      if (!(await saveStep(parts.db, run, done.step, parts.now(), leaseMs))) return { type: "idle" };
      cursor = done.cursor;
    } while (parts.now() < deadline);
    await releaseRun(parts.db, run.name, run.fence);
    return { type: "running", name: run.name };
  } catch (error) {
    if (error instanceof Refused) {
      const end = { state: "failed", now: parts.now(), files: 0, bytes: 0, manifestSha256: null } as const;
      await endRun(parts.db, run, { ...end, reason: error.message });
      return { type: "failed", name: run.name, reason: error.message };
    }
    await releaseRun(parts.db, run.name, run.fence).catch(() => undefined);
    throw error;
  }
}

type Done = { readonly type: "step"; readonly step: Step; readonly cursor: Cursor } | { readonly type: "good" };

const stepOf = (cursor: Cursor, step: Partial<Omit<Step, "cursor">> = {}): Done => ({
  type: "step",
  cursor,
  step: { cursor: JSON.stringify(cursor), written: [], files: [], ...step },
});

function step(parts: SnapshotParts, run: RunRow, cursor: Cursor): Promise<Done> {
  switch (cursor.phase) {
    case "segments":
      return segmentStep(parts, cursor);
    case "keys":
      return keysStep(parts, cursor);
    case "tables":
      return tableStep(parts, cursor);
    case "attachments":
      return attachmentStep(parts, cursor);
    case "finish":
      return finish(parts, run, cursor);
  }
}

const ledgerOf = (parts: SnapshotParts, cursor: Cursor) => {
  if (parts.ledger === undefined || cursor.ledger === null) throw new Error("this run has no ledger");
  return { ...parts.ledger, facts: cursor.ledger };
};

/** Seals the next segment; when none is whole, writes the entries behind the last one and holds the tree against the head. */
async function segmentStep(parts: SnapshotParts, cursor: Cursor): Promise<Done> {
  const { facts, payloads } = ledgerOf(parts, cursor);
  const { sealedTo, position } = await readProgress(parts.db);
  if (sealedTo > facts.size) {
    // Sealed by a later run than this one was begun as; cannot be, while one runs at a time.
    throw new Refused(`the ledger is sealed to ${sealedTo}, the run is of ${facts.size} entries`);
  }
  const walk = new LogWalk(FAST_HASHER, sealedTo === 0 ? LOG_START : (JSON.parse(position) as LogPosition));
  const segment = nextSegment(sealedTo, facts.size);
  const range = segment ?? { from: sealedTo, to: facts.size };
  const sealed = segment !== undefined;
  const written: NewObject[] = [];
  if (range.to > range.from) {
    written.push(await writeEntries(parts, cursor, range, sealed, walk));
    written.push(...(await writePayloads(parts, cursor, range, sealed, payloads)));
  }
  if (sealed) {
    const progress = { sealedTo: range.to, position: JSON.stringify(walk.position()) };
    return stepOf(cursor, { written, progress });
  }
  if (walk.rootHex() !== facts.rootHash) throw new Refused("the tree over the entries has another root than the head");
  const files = written.map(({ path }, i) => ({ place: cursor.place + i, path }));
  const next: Cursor = { ...cursor, phase: "keys", at: 0, place: cursor.place + files.length };
  return stepOf(next, { written, files });
}

async function writeEntries(
  parts: SnapshotParts,
  cursor: Cursor,
  range: Range,
  sealed: boolean,
  walk: LogWalk,
): Promise<NewObject> {
  const { id } = ledgerOf(parts, cursor);
  const lines: string[] = [];
  for (const page of pagesOf(range)) {
    const entries = await readEntryLines(parts.db, id, page);
    const stored = entries.map(({ seq, hash, body }) => ({ seq, entryHash: hash, body }));
    walk.pass(stored, page.to, []);
    const [finding] = walk.findings;
    if (finding !== undefined) throw new Refused(finding.detail);
    for (const { seq, hash, commandId, commandIndex, body } of entries) {
      lines.push(JSON.stringify([seq, hash, commandId, commandIndex, body]));
    }
  }
  const bytes = packLines(lines);
  const sha256 = await sha256Hex(bytes);
  const path = pathOf({ kind: "entries", range, digest: sha256 });
  const object = { path, kind: "entries", range, sealed, rows: lines.length, bytes: bytes.length, sha256 } as const;
  return store(parts, object, bytes);
}

/** Entries whose ciphertext is read in one round trip: each subject may have some sixteen kilobytes a part. */
const PAYLOAD_PAGE = 256;

async function writePayloads(
  parts: SnapshotParts,
  cursor: Cursor,
  range: Range,
  sealed: boolean,
  bucket: R2Bucket,
): Promise<readonly NewObject[]> {
  const { id } = ledgerOf(parts, cursor);
  const written: NewObject[] = [];
  let lines: string[] = [];
  let characters = 0;
  const close = async () => {
    if (lines.length === 0) return;
    written.push(await writeSealed(parts, { kind: "payloads", range, sealed }, lines));
    lines = [];
    characters = 0;
  };
  for (let from = range.from; from < range.to; from += PAYLOAD_PAGE) {
    const rows = await readPayloadRows(parts.db, id, { from, to: Math.min(range.to, from + PAYLOAD_PAGE) });
    for (const row of rows) {
      const key = row.r2_key;
      // Gone since the row was read: erased. What is missing otherwise is the scrub's to find.
      const object = typeof key === "string" ? ((await (await bucket.get(key))?.text()) ?? null) : null;
      const line = JSON.stringify({ row, object });
      lines.push(line);
      characters += line.length;
      if (characters >= FILE_CHARACTERS) await close();
    }
  }
  await close();
  return written;
}

async function writeSealed(
  parts: SnapshotParts,
  file: Pick<NewObject, "table" | "range" | "sealed" | "masterKeyId"> & {
    readonly kind: Exclude<NewObject["kind"], "attachment">;
  },
  lines: readonly string[],
): Promise<NewObject> {
  const { bytes, digest } = await sealFile(parts.keys, packLines(lines));
  const path = pathOf({ ...file, digest });
  const sha256 = await sha256Hex(bytes);
  return store(parts, { ...file, path, rows: lines.length, bytes: bytes.length, sha256 }, bytes);
}

/** Writes what no earlier snapshot wrote: a name says what is in it. */
async function store(
  parts: SnapshotParts,
  object: Omit<NewObject, "fresh">,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<NewObject> {
  const held = (await findObjects(parts.db, [object.path])).get(object.path);
  if (held !== undefined) return { ...object, bytes: held.bytes, sha256: held.sha256, fresh: false };
  await put(parts, object.path, bytes, object.sha256);
  return { ...object, fresh: true };
}

/** Writes and reads back: what counts is what the bucket gives. */
async function put(
  { bucket, prefix }: SnapshotParts,
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
  sha256: string,
): Promise<void> {
  await bucket.put(`${prefix}${path}`, bytes);
  const found = await bucket.get(`${prefix}${path}`);
  const back = found === null ? undefined : new Uint8Array(await found.arrayBuffer());
  if (back === undefined || (await sha256Hex(back)) !== sha256)
    throw new Error(`${path} does not read back as written`);
}

/** One range of wrapped keys: written anew when it is new, old, or wrapped under another master key than is current. */
async function keysStep(parts: SnapshotParts, cursor: Cursor): Promise<Done> {
  const { id, masterKeyId, facts } = ledgerOf(parts, cursor);
  const held = await keysFiles(parts.db);
  for (let from = cursor.at; from < facts.size; from += SEGMENT_ENTRIES) {
    const whole = from + SEGMENT_ENTRIES <= facts.size;
    const range = { from, to: whole ? from + SEGMENT_ENTRIES : facts.size };
    const here = held.filter((file) => file.from === from);
    const good = here.some(
      (file) =>
        file.to === range.to &&
        whole &&
        file.masterKeyId === masterKeyId &&
        parts.now() - file.writtenAt < keysDueAfter(from, SEGMENT_ENTRIES),
    );
    if (good) continue;
    const lines: string[] = [];
    // Before the re-wrap after a rotation is done, some are under the key before: the file is then made anew by the next snapshot.
    let under = masterKeyId;
    for (const page of pagesOf(range)) {
      for (const { row, facts: known } of await readKeyRows(parts.db, id, page)) {
        if (row.master_key_id !== masterKeyId) under = String(row.master_key_id);
        lines.push(JSON.stringify({ row, facts: known }));
      }
    }
    const file = { kind: "keys", range, sealed: false, masterKeyId: under } as const;
    const written = await writeSealed(parts, file, lines);
    const replaced = here.map(({ path }) => path).filter((path) => path !== written.path);
    if (replaced.length > 0) await parts.bucket.delete(replaced.map((path) => `${parts.prefix}${path}`));
    return stepOf({ ...cursor, at: from + SEGMENT_ENTRIES }, { written: [written], forget: replaced });
  }
  return stepOf({ ...cursor, phase: "tables", at: 0, after: null });
}

/** One chunk of one table. Tables are copied from the last to the first: see the catalogue. */
async function tableStep(parts: SnapshotParts, cursor: Cursor): Promise<Done> {
  const table = copiedTables(parts.catalogue).toReversed()[cursor.at];
  if (table === undefined) return stepOf({ ...cursor, phase: "attachments", after: null });
  const shape = await tableShape(parts.db, table.name);
  const keyAt = shape.key.map((name) => shape.columns.indexOf(name));
  const lines: string[] = [JSON.stringify({ table: table.name, columns: shape.columns })];
  let characters = 0;
  let after = cursor.after;
  let ended = false;
  while (!ended) {
    const rows = await readTablePage(parts.db, table, shape, after, cursor.ledger?.size ?? 0, PAGE_ROWS);
    for (const row of rows) {
      const line = JSON.stringify(row);
      lines.push(line);
      characters += line.length;
      after = keyAt.map((i) => row[i]);
      if (endsChunk(after, lines.length - 1, characters)) {
        ended = true;
        break;
      }
    }
    if (ended) break;
    if (rows.length < PAGE_ROWS) {
      // The end of the table: what is left is its last chunk.
      const next: Cursor = { ...cursor, at: cursor.at + 1, after: null };
      return lines.length === 1 ? stepOf(next) : writeChunk(parts, next, table.name, lines);
    }
  }
  return writeChunk(parts, { ...cursor, after }, table.name, lines);
}

async function writeChunk(parts: SnapshotParts, next: Cursor, table: string, lines: readonly string[]): Promise<Done> {
  const written = await writeSealed(parts, { kind: "table", table, sealed: false }, lines);
  const object = { ...written, rows: written.rows - 1 };
  const files = [{ place: next.place, path: object.path }];
  return stepOf({ ...next, place: next.place + 1 }, { written: [object], files });
}

const ATTACHMENT_ROWS = 256;
/** Of objects written in one step. */
const ATTACHMENT_BYTES = 16_000_000;

/**
 * Objects of the next rows, each written once, whatever snapshot comes across it. They come after the tables: what is stored
 * meanwhile is in neither or in both, and of what is deleted meanwhile the restore tells.
 */
async function attachmentStep(parts: SnapshotParts, cursor: Cursor): Promise<Done> {
  const { attachments: bucket, keys } = parts;
  const [after] = cursor.after ?? [];
  const rows =
    bucket === undefined
      ? []
      : await readAttachments(parts.db, typeof after === "string" ? after : "", ATTACHMENT_ROWS);
  if (bucket === undefined || rows.length === 0) return stepOf({ ...cursor, phase: "finish" });
  const named = rows.map((row) => {
    const object = { key: objectKey(row), sha256: row.sha256 };
    return { id: row.attachmentId, object, path: attachmentPath(keys, object) };
  });
  const known = await findObjects(
    parts.db,
    named.map(({ path }) => path),
  );
  const written: NewObject[] = [];
  let fresh = 0;
  let last = "";
  for (const { id, object, path } of named) {
    if (fresh >= ATTACHMENT_BYTES) break;
    last = id;
    const common = { path, kind: "attachment", sealed: false, rows: 1 } as const;
    const held = known.get(path);
    if (held !== undefined) {
      written.push({ ...common, bytes: held.bytes, sha256: held.sha256, fresh: false });
      continue;
    }
    const found = await bucket.get(object.key);
    const contents = found === null ? undefined : new Uint8Array(await found.arrayBuffer());
    // Deleted since its row was read, or not what was stored: the restore says which are missing.
    if (contents === undefined || (await sha256Hex(contents)) !== object.sha256) continue;
    const { bytes } = await sealFile(keys, packAttachment(object, contents));
    const sha256 = await sha256Hex(bytes);
    await put(parts, path, bytes, sha256);
    written.push({ ...common, bytes: bytes.length, sha256, fresh: true });
    fresh += bytes.length;
  }
  const files = written.map(({ path }, i) => ({ place: cursor.place + i, path }));
  return stepOf({ ...cursor, after: [last], place: cursor.place + files.length }, { written, files });
}

async function finish(parts: SnapshotParts, run: RunRow, cursor: Cursor): Promise<Done> {
  const { ledger } = cursor;
  const sealedTo = ledger === null ? 0 : ledger.size - (ledger.size % SEGMENT_ENTRIES);
  const files = await filesOfRun(parts.db, run.name, sealedTo);
  if ((await countFiles(parts.db, run.name)) !== cursor.place) throw new Refused("files of this run are not recorded");
  const manifest = sealManifest(
    {
      name: run.name,
      of: parts.of,
      createdAt: cursor.createdAt,
      schema: [...cursor.schema],
      ledger: ledger === null ? null : { id: ledgerOf(parts, cursor).id, ...ledger },
      settings: { ...parts.settings },
      files: files.map(
        ({ path, kind, bytes, sha256, rows, table, from, to }): ManifestFile => ({
          path,
          kind,
          bytes,
          sha256,
          rows,
          ...(table === null ? {} : { table }),
          ...(from === null || to === null ? {} : { from, to }),
        }),
      ),
    },
    parts.keys,
  );
  const bytes = utf8(`${JSON.stringify(manifest)}\n`);
  const sha256 = await sha256Hex(bytes);
  await put(parts, manifestPath(run.name), bytes, sha256);
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  const end = { state: "good", now: parts.now(), files: files.length, bytes: total, reason: null } as const;
  await endRun(parts.db, run, { ...end, manifestSha256: sha256 });
  return { type: "good" };
}

export const manifestPath = (name: string): string => `snapshots/${name}/manifest.json`;

/** @returns undefined when there is no such object. */
export async function readBackupObject(
  parts: Pick<SnapshotParts, "bucket" | "prefix">,
  path: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const found = await parts.bucket.get(`${parts.prefix}${path}`);
  return found === null ? undefined : new Uint8Array(await found.arrayBuffer());
}

export async function readManifestText(
  parts: Pick<SnapshotParts, "bucket" | "prefix">,
  name: string,
): Promise<string | undefined> {
  const bytes = await readBackupObject(parts, manifestPath(name));
  return bytes === undefined ? undefined : fromUtf8(bytes);
}

/** Whether a sealed object opens: that it is what was written, its SHA-256 says already. */
export const opensAs = async (keys: BackupKeys, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> =>
  openFile(keys, bytes).then(
    () => true,
    () => false,
  );
