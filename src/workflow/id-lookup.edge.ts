/** Finding requests and claims by the id that a caller gives, the erased ones too, whose rows no longer hold it. */
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import type { CoreEnv } from "../core/env.ts";
import type { SealedValue } from "../platform/keyring.ts";
import { type FoundClaim, findClaim } from "./claim.store.ts";
import { findErasedSubject, findLookupKey, keepLookupKey } from "./id-lookup.store.ts";
import { type FoundRequest, findRequest, type RequestRecord, readRequestRecord } from "./request.store.ts";
import type { IdLookup } from "./vault.ts";

let held: { readonly env: CoreEnv; readonly lookup: IdLookup } | undefined;

async function hold(c: Context<CoreAppEnv>, wrappedKey: SealedValue): Promise<IdLookup> {
  const lookup = await (await c.get("vault")()).openLookupKey(wrappedKey);
  held = { env: c.env, lookup };
  return lookup;
}

/** The ledger's lookup; its key is made when there is none. Only for callers that are about to write. */
export async function idLookup(c: Context<CoreAppEnv>): Promise<IdLookup> {
  const known = await knownIdLookup(c);
  if (known !== undefined) return known;
  const drawn = await (await c.get("vault")()).createLookupKey();
  return hold(c, await keepLookupKey(c.env.DB, c.get("settings").LEDGER_ID, drawn));
}

/** Undefined while the ledger has no key, and so nothing erased. */
export async function knownIdLookup(c: Context<CoreAppEnv>): Promise<IdLookup | undefined> {
  if (held?.env === c.env) return held.lookup;
  const key = await findLookupKey(c.env.DB, c.get("settings").LEDGER_ID);
  return key === undefined ? undefined : hold(c, key);
}

type Find<Found> = (db: D1Database, ledgerId: string, tenantId: string, id: string) => Promise<Found | undefined>;

/** By the id as it is, or, where that was erased, by the subject that it stands for. */
async function findOf<Found>(
  c: Context<CoreAppEnv>,
  kind: "request" | "claim",
  tenantId: string,
  id: string,
  find: Find<Found>,
): Promise<Found | undefined> {
  const { DB } = c.env;
  const { LEDGER_ID } = c.get("settings");
  const found = await find(DB, LEDGER_ID, tenantId, id);
  if (found !== undefined) return found;
  const lookup = (await knownIdLookup(c))?.(kind, tenantId, id);
  const subject = lookup && (await findErasedSubject(DB, LEDGER_ID, lookup));
  return subject === undefined ? undefined : find(DB, LEDGER_ID, tenantId, subject);
}

/** @param idOrHash the request's id, erased or not, or its requestIdHash. */
export const findRequestOf = (
  c: Context<CoreAppEnv>,
  tenantId: string,
  idOrHash: string,
): Promise<FoundRequest | undefined> => findOf(c, "request", tenantId, idOrHash, findRequest);

/** With everything that is shown of it. @param idOrHash as for `findRequestOf`. */
export const readRequestOf = (
  c: Context<CoreAppEnv>,
  tenantId: string,
  idOrHash: string,
): Promise<RequestRecord | undefined> => findOf(c, "request", tenantId, idOrHash, readRequestRecord);

/** @param claimId as it was given when the claim was created, erased or not; an erased one is found by its hash as well. */
export const findClaimOf = (
  c: Context<CoreAppEnv>,
  tenantId: string,
  claimId: string,
): Promise<FoundClaim | undefined> => findOf(c, "claim", tenantId, claimId, findClaim);
