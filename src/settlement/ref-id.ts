/** A settlement's name: opaque, so that it may stand in logs, queue messages and webhooks, and the operator's name for it too. */
import type { RandomBytes } from "../platform/seal.ts";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BYTES = 16;
const LENGTH = 26;

export const REF_ID = /^stl_[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** `stl_` and 128 random bits in Crockford's base 32. */
export function newRefId(random: RandomBytes): string {
  let bits = random(BYTES).reduce((all, byte) => (all << 8n) | BigInt(byte), 0n);
  let text = "";
  for (let i = 0; i < LENGTH; i++) {
    text = ALPHABET.charAt(Number(bits & 31n)) + text;
    bits >>= 5n;
  }
  return `stl_${text}`;
}
