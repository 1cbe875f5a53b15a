/** Who calls, whether they may, and how often: every route behind a key goes through here. */
import type { MiddlewareHandler } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import type { CoreEnv } from "../core/env.ts";
import { notePreviousUse } from "../keys/secret-ages.store.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { toHex, utf8 } from "../platform/encoding.ts";
import { problemResponse } from "../platform/problem.ts";
import { takePermit } from "../platform/rate-limit.client.ts";
import { acceptedValues } from "../platform/secrets.ts";
import { sha256Of } from "../platform/sha256.ts";
import { findApiKey, noteKeyUse } from "./api-keys.store.ts";
import { DEFAULT_TENANT, mayUse, type Principal, type Scope, type Surface } from "./principal.ts";

export const keyHashOf = (key: string): string => toHex(sha256Of(utf8(key)));

/** Rights that the environment's keys give in the default tenant. */
const SETTINGS_KEYS: readonly { name: string; keyId: string; surface: Surface; scopes: readonly Scope[] }[] = [
  { name: "WORKFLOW_API_KEY", keyId: "workflow", surface: "workflow", scopes: ["submit", "read", "adjudicate"] },
  { name: "CLAIMS_API_KEY", keyId: "claims", surface: "claims", scopes: ["submit", "read"] },
  { name: "OPERATOR_API_KEY", keyId: "operator", surface: "operator", scopes: ["read", "audit", "operate"] },
];

interface SettingsPrincipal {
  readonly principal: Principal;
  /** The secret whose value before this key is: still accepted, in an overlap. */
  readonly previousOf: string | undefined;
}

function settingsPrincipals(env: CoreEnv): ReadonlyMap<string, SettingsPrincipal> {
  const principals = new Map<string, SettingsPrincipal>();
  const values = { ...env };
  for (const { name, keyId, surface, scopes } of SETTINGS_KEYS) {
    const principal: Principal = {
      keyId,
      tenantId: DEFAULT_TENANT,
      surface,
      scopes: new Set(scopes),
      insurerAddress: undefined,
      requestsPerMinute: undefined,
    };
    // The present value last: should both be the same, it is no old one.
    for (const [index, key] of [...acceptedValues(values, name).entries()].reverse()) {
      principals.set(keyHashOf(key), { principal, previousOf: index === 0 ? undefined : name });
    }
  }
  return principals;
}

/**
 * How long a key that was looked up is believed, and so how soon a revocation is felt by isolates other than the one it was made
 * in; and how long a wrong key saves us a read.
 */
export const FOUND_MS = 1_000;
const MISSING_MS = 1_000;
const MAX_CACHED = 1_000;
/** How exact a key's last use is. */
const USE_NOTED_EVERY_MS = 300_000;
const OLD_VALUE_NOTED_EVERY_MS = 10_000;

let fromSettings: { readonly env: CoreEnv; readonly principals: ReadonlyMap<string, SettingsPrincipal> } | undefined;
const looked = new Map<string, { readonly principal: Principal | undefined; readonly until: number }>();
/** When this isolate last noted the use of a key, by its hash. */
const noted = new Map<string, number>();

/** After a key was made or revoked: the next request looks it up again. */
export function forgetKeys(): void {
  looked.clear();
}

function noteUse(env: CoreEnv, hash: string, later: (work: Promise<unknown>) => void): void {
  const now = systemNow();
  if ((noted.get(hash) ?? 0) > now - USE_NOTED_EVERY_MS) return;
  if (noted.size >= MAX_CACHED) noted.clear();
  noted.set(hash, now);
  // A note that is lost is written with a later use.
  later(noteKeyUse(env.DB, hash, now, USE_NOTED_EVERY_MS).catch(() => noted.delete(hash)));
}

/** While a key is rotated: the old value may go once nobody comes with it any more. */
function noteOldValue(env: CoreEnv, name: string, later: (work: Promise<unknown>) => void): void {
  const now = systemNow();
  if ((noted.get(name) ?? 0) > now - OLD_VALUE_NOTED_EVERY_MS) return;
  noted.set(name, now);
  later(notePreviousUse(env.DB, "itrans-core", name, now).catch(() => noted.delete(name)));
}

async function principalOf(
  env: CoreEnv,
  key: string,
  later: (work: Promise<unknown>) => void,
): Promise<Principal | undefined> {
  if (fromSettings?.env !== env) fromSettings = { env, principals: settingsPrincipals(env) };
  const hash = keyHashOf(key);
  const known = fromSettings.principals.get(hash);
  if (known !== undefined) {
    if (known.previousOf !== undefined) noteOldValue(env, known.previousOf, later);
    return known.principal;
  }
  const cached = looked.get(hash);
  if (cached !== undefined && cached.until > systemNow()) return cached.principal;
  // The time of the question: an answer that took long is not believed for longer.
  const askedAt = systemNow();
  const record = await findApiKey(env.DB, hash);
  const principal = record === undefined ? undefined : { ...record, scopes: new Set(record.scopes) };
  if (looked.size >= MAX_CACHED) looked.clear();
  looked.set(hash, { principal, until: askedAt + (principal === undefined ? MISSING_MS : FOUND_MS) });
  if (principal !== undefined) noteUse(env, hash, later);
  return principal;
}

function keyFrom(header: (name: string) => string | undefined): string | undefined {
  const key = header("x-api-key");
  if (key !== undefined && key !== "") return key;
  return /^Bearer +(\S+)$/i.exec(header("authorization") ?? "")?.[1];
}

/**
 * 401 without a known key; 403 for a key of the other surface or without the scope; 429 over the key's limit. Where several
 * surfaces or scopes are given, one of them is enough.
 */
export function authenticate(
  surface: Surface | readonly Surface[],
  scope: Scope | readonly Scope[],
): MiddlewareHandler<CoreAppEnv> {
  const surfaces = [surface].flat();
  const scopes = [scope].flat();
  return async (c, next) => {
    const correlationId = c.get("correlationId");
    const key = keyFrom((name) => c.req.header(name));
    const principal =
      key === undefined ? undefined : await principalOf(c.env, key, (work) => c.executionCtx.waitUntil(work));
    if (principal === undefined) {
      const detail =
        key === undefined ? "Send your key as x-api-key or Authorization: Bearer." : "This key is not known.";
      return problemResponse({ code: "unauthenticated", detail }, correlationId);
    }
    if (!surfaces.some((one) => mayUse(principal, one))) {
      const detail = `This key is not for ${surfaces.join(" or ")} calls.`;
      return problemResponse({ code: "forbidden", detail }, correlationId);
    }
    if (!scopes.some((one) => principal.scopes.has(one))) {
      const detail = `This key lacks the scope ${scopes.join(" or ")}.`;
      return problemResponse({ code: "forbidden", detail }, correlationId);
    }
    const { API_RATE_LIMIT_WINDOW_MS: windowMs, API_RATE_LIMIT_MAX_REQUESTS: defaultMax } = c.get("settings");
    const own = principal.requestsPerMinute;
    const limit = own === undefined ? { windowMs, maxRequests: defaultMax } : { windowMs: 60_000, maxRequests: own };
    const waitMs = await takePermit(
      c.env.RATE_LIMITER,
      `${principal.tenantId}:${principal.keyId}`,
      limit,
      systemNow,
      (call) => c.executionCtx.waitUntil(call),
    );
    if (waitMs !== undefined) {
      const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000));
      return problemResponse(
        {
          code: "rate_limited",
          detail: "Too many requests with this key; wait as Retry-After says.",
          retryAfterSeconds,
        },
        correlationId,
      );
    }
    c.set("principal", principal);
    return next();
  };
}
