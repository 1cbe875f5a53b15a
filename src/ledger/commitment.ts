/** Salted HMACs: what the ledger says of ids and payloads without saying them (a salt destroyed leaves nothing to guess at). */
import { toHex, utf8 } from "../platform/encoding.ts";
import { hmacSha256 } from "../platform/signature.ts";
import { canonicalJson } from "./canonical.ts";

export const SALT_BYTES = 32;

/** `0x` and 64 hex: HMAC-SHA256 of a request or claim id under its own random salt; the API's requestIdHash. */
export const subjectOf = (salt: Uint8Array, id: string): string => `0x${toHex(hmacSha256(salt, utf8(id)))}`;

/**
 * `0x` and 64 hex: HMAC-SHA256 of a value's canonical JSON under the same salt; the API's payloadHash and decisionHash.
 * @throws TypeError when the value has no canonical form.
 */
export const commitmentOf = (salt: Uint8Array, value: unknown): string =>
  `0x${toHex(hmacSha256(salt, utf8(canonicalJson(value))))}`;
