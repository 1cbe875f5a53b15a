/**
 * Payloads at rest: each subject has its own data key and salt, wrapped together under the master key and kept apart from
 * the ciphertext. Destroying the wrapped pair leaves ciphertext nobody opens and commitments nobody can guess at.
 */
import { commitmentOf, SALT_BYTES, subjectOf } from "../ledger/commitment.ts";
import { concatBytes, fromUtf8, toHex, utf8 } from "../platform/encoding.ts";
import type { Keyring, SealedValue } from "../platform/keyring.ts";
import { importSealKey, open, type RandomBytes, seal } from "../platform/seal.ts";
import { hmacSha256 } from "../platform/signature.ts";

const DATA_KEY_BYTES = 32;
const LOOKUP_KEY_BYTES = 32;

/**
 * 64 hex: HMAC-SHA256 of an id under the ledger's lookup key. It stands for the id where nothing can be erased, and finds an
 * erased one again; without the key no guess at an id can be checked.
 */
export type IdLookup = (kind: "request" | "claim" | "idempotency", tenantId: string, id: string) => string;

/** An opened subject: what is needed to seal, open and commit. Lives for one request only. */
export interface OpenSubject {
  /** `0x` and 64 hex; the API's requestIdHash. */
  readonly subject: string;
  /** Whether the subject stands for this id. */
  readonly isOf: (id: string) => boolean;
  readonly commit: (value: unknown) => string;
  readonly seal: (part: string, text: string) => Promise<string>;
  readonly open: (part: string, sealed: string) => Promise<string>;
}

export interface Vault {
  /** Draws salt and data key for a new subject. */
  create(id: string): Promise<{ readonly opened: OpenSubject; readonly wrappedKey: SealedValue }>;
  /** @throws Error or OperationError when the master key is not held or the pair was tampered with. */
  unwrap(subject: string, wrappedKey: SealedValue): Promise<OpenSubject>;
  /** Draws a lookup key; a ledger has one for good. */
  createLookupKey(): Promise<SealedValue>;
  /** @throws as `unwrap`. */
  openLookupKey(wrappedKey: SealedValue): Promise<IdLookup>;
}

/** What a wrapped pair, and a wrapped lookup key, is bound to. @param scope the ledger's id. */
export const keyPlace = (scope: string, subject: string): string => `key:${scope}:${subject}`;
export const lookupKeyPlace = (scope: string): string => `lookup:${scope}`;

/** @param scope the ledger's id; binds every ciphertext to its place. */
export function makeVault(keyring: Keyring, scope: string, random: RandomBytes): Vault {
  const lookupPlace = lookupKeyPlace(scope);
  const openWith = async (subject: string, pair: Uint8Array<ArrayBuffer>): Promise<OpenSubject> => {
    const dataKey = await importSealKey(pair.slice(0, DATA_KEY_BYTES));
    const salt = pair.slice(DATA_KEY_BYTES);
    const partPlace = (part: string) => `payload:${scope}:${subject}:${part}`;
    return {
      subject,
      isOf: (id) => subjectOf(salt, id) === subject,
      commit: (value) => commitmentOf(salt, value),
      seal: (part, text) => seal(dataKey, utf8(text), partPlace(part), random),
      open: async (part, sealed) => fromUtf8(await open(dataKey, sealed, partPlace(part))),
    };
  };
  return {
    async create(id) {
      const pair = concatBytes(random(DATA_KEY_BYTES), random(SALT_BYTES));
      const subject = subjectOf(pair.subarray(DATA_KEY_BYTES), id);
      return {
        opened: await openWith(subject, pair),
        wrappedKey: await keyring.seal(pair, keyPlace(scope, subject), random),
      };
    },
    async unwrap(subject, wrappedKey) {
      return openWith(subject, await keyring.open(wrappedKey, keyPlace(scope, subject)));
    },
    createLookupKey: () => keyring.seal(random(LOOKUP_KEY_BYTES), lookupPlace, random),
    async openLookupKey(wrappedKey) {
      const key = await keyring.open(wrappedKey, lookupPlace);
      return (kind, tenantId, id) => toHex(hmacSha256(key, utf8(`${kind}\n${tenantId}\n${id}`)));
    },
  };
}
