/**
 * CDAnet messages as text and back. Fields stand one after the other at fixed widths, without separators: digits are padded
 * with zeros on the left, text with spaces on the right; one character is one byte of ISO-8859-1.
 */
import {
  FIELDS,
  type FieldId,
  type Format,
  isTransactionCode,
  LAYOUTS,
  type Part,
  type TransactionCode,
} from "./dictionary.ts";

export type Row = Readonly<Partial<Record<FieldId, string>>>;

export interface CdanetMessage {
  readonly code: TransactionCode;
  /** Values without padding. Counts, lengths, version and code are not here: they follow from the rest. */
  readonly fields: Row;
  /** Groups, by the field that counts them. */
  readonly groups: Readonly<Partial<Record<FieldId, readonly Row[]>>>;
}

/** Names the field and the rule; never the value. */
export interface CdanetFault {
  readonly field: FieldId | "message";
  readonly rule:
    | "too_long"
    | "not_digits"
    | "too_short"
    | "unknown_code"
    | "wrong_version"
    | "wrong_length"
    | "left_over";
}

export type Encoded =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly fault: CdanetFault };

export type Decoded =
  | { readonly ok: true; readonly message: CdanetMessage }
  | { readonly ok: false; readonly fault: CdanetFault };

const VERSION = "04";
const LENGTH_OFFSET = 32; // of A07 in messages out: A01 to A10 before it
const ANSWER_LENGTH_OFFSET = 28; // answers have neither A06 nor A10
const LENGTH_WIDTH = FIELDS.A07.width;

const isNumeric = (format: Format): boolean => format === "N" || format === "D";

/** Free text may be cut to its width; an identification may not. */
const mayBeCut = (format: Format): boolean => format === "AE" || format === "AEN";

/** Latin letters keep their accents where the format has them; what has no place in ISO-8859-1 becomes a space. */
function tidy(value: string, format: Format): string {
  const flat = value.replace(/[\s\u2018\u2019]/g, (char) => (/\s/.test(char) ? " " : "'")).toWellFormed();
  const plain = flat.normalize("NFD").replace(/\p{Diacritic}/gu, "");
  const text = mayBeCut(format) ? flat.normalize("NFC") : plain;
  return [...text].map((char) => (inCharset(char) ? char : fold(char))).join("");
}

const inCharset = (char: string): boolean => /^[\x20-\x7e\xa0-\xff]$/.test(char);

function fold(char: string): string {
  const base = char.normalize("NFD").replace(/\p{Diacritic}/gu, "");
  return base.length === 1 && inCharset(base) ? base : " ";
}

type Written = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly fault: CdanetFault };

function writeField(id: FieldId, value: string, width: number = FIELDS[id].width): Written {
  const { format } = FIELDS[id];
  if (isNumeric(format)) {
    if (!/^\d*$/.test(value)) return { ok: false, fault: { field: id, rule: "not_digits" } };
    if (value.length > width) return { ok: false, fault: { field: id, rule: "too_long" } };
    return { ok: true, text: value.padStart(width, "0") };
  }
  const text = tidy(value, format);
  if (text.length > width && !mayBeCut(format)) return { ok: false, fault: { field: id, rule: "too_long" } };
  return { ok: true, text: text.slice(0, width).padEnd(width, " ") };
}

/** @returns the text, its length in A07, or the first field that does not fit. */
export function encode(message: CdanetMessage): Encoded {
  const layout: readonly Part[] = LAYOUTS[message.code];
  const derived = derivedFields(message, layout);
  let text = "";
  for (const part of layout) {
    const written = writePart(message, part, derived);
    if (!written.ok) return written;
    text += written.text;
  }
  const length = String(text.length);
  if (length.length > LENGTH_WIDTH) return { ok: false, fault: { field: "A07", rule: "too_long" } };
  const at = layout.includes("A10") ? LENGTH_OFFSET : ANSWER_LENGTH_OFFSET;
  return {
    ok: true,
    text: text.slice(0, at) + length.padStart(LENGTH_WIDTH, "0") + text.slice(at + LENGTH_WIDTH),
  };
}

/** Version, code, counts and lengths, as the rest of the message makes them. */
function derivedFields(message: CdanetMessage, layout: readonly Part[]): Row {
  const derived: Partial<Record<FieldId, string>> = { A03: VERSION, A04: message.code, A07: "" };
  for (const part of layout) {
    if (typeof part === "string") continue;
    if ("count" in part) derived[part.count] = String(message.groups[part.count]?.length ?? 0);
    else derived[part.length] = String((message.fields[part.text] ?? "").length);
  }
  return derived;
}

function writePart(message: CdanetMessage, part: Part, derived: Row): Written {
  if (typeof part === "string") return writeField(part, derived[part] ?? message.fields[part] ?? "");
  if ("text" in part) {
    const value = message.fields[part.text] ?? "";
    return writeField(part.text, value, value.length);
  }
  let text = "";
  for (const row of message.groups[part.count] ?? []) {
    for (const id of part.group) {
      const written = writeField(id, row[id] ?? "");
      if (!written.ok) return written;
      text += written.text;
    }
  }
  return { ok: true, text };
}

/** Takes a message apart. Everything is checked: version, code, digits, counts, and that its length is what A07 says. */
export function decode(text: string): Decoded {
  const faulty = (field: CdanetFault["field"], rule: CdanetFault["rule"]): Decoded => ({
    ok: false,
    fault: { field, rule },
  });
  if (text.length < 22) return faulty("message", "too_short");
  if (text.slice(18, 20) !== VERSION) return faulty("A03", "wrong_version");
  const code = text.slice(20, 22);
  if (!isTransactionCode(code)) return faulty("A04", "unknown_code");

  const fields: Partial<Record<FieldId, string>> = {};
  const groups: Partial<Record<FieldId, Row[]>> = {};
  let at = 0;
  let fault: CdanetFault | undefined;
  const take = (id: FieldId, width: number = FIELDS[id].width): string => {
    const raw = text.slice(at, at + width);
    at += width;
    if (raw.length < width) fault ??= { field: id, rule: "too_short" };
    else if (isNumeric(FIELDS[id].format) && !/^(?:\d*| *)$/.test(raw)) fault ??= { field: id, rule: "not_digits" };
    return isNumeric(FIELDS[id].format) ? raw.trim() : raw.trimEnd();
  };
  for (const part of LAYOUTS[code]) {
    if (fault !== undefined) break;
    if (typeof part === "string") {
      fields[part] = take(part);
    } else if ("text" in part) {
      const value = take(part.text, Number(fields[part.length] ?? 0));
      if (value !== "") fields[part.text] = value;
    } else {
      const count = Number(fields[part.count] ?? 0);
      const rows: Row[] = [];
      for (let i = 0; i < count && fault === undefined; i++) {
        rows.push(Object.fromEntries(part.group.map((id) => [id, take(id)])));
      }
      if (count > 0) groups[part.count] = rows;
    }
  }
  if (fault !== undefined) return { ok: false, fault };
  if (text.slice(at).trimEnd() !== "") return faulty("message", "left_over");
  if (Number(fields.A07) !== at) return faulty("A07", "wrong_length");
  return { ok: true, message: { code, fields, groups } };
}

/** @returns cents; undefined when the field is empty. */
export const centsOf = (value: string | undefined): number | undefined =>
  value === undefined || value === "" ? undefined : Number(value);
