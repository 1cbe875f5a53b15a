/** Sessions: an opaque random id, signed in the cookie, hashed in the database. */
import { sha256 } from "@noble/hashes/sha2.js";
import { toHex, utf8 } from "../../platform/encoding.ts";
import type { RandomBytes } from "../../platform/seal.ts";
import { hmacSha256 } from "../../platform/signature.ts";
import { timingSafeEqual } from "../../platform/timing-safe.ts";

export const SESSION_COOKIE = "medlink_session";
export const SESSION_IDLE_MS = 30 * 60_000;
/** However busy, a session ends: a stolen cookie is not for ever. */
export const SESSION_LIFETIME_MS = 12 * 3_600_000;
/** `last_seen_at` is written at most this often, so that reading a page is not a database write. */
export const SESSION_TOUCH_MS = 60_000;

const sign = (id: string, secret: string): string => toHex(hmacSha256(utf8(secret), utf8(`session ${id}`)));

/** What the database knows of a session id. */
export const sessionHash = (id: string): string => toHex(sha256(utf8(id)));

export function newSession(random: RandomBytes, secret: string): { readonly hash: string; readonly cookie: string } {
  const id = toHex(random(32));
  return { hash: sessionHash(id), cookie: `${id}.${sign(id, secret)}` };
}

/**
 * @param secrets those accepted now, current first.
 * @returns the session's hash; undefined when the cookie is not one of ours.
 */
export function readSessionCookie(cookie: string, secrets: readonly string[]): string | undefined {
  const match = /^([0-9a-f]{64})\.([0-9a-f]{64})$/.exec(cookie);
  const [, id, signature] = match ?? [];
  if (id === undefined || signature === undefined) return undefined;
  return secrets.some((secret) => timingSafeEqual(sign(id, secret), signature)) ? sessionHash(id) : undefined;
}

export type SessionAge = "live" | "touch" | "expired";

export function sessionAge(
  session: { readonly createdAt: number; readonly lastSeenAt: number },
  now: number,
): SessionAge {
  if (now - session.lastSeenAt > SESSION_IDLE_MS || now - session.createdAt > SESSION_LIFETIME_MS) return "expired";
  return now - session.lastSeenAt >= SESSION_TOUCH_MS ? "touch" : "live";
}

/** Between the right password and the second factor's code. */
export const PENDING_COOKIE = "medlink_pending";
export const PENDING_MS = 5 * 60_000;
/** A person's sessions at once; the oldest ends when there is one more. */
export const SESSIONS_OF_USER = 200;

const cookieOf = (name: string, value: string, path: string, maxAgeSeconds: number, secure: boolean): string =>
  `${name}=${value}; Path=${path}; HttpOnly; SameSite=Lax; Max-Age=${maxAgeSeconds}${secure ? "; Secure" : ""}`;

/** @param maxAgeSeconds 0 takes the cookie away. */
export const sessionCookie = (value: string, maxAgeSeconds: number, secure: boolean): string =>
  cookieOf(SESSION_COOKIE, value, "/", maxAgeSeconds, secure);

/** @param maxAgeSeconds 0 takes the cookie away. */
export const pendingCookie = (value: string, maxAgeSeconds: number, secure: boolean): string =>
  cookieOf(PENDING_COOKIE, value, "/api/auth", maxAgeSeconds, secure);
