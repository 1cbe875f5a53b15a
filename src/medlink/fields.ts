/**
 * Personal fields at rest: sealed with AES-256-GCM under versioned keys and bound to their row, with keyed hashes beside
 * them where equality search is needed. The hashes are per clinic: two clinics' rows of one person cannot be matched.
 */
import { fromUtf8, toHex, utf8 } from "../platform/encoding.ts";
import { deriveKey, type Keyring } from "../platform/keyring.ts";
import type { RandomBytes } from "../platform/seal.ts";
import { hmacSha256 } from "../platform/signature.ts";

export interface Fields {
  /** @param place table and row, e.g. `patients/pat_x`: the value opens nowhere else. */
  seal(value: unknown, place: string): Promise<string>;
  /** @throws when the text was sealed elsewhere, by a key not held, or was changed. */
  open(sealed: string, place: string): Promise<unknown>;
  /** 64 hex digits. @param scope the clinic, or empty for what is unique across clinics. */
  hash(kind: HashKind, scope: string, value: string): string;
  /** Names the key that `seal` uses now; what it sealed begins with it. */
  readonly currentKeyId: string;
}

export type HashKind =
  | "email"
  | "health-number"
  | "name"
  | "patient-term"
  | "bulk-row"
  | "backup-code"
  | "address"
  | "identifier"
  | "content"
  | "message";

export function makeFields(keyring: Keyring, hashSecret: string, random: RandomBytes): Fields {
  const hashKey = deriveKey(hashSecret, "equality");
  return {
    currentKeyId: keyring.currentKeyId,
    async seal(value, place) {
      const { keyId, sealed } = await keyring.seal(utf8(JSON.stringify(value)), place, random);
      return `${keyId}.${sealed}`;
    },
    async open(text, place) {
      const dot = text.indexOf(".");
      const bytes = await keyring.open({ keyId: text.slice(0, dot), sealed: text.slice(dot + 1) }, place);
      return JSON.parse(fromUtf8(bytes));
    },
    hash(kind, scope, value) {
      return toHex(hmacSha256(hashKey, utf8(JSON.stringify([kind, scope, value]))));
    },
  };
}

/** Health numbers are compared without spaces and dashes, names without case and accents. */
export const normalizeHealthNumber = (value: string): string => value.replace(/[\s-]/g, "").toUpperCase();
export const normalizeName = (first: string, last: string): string =>
  `${first.trim()} ${last.trim()}`
    .normalize("NFD")
    .replace(/\p{Diacritic}/gu, "")
    .replace(/\s+/g, " ")
    .toLowerCase();

/** What a patient is found by: each word of the name and the birth date, as they are hashed. */
export function searchTerms(text: string): readonly string[] {
  const words = normalizeName(text, "").split(/[\s'’.,-]+/);
  const dates = text.match(/\b\d{4}-\d{2}-\d{2}\b/g) ?? [];
  const digits = new Set(dates.flatMap((date) => date.split("-")));
  const terms = new Set([...dates, ...words.filter((word) => word !== "" && !digits.has(word))]);
  return [...terms].slice(0, MAX_SEARCH_TERMS);
}

export const MAX_SEARCH_TERMS = 16;
