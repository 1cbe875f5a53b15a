/** Cutting things into files: the ledger into segments that never change, tables into chunks that change where their rows do. */
import { gunzipSync, gzipSync } from "node:zlib";
import { fromUtf8, toHex, utf8 } from "../platform/encoding.ts";
import { sha256Of } from "../platform/sha256.ts";

/** Entries of a sealed segment: a few megabytes. */
export const SEGMENT_ENTRIES = 4_096;

/** Rows read in one round trip. */
export const PAGE_ROWS = 1_024;

/** A file is closed when its lines have this many characters; one line may go over it. */
export const FILE_CHARACTERS = 4_000_000;

export interface Range {
  readonly from: number;
  /** Not in it. */
  readonly to: number;
}

/** The next segment to seal; undefined when what is left is not whole. */
export const nextSegment = (sealedTo: number, size: number): Range | undefined =>
  sealedTo + SEGMENT_ENTRIES <= size ? { from: sealedTo, to: sealedTo + SEGMENT_ENTRIES } : undefined;

/** The pages of a range. */
export function pagesOf({ from, to }: Range): readonly Range[] {
  const pages: Range[] = [];
  for (let at = from; at < to; at += PAGE_ROWS) pages.push({ from: at, to: Math.min(to, at + PAGE_ROWS) });
  return pages;
}

const MAX_CHUNK_ROWS = 4_096;
/** One row in this many ends a chunk. */
const BOUNDARY = 512;

/**
 * Whether a chunk of a table ends with this row. It is told by the row's key alone, so a row that comes or goes changes the chunk that it
 * is in, and no other.
 */
export function endsChunk(key: readonly unknown[], rows: number, characters: number): boolean {
  if (rows >= MAX_CHUNK_ROWS || characters >= FILE_CHARACTERS) return true;
  const hash = sha256Of(utf8(JSON.stringify(key)));
  return ((hash[0] ?? 0) * 256 + (hash[1] ?? 0)) % BOUNDARY === 0;
}

const padded = (seq: number): string => String(seq).padStart(12, "0");

export type FileKind = "entries" | "payloads" | "keys" | "table" | "attachment";

/** Of the minutes since the last snapshot: entries of the range with all that was committed with them. */
export const tailPath = (range: Range, digest: string): string =>
  `tail/${padded(range.from)}-${padded(range.to)}-${digest}.sealed`;

/** The range that a keys or tail file's name gives. */
export function rangeOfPath(path: string): Range | undefined {
  const match = /^(?:keys|tail)\/(\d{12,15})-(\d{12,15})-[0-9a-f]{64}\.sealed$/.exec(path);
  return match === null ? undefined : { from: Number(match[1]), to: Number(match[2]) };
}

/** The object's name: its kind and place, and the digest of its contents. */
export function pathOf(file: {
  readonly kind: Exclude<FileKind, "attachment">;
  readonly table?: string | undefined;
  readonly range?: Range | undefined;
  readonly digest: string;
}): string {
  const place = file.range === undefined ? "" : `${padded(file.range.from)}-${padded(file.range.to)}-`;
  switch (file.kind) {
    case "entries":
      return `objects/entries/${place}${file.digest}.ndjson.gz`;
    case "payloads":
      return `objects/payloads/${place}${file.digest}.sealed`;
    case "keys":
      return `keys/${place}${file.digest}.sealed`;
    case "table":
      return `objects/tables/${file.table ?? ""}/${file.digest}.sealed`;
  }
}

/** Lines of JSON, compressed. The same lines give the same bytes. */
export const packLines = (lines: readonly string[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(gzipSync(utf8(lines.map((line) => `${line}\n`).join("")), { level: 4 }));

/** Most that a file unpacks to: far over what is ever written, far under what a worker has. */
const MAX_UNPACKED = 48_000_000;

/** @throws Error when the bytes are not whole lines of JSON, compressed. */
export function unpackLines(bytes: Uint8Array): readonly unknown[] {
  const text = fromUtf8(new Uint8Array(gunzipSync(bytes, { maxOutputLength: MAX_UNPACKED })));
  if (text === "") return [];
  if (!text.endsWith("\n")) throw new Error("the last line is cut off");
  return text
    .slice(0, -1)
    .split("\n")
    .map((line): unknown => JSON.parse(line));
}

export async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}
