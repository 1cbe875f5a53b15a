import { utf8 } from "./encoding.ts";
import { sha256Of } from "./sha256.ts";

/**
 * Compares two secrets in a time that tells nothing of where they differ, nor of their lengths: both are hashed first,
 * so the loop always runs over 32 bytes.
 */
export function timingSafeEqual(a: string, b: string): boolean {
  const left = sha256Of(utf8(a));
  const right = sha256Of(utf8(b));
  let difference = 0;
  for (let i = 0; i < 32; i++) difference |= (left[i] ?? 0) ^ (right[i] ?? 0);
  return difference === 0;
}
