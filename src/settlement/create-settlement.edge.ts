/** Making settlements: the amount and its commitment, which need the subject's salt, before the sequencer decides. */
import type { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import type { Cents } from "../platform/cents.ts";
import { systemRandomBytes } from "../platform/clock.edge.ts";
import type { SealedValue } from "../platform/keyring.ts";
import type { Problem } from "../platform/problem.ts";
import type { ClaimState } from "../workflow/claim.ts";
import { type claimAnswerSchema, claimFacts } from "../workflow/claim-view.ts";
import { findClaimOf, findRequestOf, knownIdLookup } from "../workflow/id-lookup.edge.ts";
import { problemOf, type Sequenced, sequence } from "../workflow/sequencer.client.ts";
import type { OpenSubject } from "../workflow/vault.ts";
import { newRefId } from "./ref-id.ts";
import {
  type Account,
  committedTerms,
  leftToPay,
  type NewSettlement,
  payableOf,
  type SettlementTerms,
  type SettlementType,
  type SubjectKind,
  unreversed,
} from "./settlement.ts";
import { settlementsOf } from "./settlements.store.ts";

/** Commitments that may be overtaken by another settlement before a call is told so. */
const MAX_MOVED = 3;

const problem = (given: Problem): { readonly type: "problem"; readonly problem: Problem } => ({
  type: "problem",
  problem: given,
});

export const withCommitment = (terms: SettlementTerms, { commit }: Pick<OpenSubject, "commit">): NewSettlement => ({
  ...terms,
  commitment: commit(committedTerms(terms)),
});

export interface FoundSubject extends Account {
  readonly subjectKind: SubjectKind;
  readonly subject: string;
  readonly tenantId: string;
  readonly wrappedKey: SealedValue | undefined;
}

/** @param id of a claim or request of the tenant, or its hash; erased or not. */
export async function findSubject(
  c: Context<CoreAppEnv>,
  subjectKind: SubjectKind,
  tenantId: string,
  id: string,
): Promise<FoundSubject | undefined> {
  const claimFound = subjectKind === "claim" ? await findClaimOf(c, tenantId, id) : undefined;
  const requestFound = subjectKind === "request" ? await findRequestOf(c, tenantId, id) : undefined;
  const found = claimFound ?? requestFound;
  const subject = claimFound?.claim.claimIdHash ?? requestFound?.request.requestIdHash;
  if (found === undefined || subject === undefined) return undefined;
  return {
    subjectKind,
    subject,
    tenantId,
    wrappedKey: found.wrappedKey,
    claim: claimFound?.claim,
    request: requestFound?.request,
    settlements: await settlementsOf(c.env.DB, c.get("settings").LEDGER_ID, subject),
  };
}

async function openFound(c: Context<CoreAppEnv>, found: FoundSubject): Promise<OpenSubject | undefined> {
  return found.wrappedKey && (await c.get("vault")()).unwrap(found.subject, found.wrappedKey);
}

const ERASED: Problem = { code: "erased", detail: "The personal data was erased." };

export interface AskedSettlement {
  readonly type: SettlementType;
  /** Undefined: all that is left of what was approved, or of what is reversed. */
  readonly amountCents: Cents | undefined;
  /** Undefined: that of what was approved. */
  readonly currency: string | undefined;
  readonly reverses: string | null;
}

/** @param refId the settlement's name; the same again changes nothing. */
export async function createSettlement(
  c: Context<CoreAppEnv>,
  subjectKind: SubjectKind,
  tenantId: string,
  id: string,
  asked: AskedSettlement,
  refId: string,
): Promise<Sequenced> {
  const { settings, principal, correlationId } = c.var;
  const found = await findSubject(c, subjectKind, tenantId, id);
  if (found === undefined) return problem({ code: "not_found", detail: `There is no ${subjectKind} of this id.` });
  const payable = payableOf(found);
  if (payable.type === "refused") return problem(problemOf(payable.rejection));
  const opened = await openFound(c, found);
  if (opened === undefined) return problem(ERASED);
  const amountCents =
    asked.amountCents ??
    (asked.reverses === null
      ? leftToPay(payable.approved, found.settlements)
      : unreversed(found.settlements, asked.reverses));
  const terms: SettlementTerms = {
    refId,
    type: asked.type,
    amountCents,
    currency: asked.currency ?? payable.currency,
    reverses: asked.reverses,
  };
  return sequence(c.env, settings.LEDGER_ID, {
    type: "CreateSettlement",
    tenantId,
    subjectKind,
    subject: found.subject,
    settlement: withCommitment(terms, opened),
    actor: principal.keyId,
    correlationId,
  });
}

export type ClaimSettled =
  | { readonly type: "answered"; readonly answer: z.output<typeof claimAnswerSchema> }
  | { readonly type: "problem"; readonly problem: Problem };

/** Asks for all the money of a final claim, unless it was asked for. */
export async function settleClaim(c: Context<CoreAppEnv>, claimId: string): Promise<ClaimSettled> {
  const { settings, principal, correlationId } = c.var;
  const { tenantId } = principal;
  for (let moved = 0; ; moved++) {
    const found = await findSubject(c, "claim", tenantId, claimId);
    if (found?.claim === undefined) {
      return problem({ code: "not_found", detail: "There is nothing of this id in your tenant." });
    }
    const payable = payableOf(found);
    if (payable.type === "refused") return problem(problemOf(payable.rejection));
    if (found.claim.status !== "FINALIZED") return answered(found.claim, undefined);
    const opened = await openFound(c, found);
    if (opened === undefined) return problem(ERASED);
    const amountCents = leftToPay(payable.approved, found.settlements);
    const terms: SettlementTerms = {
      refId: newRefId(systemRandomBytes),
      type: "payment",
      amountCents,
      currency: payable.currency,
      reverses: null,
    };
    const sequenced = await sequence(c.env, settings.LEDGER_ID, {
      type: "SettleClaim",
      tenantId,
      claimId: found.claim.claimId,
      lookup: (await knownIdLookup(c))?.("claim", tenantId, found.claim.claimId),
      settlement: withCommitment(terms, opened),
      actor: principal.keyId,
      correlationId,
    });
    if (sequenced.type === "problem") {
      if (sequenced.rejection?.code === "amount_moved" && moved < MAX_MOVED) continue;
      return sequenced;
    }
    const { state, entry, type } = sequenced.result;
    if (state.kind !== "claim") throw new Error("settling a claim answers with the claim");
    return answered(state.claim, type === "committed" ? entry : undefined);
  }

  function answered(claim: ClaimState, entry: { readonly seq: number; readonly entryHash: string } | undefined) {
    const ledger = entry === undefined ? null : { id: settings.LEDGER_ID, ...entry };
    const answer = { ...claimFacts(claim), changed: entry !== undefined, ledger, correlationId };
    return { type: "answered", answer } as const;
  }
}
