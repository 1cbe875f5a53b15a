/** Who makes a request: a person by session cookie, an integration by its token, the hub's operator by key, or nobody. */
import { parse } from "hono/utils/cookie";
import { leaseSize, windowStart } from "../../platform/rate-limit.ts";
import { timingSafeEqual } from "../../platform/timing-safe.ts";
import type { Hub } from "../hub.edge.ts";
import { findSession, type SignedIn, touchSession } from "./accounts.store.ts";
import { type ApiToken, findApiToken, leasePermits } from "./api-tokens.store.ts";
import { API_TOKEN_PREFIX, tokenHash } from "./secret-token.ts";
import { readSessionCookie, SESSION_COOKIE, sessionAge } from "./session.ts";

export type Caller =
  | { readonly type: "nobody" }
  | { readonly type: "person"; readonly signedIn: SignedIn }
  | { readonly type: "token"; readonly token: ApiToken }
  /** An integration that asks too often. */
  | { readonly type: "throttled"; readonly retryAfterSeconds: number }
  /** The hub's operator key. */
  | { readonly type: "operator" };

const NOBODY: Caller = { type: "nobody" };

/** A key or token that was sent counts alone: a browser's cookie does not stand in for a wrong one. */
export async function callerOf(hub: Hub, request: Request): Promise<Caller> {
  const key = apiKeyOf(request.headers);
  if (key?.startsWith(API_TOKEN_PREFIX)) return tokenCaller(hub, key);
  if (key !== undefined) {
    return hub.operatorKeys.some((accepted) => timingSafeEqual(key, accepted)) ? { type: "operator" } : NOBODY;
  }
  const signedIn = await findSignedIn(hub, request);
  return signedIn === undefined ? NOBODY : { type: "person", signedIn };
}

function apiKeyOf(headers: Headers): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1];
  return headers.get("x-api-key") ?? bearer;
}

/** @returns the live session of the request's cookie, and moves its idle time on. */
export async function findSignedIn(hub: Hub, request: Request): Promise<SignedIn | undefined> {
  const hash = sessionHashOf(hub, request, SESSION_COOKIE);
  if (hash === undefined) return undefined;
  const session = await findSession(hub.db, hub.fields, hash);
  if (session === undefined) return undefined;
  const now = hub.now();
  switch (sessionAge(session, now)) {
    case "expired":
      return undefined;
    case "touch":
      await touchSession(hub.db, hash, now);
      return session;
    case "live":
      return session;
  }
}

/** @returns the hash of the id in a signed cookie of this name; undefined when it is not one of ours. */
export function sessionHashOf(hub: Hub, request: Request, name: string): string | undefined {
  const cookie = parse(request.headers.get("cookie") ?? "", name)[name];
  return cookie === undefined ? undefined : readSessionCookie(cookie, hub.sessionSecrets);
}

interface Held {
  readonly windowStartsAt: number;
  permits: number;
}

const WINDOW_MS = 60_000;
const MAX_TOKENS_HELD = 1_000;
/** This isolate's permits: one write to the database pays for many requests, and the limit holds over all isolates. */
const held = new Map<string, Held>();

async function tokenCaller(hub: Hub, key: string): Promise<Caller> {
  const now = hub.now();
  const token = await findApiToken(hub.db, tokenHash(key), now);
  if (token === undefined) return NOBODY;
  const startsAt = windowStart(now, WINDOW_MS);
  const mine = held.get(token.tokenId);
  if (mine !== undefined && mine.windowStartsAt === startsAt && mine.permits > 0) {
    mine.permits -= 1;
    return { type: "token", token };
  }
  const max = hub.settings.API_TOKEN_REQUESTS_PER_MINUTE;
  const wanted = leaseSize({ windowMs: WINDOW_MS, maxRequests: max });
  const permits = await leasePermits(hub.db, token.tokenId, { startsAt, max, wanted }, now);
  if (permits === 0) {
    return { type: "throttled", retryAfterSeconds: Math.ceil((startsAt + WINDOW_MS - now) / 1_000) };
  }
  if (held.size >= MAX_TOKENS_HELD) held.clear();
  held.set(token.tokenId, { windowStartsAt: startsAt, permits: permits - 1 });
  return { type: "token", token };
}
