/**
 * Versioned keys: what is sealed names the key it was sealed with, so old and new keys open side by side during a
 * rotation. A key's id is the first 8 hex digits of SHA-256 over a label and the key: nothing to configure, nothing to mix up.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, toHex, utf8 } from "./encoding.ts";
import { importSealKey, open, type RandomBytes, seal } from "./seal.ts";

export interface SealedValue {
  readonly keyId: string;
  readonly sealed: string;
}

/** What was sealed under a key that the service no longer has: lost with its secret, or retired too early. */
export class KeyNotHeldError extends Error {
  constructor(keyId: string, purpose: string) {
    super(`no key ${keyId} for ${purpose}`);
    this.name = "KeyNotHeldError";
  }
}

export interface Keyring {
  readonly currentKeyId: string;
  seal(plaintext: Uint8Array<ArrayBuffer>, additionalData: string, random: RandomBytes): Promise<SealedValue>;
  /** @throws KeyNotHeldError when no key of that id is held; OperationError when the value does not open. */
  open(value: SealedValue, additionalData: string): Promise<Uint8Array<ArrayBuffer>>;
}

/** The 32-byte key that a secret of any form stands for: SHA-256 over a purpose label and the secret. */
export function deriveKey(secret: string, purpose: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(sha256(utf8(`itrans-edge/${purpose}\n${secret}`)));
}

/** 8 hex digits. */
export const keyIdOf = (key: Uint8Array): string => toHex(sha256(concatBytes(utf8("key id\n"), key))).slice(0, 8);

/**
 * @param secrets the current secret first, then previous ones still accepted for opening.
 * @param purpose separates keys made from one secret for two uses.
 */
export async function makeKeyring(secrets: readonly string[], purpose: string): Promise<Keyring> {
  const keys = new Map<string, CryptoKey>();
  let currentKeyId: string | undefined;
  for (const secret of secrets) {
    const key = deriveKey(secret, purpose);
    const id = keyIdOf(key);
    currentKeyId ??= id;
    keys.set(id, await importSealKey(key));
  }
  const current = currentKeyId === undefined ? undefined : keys.get(currentKeyId);
  if (currentKeyId === undefined || current === undefined) throw new Error(`no key for ${purpose}`);
  const writeKey = current;
  const writeKeyId = currentKeyId;
  return {
    currentKeyId: writeKeyId,
    async seal(plaintext, additionalData, random) {
      return { keyId: writeKeyId, sealed: await seal(writeKey, plaintext, additionalData, random) };
    },
    async open(value, additionalData) {
      const key = keys.get(value.keyId);
      if (key === undefined) throw new KeyNotHeldError(value.keyId, purpose);
      return open(key, value.sealed, additionalData);
    },
  };
}
