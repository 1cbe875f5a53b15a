/** A claim as the API shows it. */
import { z } from "@hono/zod-openapi";
import type { ClaimState } from "./claim.ts";
import { erasedFactSchema } from "./erased-view.ts";
import { ledgerEventSchema } from "./request-view.ts";

const facts = {
  claimId: z.string(),
  claimIdHash: z.string(),
  status: z.enum(["CREATED", "FINALIZED", "SETTLEMENT_PENDING", "SETTLED"]),
  state: z.string().openapi({ description: "The same as status; clients read either." }),
  payloadHash: z.string(),
  settlement: z
    .object({ status: z.enum(["PENDING", "COMPLETED"]) })
    .nullable()
    .openapi({ description: "PENDING until the payer's operator confirms." }),
};

export const claimAnswerSchema = z
  .object({
    ...facts,
    changed: z.boolean().openapi({ description: "False: it was so before, nothing was recorded." }),
    ledger: z.object({ id: z.string(), seq: z.number().int(), entryHash: z.string() }).nullable(),
    correlationId: z.string(),
  })
  .openapi("ClaimAnswer");

export const claimViewSchema = z
  .object({
    ...facts,
    submitter: z.string(),
    events: z.array(ledgerEventSchema),
    erased: erasedFactSchema,
    offchainPayload: z.unknown().optional(),
    correlationId: z.string(),
  })
  .openapi("Claim");

export const claimFacts = (claim: ClaimState) => ({
  claimId: claim.claimId,
  claimIdHash: claim.claimIdHash,
  status: claim.status,
  state: claim.status,
  payloadHash: claim.payloadHash,
  settlement: settlementOf(claim),
});

function settlementOf(claim: ClaimState): { status: "PENDING" | "COMPLETED" } | null {
  switch (claim.status) {
    case "CREATED":
    case "FINALIZED":
      return null;
    case "SETTLEMENT_PENDING":
      return { status: "PENDING" };
    case "SETTLED":
      return { status: "COMPLETED" };
  }
}
