/**
 * Personal fields at rest: sealed with AES-256-GCM under versioned keys and bound to their row, with keyed hashes beside
 * them where equality search is needed. The hashes are per clinic: two clinics' rows of one person cannot be matched.
 */
import { fromUtf8, toHex, utf8 } from "../platform/encoding.ts";
import { deriveKey, type Keyring, keyIdOf } from "../platform/keyring.ts";
import type { RandomBytes } from "../platform/seal.ts";
import { hmacSha256 } from "../platform/signature.ts";

export interface Fields {
  /** @param place table and row, e.g. `patients/pat_x`: the value opens nowhere else. */
  seal(value: unknown, place: string): Promise<string>;
  /** @throws when the text was sealed elsewhere, by a key not held, or was changed. */
  open(sealed: string, place: string): Promise<unknown>;
  /** 64 hex digits, under the key of now. @param scope the clinic, or empty for what is unique across clinics. */
  hash(kind: HashKind, scope: string, value: string): string;
  /** Under the key of now first, then under those still accepted: what is looked up may have been stored under either. */
  hashes(kind: HashKind, scope: string, value: string): readonly [string, ...string[]];
  /** Names the key that `hash` uses now. */
  readonly currentHashKeyId: string;
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

/** @param hashSecrets the current one first. */
export function makeFields(keyring: Keyring, hashSecrets: readonly [string, ...string[]], random: RandomBytes): Fields {
  const [current, ...previous] = hashSecrets;
  const hashKey = deriveKey(current, "equality");
  const previousKeys = previous.map((secret) => deriveKey(secret, "equality"));
  const under = (key: Uint8Array, kind: HashKind, scope: string, value: string): string =>
    toHex(hmacSha256(key, utf8(JSON.stringify([kind, scope, value]))));
  return {
    currentKeyId: keyring.currentKeyId,
    currentHashKeyId: keyIdOf(hashKey),
    async seal(value, place) {
      const { keyId, sealed } = await keyring.seal(utf8(JSON.stringify(value)), place, random);
      return `${keyId}.${sealed}`;
    },
    async open(text, place) {
      const dot = text.indexOf(".");
      const bytes = await keyring.open({ keyId: text.slice(0, dot), sealed: text.slice(dot + 1) }, place);
      return JSON.parse(fromUtf8(bytes));
    },
    hash: (kind, scope, value) => under(hashKey, kind, scope, value),
    hashes: (kind, scope, value) => [
      under(hashKey, kind, scope, value),
      ...previousKeys.map((key) => under(key, kind, scope, value)),
    ],
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
