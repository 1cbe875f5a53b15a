/** RFC 6962 hashing: one hash is both the Merkle leaf and the chain link. */
import { sha256Of } from "../platform/sha256.ts";

/** 32 bytes of SHA-256. */
export type Hash = Uint8Array;

export const HASH_BYTES = 32;

/** 64 zeros: the `prev` of entry 0. */
export const NO_ENTRY_HASH = "0".repeat(64);

/** Root of a tree without leaves: `SHA-256("")` (RFC 6962 section 2.1). */
export const EMPTY_ROOT: Hash = sha256Of(new Uint8Array(0));

/** `SHA-256(0x00 || entry)` (RFC 6962 section 2.1). */
export function leafHash(entry: Uint8Array): Hash {
  const prefixed = new Uint8Array(1 + entry.length);
  prefixed.set(entry, 1);
  return sha256Of(prefixed);
}

/** `SHA-256(0x01 || left || right)` (RFC 6962 section 2.1). */
export function nodeHash(left: Hash, right: Hash): Hash {
  const prefixed = new Uint8Array(1 + 2 * HASH_BYTES);
  prefixed[0] = 1;
  prefixed.set(left, 1);
  prefixed.set(right, 1 + HASH_BYTES);
  return sha256Of(prefixed);
}
