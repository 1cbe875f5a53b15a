/**
 * Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request with an effect of its own is carried out once for each key, and
 * answered the same each time. What decides about a key left PROCESSING is what really happened, never its age alone: its effect has
 * a name, drawn with the key and used again by whoever takes it over.
 */
import type { Problem } from "../problem.ts";

export const KEY_STATES = ["PROCESSING", "COMPLETED"] as const;
export type KeyState = (typeof KEY_STATES)[number];

export interface StoredKey {
  readonly keyId: string;
  readonly scope: string;
  readonly tenantId: string;
  readonly fingerprint: string;
  readonly state: KeyState;
  readonly effectId: string;
  /** Fencing: what is written under an older one changes nothing. */
  readonly token: number;
  /** Epoch ms; while PROCESSING, whoever began is taken to be at work until then. */
  readonly busyUntil: number;
  /** Of the answer; undefined while there is none, or where it is made anew from the effect. */
  readonly answer: { readonly status: number; readonly keyId: string; readonly sealed: string } | undefined;
  /** Epoch ms. */
  readonly expiresAt: number;
}

export interface KeyedRequest {
  readonly fingerprint: string;
}

export type KeyDecision =
  /** Nobody has used it: begin under the effect's name that was drawn. */
  | { readonly type: "begin" }
  /** Whoever began is gone: go on under the same name, once it is known that the effect did not happen. */
  | { readonly type: "resume"; readonly effectId: string; readonly token: number }
  /** Perhaps still at work: see whether the effect happened; if not, say that it is in progress. */
  | { readonly type: "in-progress"; readonly effectId: string; readonly token: number; readonly retryAfterMs: number }
  | { readonly type: "answer"; readonly answer: StoredKey["answer"]; readonly effectId: string }
  | { readonly type: "mismatch" };

/** How long a request that began is taken to be at work: longer than a route takes at its worst. */
export const BUSY_MS = 60_000;

/** @param stored undefined when the key is new, or was and expired. */
export function decideKey(stored: StoredKey | undefined, request: KeyedRequest, now: number): KeyDecision {
  if (stored === undefined || (stored.state === "COMPLETED" && stored.expiresAt <= now)) return { type: "begin" };
  if (stored.fingerprint !== request.fingerprint) return { type: "mismatch" };
  const { effectId, token } = stored;
  if (stored.state === "COMPLETED") return { type: "answer", answer: stored.answer, effectId };
  if (stored.busyUntil <= now) return { type: "resume", effectId, token };
  return { type: "in-progress", effectId, token, retryAfterMs: stored.busyUntil - now };
}

/** Whether an answer is final. One that says "not now" is not, and the same request is carried out again. */
export const isFinal = (status: number): boolean => status < 500 && status !== 429 && status !== 408;

/**
 * The key of a header that may be quoted (RFC 8941 string, as the draft has it) or bare.
 * @returns undefined when there is none of a form that is taken.
 */
export function keyFromHeader(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const quoted = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(header);
  const key = quoted?.[1]?.replace(/\\(["\\])/g, "$1") ?? header;
  return /^[\x21-\x7e][\x20-\x7e]{0,254}$/.test(key) && !(quoted === null && header.startsWith('"')) ? key : undefined;
}

export const KEY_MISSING: Problem = {
  code: "invalid_body",
  detail:
    "Send an Idempotency-Key of 1 to 255 printable characters: the same for a resend, another for another request.",
  issues: [{ path: "Idempotency-Key", message: "is needed" }],
};

export const KEY_REUSED: Problem = {
  code: "key_reused",
  detail: "This Idempotency-Key came with another request before. Use a key for one request only.",
};

export const inProgress = (retryAfterMs: number): Problem => ({
  code: "in_progress",
  detail: "A request with this Idempotency-Key is being carried out. Ask again with the same key.",
  retryAfterSeconds: Math.min(5, Math.max(1, Math.ceil(retryAfterMs / 1000))),
});
