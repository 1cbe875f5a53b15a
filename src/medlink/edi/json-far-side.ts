/** eClaims and the portal as the sandbox plays them. */
import * as z from "zod";
import { formatMoney, isCurrency, parseMoney } from "../../platform/money.ts";
import { jsonOf, type WireAnswer, type WireMessage } from "./connector.ts";
import type { EclaimsAnswer } from "./eclaims.ts";
import type { PortalAnswer } from "./portal.ts";
import { benefitsOf, isDecided, type SandboxClaim, type SandboxReply, type SandboxRequest, sumOf } from "./sandbox.ts";

const json = (status: number, body: unknown): WireAnswer => ({ status, text: JSON.stringify(body) });

const minorOf = (amount: string, currency: string): number => parseMoney(amount, currency)?.minor ?? 0;

const malformed = (code: string): SandboxRequest => ({ type: "malformed", code });

const currency = z.string().refine(isCurrency);

const eclaimsSubmission = z.object({
  transactionId: z.string(),
  kind: z.enum(["CLAIM", "PREDETERMINATION"]),
  patient: z.object({ firstName: z.string().min(1), lastName: z.string().min(1) }),
  currency,
  lines: z.array(z.object({ code: z.string().min(1), amount: z.string() })).min(1),
});

export const eclaimsFarSide = {
  read({ method, path, body }: WireMessage): SandboxRequest {
    const [, , transactionId = "", action] = /^\/v1\/(claims|ping)(?:\/(\w+))?(?:\/(\w+))?$/.exec(path) ?? [];
    if (path === "/v1/ping") return { type: "ping" };
    if (method === "GET") return { type: "status", transactionId };
    if (action === "acknowledgement") return { type: "acknowledge", transactionId };
    const parsed = eclaimsSubmission.safeParse(jsonOf(body ?? ""));
    if (!parsed.success) return malformed("FORMAT");
    const { kind, lines, ...claim } = parsed.data;
    return {
      type: "submit",
      submission: {
        transactionId: claim.transactionId,
        reference: 0,
        claimType: kind === "CLAIM" ? "claim" : "preauth",
        lines: lines.map(({ amount }) => minorOf(amount, claim.currency)),
        currency: claim.currency,
      },
    };
  },
  write({ method }: WireMessage, reply: SandboxReply, now: number): WireAnswer {
    switch (reply.type) {
      case "claim":
        return json(method === "POST" ? 202 : 200, eclaimsAnswer(reply.claim, now));
      case "none":
        return json(404, { error: "UNKNOWN_TRANSACTION" });
      case "done":
        return json(200, {});
      case "malformed":
        return json(422, { error: reply.code });
    }
  },
};

function eclaimsAnswer(claim: SandboxClaim, now: number): EclaimsAnswer {
  const { transactionId, carrierReference: claimNumber, decision } = claim;
  if (decision === "rejected") return { transactionId, status: "REJECTED", reasonCode: "INELIGIBLE" };
  if (!isDecided(claim, now)) return { transactionId, status: "RECEIVED", claimNumber };
  const decided = { transactionId, status: "ADJUDICATED", claimNumber } as const;
  const paid = formatMoney({ minor: sumOf(benefitsOf(claim)), currency: claim.currency });
  switch (decision) {
    case "approved":
      return { ...decided, decision: "APPROVED", paid, currency: claim.currency };
    case "partial":
      return { ...decided, decision: "PARTIAL", paid, currency: claim.currency };
    case "denied":
      return { ...decided, decision: "DENIED", paid, currency: claim.currency };
    case "needs_info":
      return { ...decided, decision: "INFORMATION_REQUIRED" };
  }
}

const portalSubmission = z.object({
  submission: z.object({
    id: z.string(),
    category: z.enum(["treatment", "estimate"]),
    member: z.object({ name: z.string().min(1) }),
    items: z.array(z.object({ code: z.string().min(1), price: z.object({ value: z.string(), currency }) })).min(1),
    total: z.object({ currency }),
  }),
});

export const portalFarSide = {
  read({ method, path, body }: WireMessage): SandboxRequest {
    const [, transactionId, receipt] = /^\/submissions(?:\/(\w+))?(\/receipt)?$/.exec(path) ?? [];
    if (transactionId === undefined) return { type: "ping" };
    if (method === "GET") return { type: "status", transactionId };
    if (receipt !== undefined) return { type: "acknowledge", transactionId };
    const parsed = portalSubmission.safeParse(jsonOf(body ?? ""));
    if (!parsed.success) return malformed("unreadable");
    const { submission } = parsed.data;
    return {
      type: "submit",
      submission: {
        transactionId: submission.id,
        reference: 0,
        claimType: submission.category === "treatment" ? "claim" : "preauth",
        lines: submission.items.map(({ price }) => minorOf(price.value, price.currency)),
        currency: submission.total.currency,
      },
    };
  },
  write(_: WireMessage, reply: SandboxReply, now: number): WireAnswer {
    switch (reply.type) {
      case "claim":
        return json(200, portalAnswer(reply.claim, now));
      case "none":
        return json(404, { problem: "no such submission" });
      case "done":
        return json(200, {});
      case "malformed":
        return json(422, { problem: reply.code });
    }
  },
};

const PORTAL_VERDICTS = { approved: "pay", partial: "pay-in-part", denied: "decline", needs_info: "ask" } as const;

function portalAnswer(claim: SandboxClaim, now: number): PortalAnswer {
  const { transactionId: id, carrierReference: file, decision } = claim;
  if (decision === "rejected") return { submission: { id, state: "returned", returnCode: "ineligible" } };
  if (!isDecided(claim, now)) return { submission: { id, state: "queued", file } };
  const value = formatMoney({ minor: sumOf(benefitsOf(claim)), currency: claim.currency });
  const payable = decision === "needs_info" ? undefined : { value, currency: claim.currency };
  return { submission: { id, state: "closed", file, result: { verdict: PORTAL_VERDICTS[decision], payable } } };
}
