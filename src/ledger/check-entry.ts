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
 * The pieces of the one canonical form (RFC 8785: members by name, no spaces); the facts of `data` are looked at by themselves. Each piece
 * is of a fixed length but for them, the seq and the type, so they are compared where they stand: every entry goes through here in
 * every round. Inside a JSON text no quote stands unescaped, so the last `},"prev":"` ends the facts.
 */
const AT = '{"at":"';
const COMMITMENT = '"commitment":"0x';
const DATA = '"data":{';
const PREV = '},"prev":"';
const SEQ = '","seq":';
const SUBJECT = ',"subject":"0x';
const TYPE = '","type":"';
const END = '","v":1}';
/** `d` stands for a digit. */
const TIME = "dddd-dd-ddTdd:dd:dd.dddZ";
const HEX_LENGTH = 64;
const MAX_DIGITS = 16;

const isDigit = (code: number): boolean => code >= 48 && code <= 57;

/** Whether 64 lower-case hex digits stand at `from`. */
function isHexAt(text: string, from: number): boolean {
  for (let i = from; i < from + HEX_LENGTH; i++) {
    const code = text.charCodeAt(i); // NaN behind the end
    if (!(isDigit(code) || (code >= 97 && code <= 102))) return false;
  }
  return true;
}

function isTimeAt(text: string, from: number): boolean {
  for (let i = 0; i < TIME.length; i++) {
    const code = text.charCodeAt(from + i);
    const expected = TIME.charCodeAt(i);
    if (expected === 100 ? !isDigit(code) : code !== expected) return false;
  }
  return true;
}

/** A whole number without leading zeros, of at most 16 digits; -1 for anything else. */
function numberAt(text: string, from: number, to: number): number {
  if (to <= from || to - from > MAX_DIGITS || (text.charCodeAt(from) === 48 && to - from > 1)) return -1;
  let value = 0;
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (!isDigit(code)) return -1;
    value = value * 10 + (code - 48);
  }
  return Number.isSafeInteger(value) ? value : -1;
}

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
  const at = AT.length;
  const afterAt = at + TIME.length;
  if (!body.startsWith(AT) || !isTimeAt(body, at) || !body.startsWith('",', afterAt)) return undefined;
  let next = afterAt + 2;
  let commitment: string | undefined;
  if (body.startsWith(COMMITMENT, next)) {
    const digits = next + COMMITMENT.length;
    if (!isHexAt(body, digits) || !body.startsWith('",', digits + HEX_LENGTH)) return undefined;
    commitment = body.slice(digits - 2, digits + HEX_LENGTH);
    next = digits + HEX_LENGTH + 2;
  }
  const facts = next + DATA.length - 1;
  const factsEnd = body.lastIndexOf(PREV);
  if (!body.startsWith(DATA, next) || factsEnd < facts) return undefined;
  const prev = factsEnd + PREV.length;
  if (!isHexAt(body, prev) || !body.startsWith(SEQ, prev + HEX_LENGTH)) return undefined;
  const digits = prev + HEX_LENGTH + SEQ.length;
  const seqEnd = body.indexOf(",", digits);
  const seq = numberAt(body, digits, seqEnd);
  const subject = seqEnd + SUBJECT.length;
  if (seq < 0 || !body.startsWith(SUBJECT, seqEnd) || !isHexAt(body, subject)) return undefined;
  const type = subject + HEX_LENGTH + TYPE.length;
  if (!body.startsWith(TYPE, subject + HEX_LENGTH) || !body.endsWith(END)) return undefined;
  const name = body.slice(type, body.length - END.length);
  const data = isEntryType(name) ? readData(body.slice(facts, factsEnd + 1)) : undefined;
  if (data === undefined || !isEntryType(name)) return undefined;
  return {
    seq,
    prev: body.slice(prev, prev + HEX_LENGTH),
    at: body.slice(at, afterAt),
    type: name,
    subject: body.slice(subject - 2, subject + HEX_LENGTH),
    commitment,
    data,
  };
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
