/**
 * A restore, in steps: every file is held against the manifest before anything of it is used, every entry against the chain and the tree,
 * the tree against the signed checkpoint and the anchor. What it writes to is a clean database, offered to nobody before the last step.
 *
 * Entries come first, then what the minutes after the snapshot brought (the tail), then keys and projections, payloads, and the other
 * tables. What an ERASED entry is about gets neither key nor ciphertext back, whatever the backup still holds of it.
 */

import { readEntry } from "../ledger/check-entry.ts";
import { LOG_START, type LogPosition, LogWalk, type RootClaim } from "../ledger/check-log.ts";
import { FAST_HASHER } from "../ledger/check-tree.ts";
import { openCheckpoint } from "../ledger/checkpoint.ts";
import { continuedEntry } from "../ledger/continued.ts";
import { EMPTY_HEAD, rootHexOf } from "../ledger/head.ts";
import type { VerifierKey } from "../ledger/note.ts";
import { objectKey } from "../medlink/attachments/attachment.ts";
import { toHex } from "../platform/encoding.ts";
import { driveUndriven } from "../settlement/drive.store.ts";
import { rebuildSettlements } from "../settlement/rebuild.store.ts";
import type { ClaimState } from "../workflow/claim.ts";
import { ERASED_MONEY } from "../workflow/erasure.ts";
import { replay, UNKNOWN_AMOUNT } from "../workflow/replay.ts";
import type { RequestState } from "../workflow/request.ts";
import { attachmentPaths, unpackAttachment } from "./attachment-file.ts";
import { readAttachments } from "./attachments.store.ts";
import { type Catalogue, copiedTables } from "./catalogue.ts";
import { checkFile, type Manifest, type ManifestFile } from "./manifest.ts";
import {
  countRows,
  deleteUnpromisedParts,
  erasedSubjects,
  insertEmptyHead,
  insertEntries,
  insertProjections,
  insertRows,
  occupiedTables,
  quietRelay,
  type RestoredEntry,
  readBegunEntries,
  readHeadSize,
  removeSeeds,
  unknownSubjects,
} from "./restore.store.ts";
import { type BackupKeys, openFile } from "./sealed-file.ts";
import { type Range, rangeOfPath, SEGMENT_ENTRIES, sha256Hex, unpackLines } from "./segments.ts";

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

const NOTHING: RestoreCounts = {
  entries: 0,
  subjects: 0,
  erased: 0,
  withoutKey: 0,
  keys: 0,
  payloads: 0,
  rows: 0,
  orphans: 0,
  sentAgain: 0,
  askedAgain: 0,
  attachments: 0,
  attachmentsWithout: 0,
};

export const RESTORE_START: RestoreState = { phase: "begin", at: 0, position: LOG_START, size: 0, counts: NOTHING };

/** Steps that a restore takes, for a bar that moves. */
export const restoreSteps = ({ files, ledger }: Manifest): number =>
  files.length + Math.ceil((ledger?.size ?? 0) / SEGMENT_ENTRIES) + 4;

/** @throws RestoreRefused with what does not hold; the database is then not to be used. */
export async function restoreStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  switch (state.phase) {
    case "begin":
      return begin(parts, state);
    case "entries":
      return entriesStep(parts, state);
    case "tail":
      return tailStep(parts, state);
    case "keys":
      return keysStep(parts, state);
    case "payloads":
      return payloadsStep(parts, state);
    case "tables":
      return tablesStep(parts, state);
    case "attachments":
      return attachmentsStep(parts, state);
    case "finish":
      return finish(parts, state);
    case "done":
      return state;
  }
}

const filesOf = ({ manifest }: RestoreParts, kind: ManifestFile["kind"]): readonly ManifestFile[] =>
  manifest.files.filter((file) => file.kind === kind);

async function begin(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  const { db, catalogue, manifest } = parts;
  const occupied = await occupiedTables(db, catalogue);
  if (occupied.length > 0) throw new RestoreRefused(`the database is not clean: ${occupied.join(", ")} have rows`);
  const { ledger } = manifest;
  await removeSeeds(db, catalogue);
  if (ledger === null) return { ...state, phase: "tables" };
  await checkSigned(parts);
  await insertEmptyHead(db, ledger.id, EMPTY_HEAD, rootHexOf(EMPTY_HEAD));
  return { ...state, phase: "entries" };
}

async function checkSigned({ manifest: { ledger }, logKeys }: RestoreParts): Promise<void> {
  const checkpoint = ledger?.checkpoint ?? null;
  if (checkpoint === null || logKeys.length === 0) return;
  const opened = await openCheckpoint(checkpoint.note, logKeys);
  if (opened.type === "refused") throw new RestoreRefused(`the checkpoint can not be trusted: ${opened.reason}`);
  const { size, root } = opened.checkpoint;
  if (size !== checkpoint.size || toHex(root) !== checkpoint.rootHash) {
    throw new RestoreRefused("the checkpoint is signed for another tree than the manifest says");
  }
}

const ledgerOf = ({ manifest }: RestoreParts) => {
  if (manifest.ledger === null) throw new Error("this backup has no ledger");
  return manifest.ledger;
};

/** The bytes of a file, as they were written. */
async function readChecked(source: BackupSource, file: ManifestFile): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await source.read(file.path);
  const found = bytes === undefined ? undefined : { bytes: bytes.length, sha256: await sha256Hex(bytes) };
  const checked = checkFile(file, found);
  if (!checked.ok || bytes === undefined) {
    throw new RestoreRefused(`${file.path} ${checked.ok ? "is missing" : checked.reason}`);
  }
  return bytes;
}

async function linesOf(
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

/** Entries in one batch: few enough that a batch is well under the platform's limits. */
const BATCH = 512;

interface RawEntry {
  readonly seq: number;
  readonly hash: string;
  readonly commandId: string;
  readonly commandIndex: number;
  readonly body: string;
}

function entryOfLine(path: string, line: unknown): RawEntry {
  if (Array.isArray(line)) {
    const [seq, hash, commandId, commandIndex, body]: readonly unknown[] = line;
    if (
      typeof seq === "number" &&
      typeof hash === "string" &&
      typeof commandId === "string" &&
      typeof commandIndex === "number" &&
      typeof body === "string"
    ) {
      return { seq, hash, commandId, commandIndex, body };
    }
  }
  throw new RestoreRefused(`${path} holds a line that is no entry`);
}

function claimsOf(parts: RestoreParts): readonly RootClaim[] {
  const { checkpoint, anchor, size, rootHash } = ledgerOf(parts);
  const claim = (of: { size: number; rootHash: string }, what: string, type: RootClaim["otherwise"]["type"]) => ({
    size: of.size,
    rootHash: of.rootHash,
    otherwise: {
      type,
      size: of.size,
      detail: `${what} of ${of.size} entries has another root than the entries give`,
    },
  });
  return [
    claim({ size, rootHash }, "the manifest", "root-mismatch"),
    ...(checkpoint === null ? [] : [claim(checkpoint, "the checkpoint", "checkpoint-mismatch")]),
    ...(anchor === null ? [] : [claim(anchor, "the anchor", "anchor-mismatch")]),
    ...(parts.promises ?? []).map((promise) => claim(promise, promise.what, "checkpoint-mismatch")),
  ];
}

/** Walks over entries and writes those that are not there yet. */
async function appendEntries(
  parts: RestoreParts,
  state: RestoreState,
  path: string,
  entries: readonly RawEntry[],
): Promise<Pick<RestoreState, "position" | "size">> {
  const { id } = ledgerOf(parts);
  const claims = claimsOf(parts);
  const there = (await readHeadSize(parts.db, id)) ?? 0;
  const walk = new LogWalk(FAST_HASHER, state.position);
  for (let i = 0; i < entries.length; i += BATCH) {
    const group = entries.slice(i, i + BATCH);
    const rows: RestoredEntry[] = [];
    for (const raw of group) {
      const entry = readEntry(raw.body);
      if (entry !== undefined) rows.push({ ...raw, prev: entry.prev, subject: entry.subject });
    }
    const until = state.size + i + group.length;
    walk.pass(
      rows.map(({ seq, hash, body }) => ({ seq, entryHash: hash, body })),
      until,
      claims,
    );
    const [finding] = walk.findings;
    if (finding !== undefined) throw new RestoreRefused(`${path}: ${finding.detail}`);
    const fresh = rows.filter(({ seq }) => seq >= there);
    const last = rows.at(-1);
    if (fresh.length === 0 || last === undefined) continue;
    const { tree, at } = walk.position();
    const head = {
      size: until,
      headHash: last.hash,
      rootHash: walk.rootHex(),
      frontier: JSON.stringify(tree.roots),
      lastAt: at ?? EMPTY_HEAD.lastAt,
    };
    await insertEntries(parts.db, id, head, fresh);
  }
  return { position: walk.position(), size: state.size + entries.length };
}

async function entriesStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  const file = filesOf(parts, "entries")[state.at];
  if (file === undefined) {
    const { size, headHash, rootHash } = ledgerOf(parts);
    if (state.size !== size) throw new RestoreRefused(`the files hold ${state.size} entries, ${size} are promised`);
    const walk = new LogWalk(FAST_HASHER, state.position);
    if (walk.rootHex() !== rootHash) throw new RestoreRefused("the entries give another root than the manifest says");
    if (size > 0 && state.position.prev !== headHash) throw new RestoreRefused("the last entry is not the head's");
    return { ...state, phase: "tail", at: 0 };
  }
  const lines = await linesOf(undefined, file.path, await readChecked(parts.source, file));
  if (lines.length !== file.rows) throw new RestoreRefused(`${file.path} has ${lines.length} lines, not ${file.rows}`);
  const entries = lines.map((line) => entryOfLine(file.path, line));
  const appended = await appendEntries(parts, state, file.path, entries);
  return { ...state, ...appended, at: state.at + 1, counts: { ...state.counts, entries: appended.size } };
}

interface TailFile {
  readonly path: string;
  readonly range: Range;
}

/** Tail files that go on from `size`, each from where the one before ends. */
async function tailFrom(source: BackupSource, size: number): Promise<TailFile | undefined> {
  const files = (await source.list("tail")).flatMap((path) => {
    const range = rangeOfPath(path);
    return range === undefined ? [] : [{ path, range }];
  });
  // Of those that reach over the end, the one that reaches farthest.
  return files.filter(({ range }) => range.from <= size && range.to > size).sort((a, b) => b.range.to - a.range.to)[0];
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The largest tree that was promised and that what is restored does not reach. */
const farthestMissed = ({ promises = [] }: RestoreParts, size: number): Promised | undefined =>
  promises.filter((promise) => promise.size > size).sort((one, other) => other.size - one.size)[0];

async function tailStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  const next = await tailFrom(parts.source, state.size);
  if (next === undefined) {
    const short = farthestMissed(parts, state.size);
    if (short !== undefined && parts.continuesAs === undefined) {
      throw new RestoreRefused(`${short.what} promises ${short.size} entries, this backup reaches ${state.size}`);
    }
    if (short === undefined && parts.continuesAs !== undefined) {
      throw new RestoreRefused("this backup reaches all that was promised: no new ledger is needed");
    }
    return { ...state, phase: "keys", at: 0 };
  }
  const bytes = await parts.source.read(next.path);
  if (bytes === undefined) throw new RestoreRefused(`${next.path} is missing`);
  const lines = await linesOf(parts.keys, next.path, bytes);
  const entries = lines.flatMap((line) =>
    isRecord(line) && "entry" in line ? [entryOfLine(next.path, line.entry)] : [],
  );
  const fresh = entries.filter(({ seq }) => seq >= state.size);
  if (fresh.length === 0) throw new RestoreRefused(`${next.path} does not hold what its name says`);
  const appended = await appendEntries(parts, state, next.path, fresh);
  return { ...state, ...appended, counts: { ...state.counts, entries: appended.size } };
}

/** Tail files with something of entries from `from` on. */
async function tailFiles(parts: RestoreParts, size: number): Promise<readonly TailFile[]> {
  const from = ledgerOf(parts).size;
  return (await parts.source.list("tail"))
    .flatMap((path) => {
      const range = rangeOfPath(path);
      return range !== undefined && range.to > from && range.from < size ? [{ path, range }] : [];
    })
    .sort((a, b) => a.range.from - b.range.from || a.range.to - b.range.to);
}

interface KeyLine {
  readonly subject: string;
  readonly row: Readonly<Record<string, unknown>>;
  readonly facts: Readonly<Record<string, unknown>>;
}

function keyLine(path: string, line: unknown): KeyLine {
  if (isRecord(line) && isRecord(line.row) && isRecord(line.facts) && typeof line.row.subject === "string") {
    return { subject: line.row.subject, row: line.row, facts: line.facts };
  }
  throw new RestoreRefused(`${path} holds a line that is no key`);
}

async function readTail(
  parts: RestoreParts,
  size: number,
  part: "key" | "payload" | "outbox" | "settlement" | "idempotency",
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

/** Keys and projections of the subjects that begin in one range. */
async function keysStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  const { id } = ledgerOf(parts);
  const from = state.at;
  if (from >= state.size) return { ...state, phase: "payloads", at: 0 };
  const to = Math.min(state.size, from + SEGMENT_ENTRIES);
  const lines = new Map<string, KeyLine>();
  const here = (await parts.source.list("keys"))
    .flatMap((path) => {
      const range = rangeOfPath(path);
      return range?.from === from ? [{ path, range }] : [];
    })
    .sort((a, b) => a.range.to - b.range.to);
  for (const { path } of here) {
    const bytes = await parts.source.read(path);
    if (bytes === undefined) continue;
    for (const line of await linesOf(parts.keys, path, bytes)) {
      const key = keyLine(path, line);
      lines.set(key.subject, key);
    }
  }
  if (to > ledgerOf(parts).size) {
    for (const { path, value } of await readTail(parts, state.size, "key")) {
      const key = keyLine(path, value);
      if (!lines.has(key.subject)) lines.set(key.subject, key);
    }
  }
  let counts = state.counts;
  for (let at = from; at < to; at += BATCH)
    counts = await project(parts, id, at, Math.min(to, at + BATCH), lines, counts);
  return { ...state, at: to, counts };
}

async function project(
  parts: RestoreParts,
  ledgerId: string,
  from: number,
  to: number,
  lines: ReadonlyMap<string, KeyLine>,
  counts: RestoreCounts,
): Promise<RestoreCounts> {
  const bySubject = new Map<string, { commandId: string; body: string }[]>();
  for (const { subject, ...entry } of await readBegunEntries(parts.db, ledgerId, from, to)) {
    const own = bySubject.get(subject);
    if (own === undefined) bySubject.set(subject, [entry]);
    else own.push(entry);
  }
  const requests: RequestState[] = [];
  const claims: ClaimState[] = [];
  const erased: { subject: string; lookup: string; at: number }[] = [];
  const keyRows: KeyLine[] = [];
  let withoutKey = 0;
  for (const [subject, own] of bySubject) {
    const entries = own.map(({ body }) => readEntry(body)).filter((entry) => entry !== undefined);
    const [first] = entries;
    const end = entries.find(({ type }) => type === "ERASED");
    const key = lines.get(subject);
    if (end === undefined && key !== undefined) keyRows.push(key);
    // Of other kinds: their rows are copied.
    if (first?.type !== "REQUEST_SUBMITTED" && first?.type !== "CLAIM_CREATED") continue;
    if (end !== undefined) {
      erased.push({ subject, lookup: own[0]?.commandId.slice(-64) ?? "", at: Date.parse(end.at) });
    } else if (key === undefined) withoutKey += 1;
    const { id, amountMinor, currency } = key?.facts ?? {};
    const replayed = replay(entries, {
      id: end === undefined && typeof id === "string" ? id : subject,
      lookup: "",
      amountMinor: typeof amountMinor === "number" ? amountMinor : ERASED_MONEY.amountMinor,
      currency: typeof currency === "string" ? currency : ERASED_MONEY.currency,
      // Their rows are copied later, and then all that rests on them is made anew.
      amountOf: () => UNKNOWN_AMOUNT,
    });
    switch (replayed.type) {
      case "request":
        requests.push(replayed.state);
        break;
      case "claim":
        claims.push(replayed.state);
        break;
      case "failed":
        throw new RestoreRefused(`entry ${replayed.seq} can not follow: ${replayed.reason}`);
    }
  }
  const since = Date.parse(parts.manifest.createdAt) - ERASURES_LOOKED_FOR_MS;
  await insertProjections(parts.db, ledgerId, { requests, claims, erased }, since);
  const written = await insertRecords(
    parts.db,
    "payload_keys",
    keyRows.map(({ row }) => row),
  );
  return {
    ...counts,
    subjects: counts.subjects + requests.length + claims.length,
    erased: counts.erased + erased.length,
    withoutKey: counts.withoutKey + withoutKey,
    keys: counts.keys + written,
  };
}

/** Objects of a subject are gone this long after it was erased. */
const ERASURES_LOOKED_FOR_MS = 7_200_000;

/** Rows with the names of their columns, all the same. */
async function insertRecords(
  db: D1Database,
  table: string,
  records: readonly Readonly<Record<string, unknown>>[],
): Promise<number> {
  const [first] = records;
  if (first === undefined) return 0;
  const columns = Object.keys(first);
  return insertRows(
    db,
    table,
    columns,
    records.map((record) => columns.map((column) => record[column])),
  );
}

async function payloadsStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  const file = filesOf(parts, "payloads")[state.at];
  if (file !== undefined) {
    const lines = await linesOf(parts.keys, file.path, await readChecked(parts.source, file));
    if (lines.length !== file.rows)
      throw new RestoreRefused(`${file.path} has ${lines.length} lines, not ${file.rows}`);
    const written = await restorePayloads(parts, file.path, lines);
    const counts = { ...state.counts, payloads: state.counts.payloads + written };
    return { ...state, at: state.at + 1, counts };
  }
  const tail = await readTail(parts, state.size, "payload");
  const written = await restorePayloads(
    parts,
    "tail",
    tail.map(({ value }) => value),
  );
  await deleteUnpromisedParts(parts.db, ledgerOf(parts).id);
  return { ...state, phase: "tables", at: 0, counts: { ...state.counts, payloads: state.counts.payloads + written } };
}

async function restorePayloads(parts: RestoreParts, path: string, lines: readonly unknown[]): Promise<number> {
  const { id } = ledgerOf(parts);
  let written = 0;
  for (let i = 0; i < lines.length; i += BATCH) {
    const group = lines.slice(i, i + BATCH).map((line) => {
      if (!isRecord(line) || !isRecord(line.row) || typeof line.row.subject !== "string") {
        throw new RestoreRefused(`${path} holds a line that is no payload`);
      }
      return { subject: line.row.subject, row: line.row, object: line.object };
    });
    const subjects = [...new Set(group.map(({ subject }) => subject))];
    const [erased, unknown] = await Promise.all([
      erasedSubjects(parts.db, id, subjects),
      unknownSubjects(parts.db, id, subjects),
    ]);
    const kept = group.filter(({ subject }) => !erased.has(subject) && !unknown.has(subject));
    for (const { row, object } of kept) {
      if (typeof row.r2_key === "string" && typeof object === "string") await parts.payloads?.put(row.r2_key, object);
    }
    written += await insertRecords(
      parts.db,
      "payloads",
      kept.map(({ row }) => row),
    );
  }
  return written;
}

/** Files of the other tables in the order in which rows refer to one another; within a table as they were copied. */
function tableFiles(parts: RestoreParts): readonly ManifestFile[] {
  const order = new Map(copiedTables(parts.catalogue).map(({ name }, i) => [name, i]));
  return filesOf(parts, "table")
    .map((file, place) => {
      const rank = order.get(file.table ?? "");
      if (rank === undefined)
        throw new RestoreRefused(`${file.path} is of a table that is not restored: ${file.table}`);
      return { file, rank, place };
    })
    .sort((a, b) => a.rank - b.rank || a.place - b.place)
    .map(({ file }) => file);
}

async function tablesStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  const file = tableFiles(parts)[state.at];
  if (file === undefined) return { ...state, phase: "attachments", at: 0 };
  const [header, ...rows] = await linesOf(parts.keys, file.path, await readChecked(parts.source, file));
  if (!isRecord(header) || header.table !== file.table || !isStrings(header.columns) || rows.length !== file.rows) {
    throw new RestoreRefused(`${file.path} is not a chunk of ${file.table}`);
  }
  const values = rows.map((row) => {
    if (!Array.isArray(row)) throw new RestoreRefused(`${file.path} holds a line that is no row`);
    const values: readonly unknown[] = row;
    return values;
  });
  const written = await insertRows(parts.db, file.table ?? "", header.columns, values);
  const { counts } = state;
  return {
    ...state,
    at: state.at + 1,
    counts: { ...counts, rows: counts.rows + written, orphans: counts.orphans + rows.length - written },
  };
}

const isStrings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");

/** One object, under the name that it had; when all are there, rows without one are counted. */
async function attachmentsStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  const { counts } = state;
  const file = filesOf(parts, "attachment")[state.at];
  if (file === undefined) {
    const missing = Object.hasOwn(parts.catalogue, "attachments") ? await countMissing(parts) : 0;
    return { ...state, phase: "finish", at: 0, counts: { ...counts, attachmentsWithout: missing } };
  }
  const bytes = await readChecked(parts.source, file);
  const opened = await openFile(parts.keys, bytes).then(unpackAttachment, () => undefined);
  const named = opened === undefined ? [] : attachmentPaths(parts.keys, opened);
  if (opened === undefined || !named.includes(file.path) || (await sha256Hex(opened.bytes)) !== opened.sha256) {
    throw new RestoreRefused(`${file.path} is not the attachment that it says`);
  }
  await parts.payloads?.put(opened.key, opened.bytes);
  return { ...state, at: state.at + 1, counts: { ...counts, attachments: counts.attachments + 1 } };
}

const ATTACHMENT_ROWS = 1_000;

async function countMissing(parts: RestoreParts): Promise<number> {
  const held = new Set(filesOf(parts, "attachment").map(({ path }) => path));
  let missing = 0;
  let after = "";
  for (;;) {
    const rows = await readAttachments(parts.db, after, ATTACHMENT_ROWS);
    const gone = rows.filter((row) => {
      const object = { key: objectKey(row), sha256: row.sha256 };
      return !attachmentPaths(parts.keys, object).some((path) => held.has(path));
    });
    missing += gone.length;
    const last = rows.at(-1);
    if (last === undefined || rows.length < ATTACHMENT_ROWS) return missing;
    after = last.attachmentId;
  }
}

const TAIL_TABLES = [
  ["settlement", "settlements"],
  ["idempotency", "idempotency_keys"],
  ["outbox", "outbox"],
] as const;

async function finish(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  if (parts.manifest.ledger === null) return { ...state, phase: "done" };
  const { id } = ledgerOf(parts);
  let rows = 0;
  for (const [part, table] of TAIL_TABLES) {
    const tail = await readTail(parts, state.size, part);
    rows += await insertRecords(parts.db, table, tail.map(({ value }) => value).filter(isRecord));
  }
  // What came since the snapshot included: a settlement without a row would count for nothing and could be paid again.
  const hasSettlements = Object.hasOwn(parts.catalogue, "settlements");
  if (hasSettlements) await rebuildSettlements(parts.db, id);
  // Of a ledger that ended nothing is driven any more.
  const askedAgain = hasSettlements && parts.continuesAs === undefined ? await resumeSettlements(parts) : 0;
  const sentAgain = await quietRelay(parts.db, parts.now());
  if (parts.continuesAs !== undefined) await openNewLedger(parts, parts.continuesAs, state);
  const { counts } = state;
  return { ...state, phase: "done", counts: { ...counts, rows: counts.rows + rows, sentAgain, askedAgain } };
}

/** The old ledger stays as it is, for reading; what is appended from now on is the new one's. */
async function openNewLedger(parts: RestoreParts, id: string, state: RestoreState): Promise<void> {
  const old = ledgerOf(parts);
  const missed = farthestMissed(parts, state.size);
  if (missed === undefined || id === old.id) throw new RestoreRefused(`${id} is no name for a new ledger`);
  const walk = new LogWalk(FAST_HASHER, LOG_START);
  const restoredRootHash = new LogWalk(FAST_HASHER, state.position).rootHex();
  const { size, rootHash } = missed;
  const { body, hashHex, entry } = continuedEntry(
    { ledger: old.id, size, rootHash, restoredSize: state.size, restoredRootHash },
    new Date(parts.now()).toISOString(),
  );
  walk.pass([{ seq: 0, entryHash: hashHex, body }], 1, []);
  const [finding] = walk.findings;
  if (finding !== undefined) throw new Error(`entry 0 of the new ledger does not hold: ${finding.detail}`);
  await insertEmptyHead(parts.db, id, EMPTY_HEAD, rootHexOf(EMPTY_HEAD));
  const head = {
    size: 1,
    headHash: hashHex,
    rootHash: walk.rootHex(),
    frontier: JSON.stringify(walk.position().tree.roots),
    lastAt: entry.at,
  };
  const { prev, subject } = entry;
  const commandId = `continue:${old.id}`;
  await insertEntries(parts.db, id, head, [{ seq: 0, hash: hashHex, prev, subject, commandId, commandIndex: 0, body }]);
}

const DRIVES_AT_ONCE = 1_000;

/**
 * Whatever is under way may have been sent, also where no entry says so any more: each is asked about before it is sent.
 * @returns how many.
 */
async function resumeSettlements(parts: RestoreParts): Promise<number> {
  const { id } = ledgerOf(parts);
  for (let resumed = 0; ; ) {
    const more = await driveUndriven(parts.db, id, Number.MAX_SAFE_INTEGER, parts.now(), DRIVES_AT_ONCE);
    resumed += more;
    if (more < DRIVES_AT_ONCE) return resumed;
  }
}

/** From the first step to the last. @throws as `restoreStep`. */
export async function restoreAll(
  parts: RestoreParts,
  progress: (state: RestoreState, steps: number) => void = () => {},
): Promise<RestoreState> {
  let state = RESTORE_START;
  for (let steps = 1; state.phase !== "done"; steps++) {
    state = await restoreStep(parts, state);
    progress(state, steps);
  }
  return state;
}

/** Rows in each table that was restored. */
export const restoredRows = ({ db, catalogue }: Pick<RestoreParts, "db" | "catalogue">) =>
  countRows(
    db,
    Object.entries(catalogue).flatMap(([name, table]) => (table.class === "never" ? [] : [name])),
  );
