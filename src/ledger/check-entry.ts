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

/**
 * The one canonical form (RFC 8785: members by name, no spaces), before and after the facts of `data`, which are looked at by themselves.
 * Inside a JSON text no quote stands unescaped, so the last `},"prev":"` ends them.
 */
const BEFORE_DATA =
  /^\{"at":"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z)",(?:"commitment":"(0x[0-9a-f]{64})",)?"data":(?=\{)/;
const AFTER_DATA = '},"prev":"';
const AFTER =
  /\},"prev":"([0-9a-f]{64})","seq":(0|[1-9]\d{0,15}),"subject":"(0x[0-9a-f]{64})","type":"([A-Z_]{1,64})","v":1\}$/y;

/** Text without anything that JSON may write in another way. */
const PLAIN = /^[ -[\]-~]*$/;

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

const NAME = /^[a-zA-Z]+$/;

/** What most facts are: an object of strings without escapes. Undefined: something else, or not canonical. */
function readPlain(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!PLAIN.test(text)) return undefined;
  const data: Record<string, unknown> = {};
  let last = "";
  for (let at = 1; ; at += 1) {
    const named = text.indexOf('":"', at);
    const ended = text.indexOf('"', named + 3);
    if (named < 0 || ended < 0 || text[at] !== '"') return undefined;
    const name = text.slice(at + 1, named);
    if (name <= last || !NAME.test(name)) return undefined;
    data[name] = text.slice(named + 3, ended);
    last = name;
    at = ended + 1;
    if (text[at] !== ",") return text[at] === "}" && at + 1 === text.length ? data : undefined;
  }
}

function readData(text: string): Readonly<Record<string, unknown>> | undefined {
  const plain = readPlain(text);
  if (plain !== undefined) return plain;
  try {
    const data: unknown = JSON.parse(text);
    return isRecord(data) && canonicalObject(data) === text ? data : undefined;
  } catch {
    return undefined;
  }
}

/** @returns undefined when the text is not the one canonical form of an entry (ledger format, section 1). */
export function readEntry(body: string): ReadEntry | undefined {
  const before = BEFORE_DATA.exec(body);
  AFTER.lastIndex = body.lastIndexOf(AFTER_DATA);
  const after = before === null || AFTER.lastIndex < 0 ? null : AFTER.exec(body);
  if (before === null || after === null) return undefined;
  const [start, at, commitment] = before;
  const [, prev, digits, subject, type] = after;
  const data = readData(body.slice(start.length, after.index + 1));
  const seq = Number(digits);
  if (data === undefined || !Number.isSafeInteger(seq) || !isEntryType(type)) return undefined;
  if (at === undefined || prev === undefined || subject === undefined) return undefined;
  return { seq, prev, at, type, subject, commitment, data };
}

/**
 * What is wrong with one stored entry by itself and after its predecessor.
 * @param before stored hash and time of the entry before it; `at` undefined when that is not known.
 */
export function entryFindings(
  stored: StoredEntry,
  hashHex: string,
  before: { readonly hash: string | undefined; readonly at: string | undefined },
): { readonly entry: ReadEntry | undefined; readonly findings: readonly Finding[] } {
  const { seq } = stored;
  const entry = readEntry(stored.body);
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
