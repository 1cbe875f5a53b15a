/** Receiving a signed payload: signature, amount, commitment and ciphertext, before anything is written. */
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import { hasCanonicalForm } from "../ledger/canonical.ts";
import type { SealedValue } from "../platform/keyring.ts";
import type { Money } from "../platform/money.ts";
import type { Problem } from "../platform/problem.ts";
import { verifyProviderSignature } from "../platform/signature.ts";
import { type OffchainPayload, receivedPayload, totalOf } from "./payload.ts";
import type { OpenSubject } from "./vault.ts";

export type Received =
  | {
      readonly type: "received";
      readonly opened: OpenSubject;
      readonly wrappedKey: SealedValue;
      readonly payloadHash: string;
      readonly total: Money;
      /** Of `JSON.stringify` of the payload as received. */
      readonly sealed: string;
    }
  | { readonly type: "problem"; readonly problem: Problem };

const refuse = (problem: Problem): Received => ({ type: "problem", problem });

/** @param id the request's or claim's id, hidden behind the subject. */
export async function sealReceived(
  c: Context<CoreAppEnv>,
  id: string,
  body: { readonly offchainPayload: OffchainPayload; readonly providerSignature: string },
): Promise<Received> {
  const payload = receivedPayload(c.get("received"));
  // Before anything walks the payload: one nested a hundred thousand deep overflows the stack of JSON.stringify.
  if (!hasCanonicalForm(payload)) {
    return refuse({
      code: "invalid_body",
      detail: "offchainPayload has no canonical form (RFC 8785): look at its strings, numbers and depth.",
    });
  }
  if (!verifyProviderSignature(payload, body.providerSignature, c.get("providerSecrets"))) {
    return refuse({
      code: "bad_signature",
      detail: "providerSignature does not match offchainPayload as it was received.",
    });
  }
  const total = totalOf(body.offchainPayload);
  if (total === undefined) {
    return refuse({
      code: "invalid_amount",
      detail: "totalAmount is finer than the currency's minor unit, or too large.",
    });
  }
  const { opened, wrappedKey } = await (await c.get("vault")()).create(id);
  const payloadHash = opened.commit(payload);
  const sealed = await opened.seal("payload", JSON.stringify(payload));
  return { type: "received", opened, wrappedKey, payloadHash, total, sealed };
}
