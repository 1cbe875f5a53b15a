/** HMAC-SHA256 signatures of both directions: what clients sign for us and what we sign for receivers. */
import { createHmac } from "node:crypto";
import { toBase64, toHex, utf8 } from "./encoding.ts";
import { timingSafeEqual } from "./timing-safe.ts";

export const hmacSha256 = (key: Uint8Array, message: Uint8Array): Uint8Array =>
  createHmac("sha256", key).update(message).digest();

/** Lower-case hex of HMAC-SHA256 over `JSON.stringify(payload)` in the sender's key order. */
export function signProviderPayload(payload: unknown, secret: string): string {
  return toHex(hmacSha256(utf8(secret), utf8(JSON.stringify(payload))));
}

/**
 * @param payload as it was parsed from the wire, before any schema stripped, reordered or coerced it.
 * @param secrets those accepted now: the current one and, during a rotation, the previous one.
 */
export function verifyProviderSignature(payload: unknown, signature: string, secrets: readonly string[]): boolean {
  return secrets.some((secret) => timingSafeEqual(signProviderPayload(payload, secret), signature));
}

/** `hmac-sha256=` and lower-case hex over `<timestamp ms>.<raw body>`: the value of x-itrans-relay-signature. */
export function signRelayBody(timestampMs: number, body: string, secret: string): string {
  return `hmac-sha256=${toHex(hmacSha256(utf8(secret), utf8(`${timestampMs}.${body}`)))}`;
}

/** `v1,` and base64 over `<id>.<timestamp s>.<raw body>`: the value of webhook-signature (Standard Webhooks 1.0). */
export function signStandardWebhook(id: string, timestampSeconds: number, body: string, secret: string): string {
  return `v1,${toBase64(hmacSha256(utf8(secret), utf8(`${id}.${timestampSeconds}.${body}`)))}`;
}

/** The form in which a Standard Webhooks library takes a signing secret. */
export const standardWebhookSecret = (secret: string): string => `whsec_${toBase64(utf8(secret))}`;
