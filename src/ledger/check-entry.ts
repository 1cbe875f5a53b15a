/** Reading stored entries for verification, apart from the codec that writes them. */
import { ENTRY_TYPES, type EntryType } from "./entry.ts";
import type { Finding } from "./finding.ts";

export interface StoredEntry {
  readonly seq: number;
  readonly entryHash: string;
  /** Undefined where columns are not looked at. */
  readonly prev?: string | undefined;
  readonly subject?: string | undefined;
  readonly body: string;
}

const columnsHold = (entry: ReadEntry, { prev, subject }: StoredEntry): boolean =>
  (prev === undefined || prev === entry.prev) && (subject === undefined || subject === entry.subject);

/** An entry as its bytes say it. */
export interface ReadEntry {
  readonly seq: number;
  readonly prev: string;
  readonly at: string;
  readonly type: EntryType;
  readonly subject: string;
  readonly commitment: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
}

const HEX64 = /^[0-9a-f]{64}$/;
const PREFIXED_HEX64 = /^0x[0-9a-f]{64}$/;
const AT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

const types: ReadonlySet<string> = new Set(ENTRY_TYPES);
const isEntryType = (value: unknown): value is EntryType => typeof value === "string" && types.has(value);
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** RFC 8785 for what an entry may hold: strings, integers, booleans and null, for which JSON.stringify is canonical. */
function canonicalObject(value: Readonly<Record<string, unknown>>): string | undefined {
  let members = "";
  let last = "";
  for (const key of Object.keys(value)) {
    // In the order in which they were written, but for integer keys; no entry has those.
    if (members !== "" && key <= last) return undefined;
    last = key;
    const member = value[key];
    const simple =
      typeof member === "string" || typeof member === "boolean" || member === null || Number.isSafeInteger(member);
    if (!simple) return undefined;
    members += `${members === "" ? "" : ","}${JSON.stringify(key)}:${JSON.stringify(member)}`;
  }
  return `{${members}}`;
}

/**
 * @param knownPrev a hash that `prev` may be; its form need not be looked at again.
 * @returns undefined when the text is not the one canonical form of an entry (ledger format, section 1).
 */
export function readEntry(body: string, knownPrev?: string): ReadEntry | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (!isRecord(parsed)) return undefined;
  const { v, seq, prev, at, type, subject, commitment, data } = parsed;
  if (v !== 1 || typeof seq !== "number" || !Number.isSafeInteger(seq) || seq < 0) return undefined;
  if (typeof prev !== "string" || (prev !== knownPrev && !HEX64.test(prev)) || typeof at !== "string" || !AT.test(at))
    return undefined;
  if (!isEntryType(type) || typeof subject !== "string" || !PREFIXED_HEX64.test(subject)) return undefined;
  if (commitment !== undefined && (typeof commitment !== "string" || !PREFIXED_HEX64.test(commitment)))
    return undefined;
  const facts = isRecord(data) ? canonicalObject(data) : undefined;
  if (!isRecord(data) || facts === undefined) return undefined;
  const committed = commitment === undefined ? "" : `"commitment":"${commitment}",`;
  const canonical = `{"at":"${at}",${committed}"data":${facts},"prev":"${prev}","seq":${seq},"subject":"${subject}","type":"${type}","v":1}`;
  return canonical === body ? { seq, prev, at, type, subject, commitment, data } : undefined;
}

/**
 * What is wrong with one stored entry by itself and after its predecessor.
 * @param before stored hash and time of the entry before it; `at` undefined when that is not known; `isHash` when the stored hash
 *   was found to be that of the bytes.
 */
export function entryFindings(
  stored: StoredEntry,
  hashHex: string,
  before: { readonly hash: string | undefined; readonly at: string | undefined; readonly isHash: boolean },
): { readonly entry: ReadEntry | undefined; readonly findings: readonly Finding[] } {
  const { seq } = stored;
  const entry = readEntry(stored.body, before.isHash ? before.hash : undefined);
  if (
    entry !== undefined &&
    hashHex === stored.entryHash &&
    entry.prev === before.hash &&
    entry.seq === seq &&
    columnsHold(entry, stored) &&
    (before.at === undefined || entry.at >= before.at)
  ) {
    return { entry, findings: [] };
  }
  const findings: Finding[] = [];
  if (hashHex !== stored.entryHash) {
    findings.push({ type: "entry-hash-mismatch", seq, detail: `entry ${seq} does not hash to its stored hash` });
  }
  if (entry === undefined) {
    findings.push({ type: "entry-unreadable", seq, detail: `entry ${seq} is not in canonical form` });
    return { entry, findings };
  }
  if (entry.prev !== before.hash) {
    findings.push({ type: "prev-mismatch", seq, detail: `entry ${seq} does not name its predecessor's hash` });
  }
  if (before.at !== undefined && entry.at < before.at) {
    findings.push({ type: "time-mismatch", seq, detail: `entry ${seq} is earlier than its predecessor` });
  }
  if (entry.seq !== seq || !columnsHold(entry, stored)) {
    findings.push({ type: "column-mismatch", seq, detail: `a column of entry ${seq} differs from the entry` });
  }
  return { entry, findings };
}
