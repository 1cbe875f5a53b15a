/** Opaque ids: a kind and 120 random bits in lower-case base32 (RFC 4648 alphabet). Nothing about a person can be read off. */
import type { RandomBytes } from "../platform/seal.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

export type IdPrefix =
  | "cln"
  | "usr"
  | "pat"
  | "prv"
  | "ins"
  | "clm"
  | "job"
  | "ses"
  | "inv"
  | "tok"
  | "att"
  | "rem"
  | "edi";

export function newId(prefix: IdPrefix, random: RandomBytes): string {
  const bytes = random(15);
  let id = "";
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      id += ALPHABET[(buffer >> bits) & 31];
    }
    buffer &= 31;
  }
  return `${prefix}_${id}`;
}

/** What core takes as an id, so what we may put into one of its paths. */
export const isCoreId = (id: string): boolean => /^[A-Za-z0-9._-]{1,128}$/.test(id) && id !== "." && id !== "..";
