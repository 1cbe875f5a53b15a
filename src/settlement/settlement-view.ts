/** A settlement as the API shows it. */
import { z } from "@hono/zod-openapi";
import { ledgerEventSchema } from "../workflow/request-view.ts";
import { REF_ID } from "./ref-id.ts";
import { SETTLEMENT_STATUSES, SETTLEMENT_TYPES, type SettlementState, SUBJECT_KINDS } from "./settlement.ts";

export const settlementSchema = z
  .object({
    refId: z.string().openapi({ example: "stl_01JD9X3W4ZK7M2Q8R5T6V0Y1AB" }),
    claimId: z
      .string()
      .openapi({ description: "Of the claim or request that it pays; its hash once the personal data was erased." }),
    subjectKind: z.enum(SUBJECT_KINDS),
    subject: z.string().openapi({ description: "claimIdHash or requestIdHash." }),
    tenantId: z.string(),
    type: z.enum(SETTLEMENT_TYPES),
    amountCents: z
      .number()
      .int()
      .openapi({ description: "Minor units of the currency, of which it has 0 to 4 decimals." }),
    currency: z.string(),
    status: z.enum(SETTLEMENT_STATUSES),
    operatorTransactionId: z.string().nullable(),
    reason: z.string().nullable().openapi({ description: "A closed code, or that of whoever resolved it by hand." }),
    reverses: z.string().nullable().openapi({ description: "refId of what a reversal takes back." }),
    replays: z.number().int(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .openapi("Settlement");

export type SettlementView = z.output<typeof settlementSchema>;

export const settlementView = (one: SettlementState, claimId: string): SettlementView => ({
  refId: one.refId,
  claimId,
  subjectKind: one.subjectKind,
  subject: one.subject,
  tenantId: one.tenantId,
  type: one.type,
  amountCents: one.amountCents,
  currency: one.currency,
  status: one.status,
  operatorTransactionId: one.operatorTransactionId ?? null,
  reason: one.reason ?? null,
  reverses: one.reverses,
  replays: one.round,
  createdAt: new Date(one.createdAt).toISOString(),
  updatedAt: new Date(one.updatedAt).toISOString(),
});

export const settlementDetailSchema = settlementSchema
  .extend({
    events: z.array(ledgerEventSchema).openapi({ description: "Its entries of the ledger, oldest first." }),
    operator: z
      .object({
        dueAt: z.string().nullable().openapi({ description: "When it is looked at next; null: it is decided." }),
        inDoubt: z.boolean().openapi({ description: "A send may have taken effect: the operator is asked first." }),
        sends: z.number().int(),
        waits: z.number().int(),
        lastAnswer: z.string().nullable(),
        askedAt: z.string().nullable(),
        correlationId: z.string(),
      })
      .nullable(),
    correlationId: z.string(),
  })
  .openapi("SettlementDetail");

export const refIdParam = z.object({
  refId: z
    .string()
    .regex(REF_ID)
    .openapi({ param: { name: "refId", in: "path" } }),
});
