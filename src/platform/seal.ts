/**
 * Envelope encryption with AES-256-GCM (NIST SP 800-38D). Every sealed value is base64 of a 12-byte nonce, then the
 * ciphertext with its 16-byte tag. The additional data binds a ciphertext to its place: moved elsewhere it does not open.
 */
import { concatBytes, fromBase64, toBase64, utf8 } from "./encoding.ts";

const NONCE_BYTES = 12;

/** Fills an array with random bytes; `crypto.getRandomValues` outside tests. */
export type RandomBytes = (length: number) => Uint8Array<ArrayBuffer>;

/** @param key 32 bytes. */
export async function importSealKey(key: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  if (key.length !== 32) throw new RangeError(`an AES-256 key has 32 bytes, not ${key.length}`);
  return crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);
}

export async function seal(
  key: CryptoKey,
  plaintext: Uint8Array<ArrayBuffer>,
  additionalData: string,
  random: RandomBytes,
): Promise<string> {
  const iv = random(NONCE_BYTES);
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv, additionalData: utf8(additionalData) },
    key,
    plaintext,
  );
  return toBase64(concatBytes(iv, new Uint8Array(sealed)));
}

/** @throws Error or OperationError when the key, the place or any character is not the one it was sealed with. */
export async function open(key: CryptoKey, sealed: string, additionalData: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = fromBase64(sealed);
  // Decoding forgives a missing "=", white space and spare bits: what is stored would not be what was sealed.
  if (toBase64(bytes) !== sealed) throw new Error("a sealed value is not in its one form");
  const iv = bytes.subarray(0, NONCE_BYTES);
  const opened = await crypto.subtle.decrypt(
    { name: "AES-GCM", iv, additionalData: utf8(additionalData) },
    key,
    bytes.subarray(NONCE_BYTES),
  );
  return new Uint8Array(opened);
}
