/** A request as the API shows it. */
import { z } from "@hono/zod-openapi";
import { anchorViewSchema } from "../anchor/anchor-schema.ts";
import { erasedFactSchema } from "./erased-view.ts";
import { decisionOf, type RequestState } from "./request.ts";
import type { LedgerEvent } from "./subject-rows.ts";

export const ledgerEventSchema = z
  .object({
    type: z.string(),
    at: z.string(),
    seq: z.number().int(),
    entryHash: z.string(),
    data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  })
  .openapi("LedgerEvent");

export const requestViewSchema = z
  .object({
    requestId: z.string().openapi({ description: "The requestIdHash once the personal data was erased." }),
    requestIdHash: z.string(),
    requestType: z.enum(["CLAIM", "PREAUTH"]),
    status: z.enum(["SUBMITTED", "ACKNOWLEDGED", "APPROVED", "DENIED", "NEEDS_INFO"]),
    state: z.string().openapi({ description: "The same as status; clients read either." }),
    decision: z.enum(["APPROVED", "DENIED", "NEEDS_INFO"]).nullable(),
    decisionHash: z.string().nullable(),
    insurerAddress: z.string(),
    submitter: z.string(),
    payloadHash: z.string(),
    ledger: z.object({ id: z.string(), seq: z.number().int(), entryHash: z.string() }),
    corrects: z.string().nullable().openapi({ description: "requestIdHash of the request that this one supersedes." }),
    incidentTicket: z.string().nullable(),
    supersededBy: z.string().nullable().openapi({ description: "requestIdHash of its successor." }),
    erased: erasedFactSchema,
    events: z.array(ledgerEventSchema),
    anchor: anchorViewSchema,
    offchainPayload: z
      .unknown()
      .optional()
      .openapi({ description: "Only for the submitting tenant and the request's insurer." }),
    notes: z.array(z.object({ part: z.string(), text: z.string() })).optional(),
    correlationId: z.string(),
  })
  .openapi("Request");

export type RequestView = z.output<typeof requestViewSchema>;

export const requestFacts = (request: RequestState) => ({
  requestId: request.requestId,
  requestIdHash: request.requestIdHash,
  requestType: request.requestType,
  status: request.status,
  state: request.status,
  decision: decisionOf(request) ?? null,
  decisionHash: request.decisionHash ?? null,
  insurerAddress: request.insurerAddress,
  submitter: request.submitter,
  payloadHash: request.payloadHash,
  corrects: request.corrects ?? null,
  incidentTicket: request.incidentTicket ?? null,
  supersededBy: request.supersededBy ?? null,
});

/** Where the request began, for those who ask for its place in the ledger. */
export function ledgerPosition(ledgerId: string, events: readonly LedgerEvent[], seq: number) {
  const event = events.find((candidate) => candidate.seq === seq);
  if (event === undefined) throw new Error(`the ledger lacks entry ${seq}`);
  return { id: ledgerId, seq, entryHash: event.entryHash };
}
