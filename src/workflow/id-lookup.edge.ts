/** Finding requests and claims by the id that a caller gives, the erased ones too, whose rows no longer hold it. */
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import type { CoreEnv } from "../core/env.ts";
import type { SealedValue } from "../platform/keyring.ts";
import { type FoundClaim, findClaim } from "./claim.store.ts";
import { findErasedSubject, findLookupKey, keepLookupKey } from "./id-lookup.store.ts";
import { type FoundRequest, findRequest } from "./request.store.ts";
import type { IdLookup } from "./vault.ts";

let held: { readonly env: CoreEnv; readonly lookup: IdLookup } | undefined;

async function hold(c: Context<CoreAppEnv>, wrappedKey: SealedValue): Promise<IdLookup> {
  const lookup = await (await c.var.vault()).openLookupKey(wrappedKey);
  held = { env: c.env, lookup };
  return lookup;
}

/** The ledger's lookup; its key is made when there is none. Only for callers that are about to write. */
export async function idLookup(c: Context<CoreAppEnv>): Promise<IdLookup> {
  const known = await knownIdLookup(c);
  if (known !== undefined) return known;
  const drawn = await (await c.var.vault()).createLookupKey();
  return hold(c, await keepLookupKey(c.env.DB, c.var.settings.LEDGER_ID, drawn));
}

/** Undefined while the ledger has no key, and so nothing erased. */
export async function knownIdLookup(c: Context<CoreAppEnv>): Promise<IdLookup | undefined> {
  if (held?.env === c.env) return held.lookup;
  const key = await findLookupKey(c.env.DB, c.var.settings.LEDGER_ID);
  return key === undefined ? undefined : hold(c, key);
}

/** @param idOrHash the request's id, erased or not, or its requestIdHash. */
export async function findRequestOf(
  c: Context<CoreAppEnv>,
  tenantId: string,
  idOrHash: string,
): Promise<FoundRequest | undefined> {
  const { DB } = c.env;
  const { LEDGER_ID } = c.var.settings;
  const found = await findRequest(DB, LEDGER_ID, tenantId, idOrHash);
  if (found !== undefined) return found;
  const lookup = (await knownIdLookup(c))?.("request", tenantId, idOrHash);
  const subject = lookup && (await findErasedSubject(DB, LEDGER_ID, lookup));
  return subject === undefined ? undefined : findRequest(DB, LEDGER_ID, tenantId, subject);
}

/** @param claimId as it was given when the claim was created, erased or not; an erased one is found by its hash as well. */
export async function findClaimOf(
  c: Context<CoreAppEnv>,
  tenantId: string,
  claimId: string,
): Promise<FoundClaim | undefined> {
  const { DB } = c.env;
  const { LEDGER_ID } = c.var.settings;
  const found = await findClaim(DB, LEDGER_ID, tenantId, claimId);
  if (found !== undefined) return found;
  const lookup = (await knownIdLookup(c))?.("claim", tenantId, claimId);
  const subject = lookup && (await findErasedSubject(DB, LEDGER_ID, lookup));
  return subject === undefined ? undefined : findClaim(DB, LEDGER_ID, tenantId, subject);
}
