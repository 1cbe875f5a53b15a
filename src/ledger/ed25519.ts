/** Ed25519 (RFC 8032) by WebCrypto, with keys as their raw 32 bytes. */
import { concatBytes, fromBase64, fromHex } from "../platform/encoding.ts";

export const SEED_BYTES = 32;
export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

const ALGORITHM = { name: "Ed25519" } as const;

/** DER that stands before the seed in a PKCS#8 private key (RFC 8410 section 7). */
const PKCS8_PREFIX = fromHex("302e020100300506032b657004220420");

export interface SigningKey {
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
}

const base64Of = (base64url: string): string => base64url.replaceAll("-", "+").replaceAll("_", "/");

/** A seed as it is written in a JWK's `d`: 43 characters of base64url. @returns undefined for anything else. */
export function parseSeed(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]{43}$/.test(text)) return undefined;
  const seed = fromBase64(`${base64Of(text)}=`);
  return seed.length === SEED_BYTES ? seed : undefined;
}

/** @param seed the 32 bytes that the key pair is derived from. */
export async function importSigningKey(seed: Uint8Array): Promise<SigningKey> {
  if (seed.length !== SEED_BYTES) throw new RangeError(`an Ed25519 seed has ${SEED_BYTES} bytes, not ${seed.length}`);
  const key = await crypto.subtle.importKey("pkcs8", concatBytes(PKCS8_PREFIX, seed), ALGORITHM, true, ["sign"]);
  const jwk = await crypto.subtle.exportKey("jwk", key);
  if (!("x" in jwk) || typeof jwk.x !== "string") throw new Error("an Ed25519 key has a public half");
  const publicKey = fromBase64(`${base64Of(jwk.x)}=`);
  return {
    publicKey,
    async sign(message) {
      return new Uint8Array(await crypto.subtle.sign(ALGORITHM, key, message));
    },
  };
}

/** False for a wrong signature, and for a public key that is no point of the curve. */
export async function verifyEd25519(
  publicKey: Uint8Array,
  message: Uint8Array<ArrayBuffer>,
  signature: Uint8Array,
): Promise<boolean> {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  try {
    const key = await crypto.subtle.importKey("raw", new Uint8Array(publicKey), ALGORITHM, false, ["verify"]);
    return await crypto.subtle.verify(ALGORITHM, key, new Uint8Array(signature), message);
  } catch {
    return false;
  }
}
