/**
 * Steps of a restore that write what rests on the ledger: keys and projections, payloads, the other tables, attachments. What an ERASED
 * entry is about gets neither key nor ciphertext back, whatever the backup still holds of it.
 */

import { readEntry } from "../ledger/check-entry.ts";
import { objectKey } from "../medlink/attachments/attachment.ts";
import type { ClaimState } from "../workflow/claim.ts";
import { ERASED_MONEY } from "../workflow/erasure.ts";
import { replay, UNKNOWN_AMOUNT } from "../workflow/replay.ts";
import type { RequestState } from "../workflow/request.ts";
import { attachmentPaths, unpackAttachment } from "./attachment-file.ts";
import { readAttachments } from "./attachments.store.ts";
import { copiedTables } from "./catalogue.ts";
import type { ManifestFile } from "./manifest.ts";
import {
  deleteUnpromisedParts,
  erasedSubjects,
  insertProjections,
  insertRows,
  readBegunEntries,
  unknownSubjects,
} from "./restore.store.ts";
import {
  BATCH,
  filesOf,
  isRecord,
  ledgerOf,
  linesOf,
  type RestoreCounts,
  type RestoreParts,
  RestoreRefused,
  type RestoreState,
  readChecked,
  readTail,
} from "./restore-files.edge.ts";
import { openFile } from "./sealed-file.ts";
import { rangeOfPath, SEGMENT_ENTRIES, sha256Hex } from "./segments.ts";

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

/** Keys and projections of the subjects that begin in one range. */
export async function keysStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
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
export async function insertRecords(
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

export async function payloadsStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
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

export async function tablesStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
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
export async function attachmentsStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
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
