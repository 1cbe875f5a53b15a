/** What an insurer's calls have in common: find the request, check that it is theirs, open it. */
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import type { Problem } from "../platform/problem.ts";
import { mayAdjudicateFor } from "../tenants/principal.ts";
import { ciphertextPrefix, storeCiphertext } from "./ciphertext.edge.ts";
import { findRequestOf, knownIdLookup } from "./id-lookup.edge.ts";
import type { RequestState, StoredCiphertext } from "./request.ts";
import type { OpenSubject } from "./vault.ts";

export type ForInsurer =
  | {
      readonly type: "found";
      readonly request: RequestState;
      /** Finds the request when it is erased before the command is decided. */
      readonly lookup: string | undefined;
      readonly opened: OpenSubject;
    }
  | { readonly type: "problem"; readonly problem: Problem };

export async function findForInsurer(c: Context<CoreAppEnv>, idOrHash: string): Promise<ForInsurer> {
  const principal = c.get("principal");
  const found = await findRequestOf(c, principal.tenantId, idOrHash);
  if (found === undefined) {
    return {
      type: "problem",
      problem: { code: "not_found", detail: "There is no request of this id in your tenant." },
    };
  }
  if (!mayAdjudicateFor(principal, found.request.insurerAddress)) {
    return { type: "problem", problem: { code: "forbidden", detail: "This request was made to another insurer." } };
  }
  if (found.wrappedKey === undefined) {
    return { type: "problem", problem: { code: "erased", detail: "The personal data of this request was erased." } };
  }
  const { request, wrappedKey } = found;
  const opened = await (await c.get("vault")()).unwrap(request.requestIdHash, wrappedKey);
  const lookup = (await knownIdLookup(c))?.("request", principal.tenantId, request.requestId);
  return { type: "found", request, lookup, opened };
}

/** Seals notes under the request's own key; nothing to store when there are none. */
export async function storeNotes(
  c: Context<CoreAppEnv>,
  { request, opened }: Extract<ForInsurer, { type: "found" }>,
  part: string,
  notes: string | null | undefined,
): Promise<StoredCiphertext | undefined> {
  if (notes === null || notes === undefined || notes === "") return undefined;
  const sealed = await opened.seal(part, notes);
  return storeCiphertext(c.env, ciphertextPrefix(c.get("settings").LEDGER_ID, request.requestIdHash) + part, sealed);
}
