/** A claim as the API takes it and shows it. */
import { z } from "@hono/zod-openapi";
import { DEFAULT_CURRENCY, formatMoney, isCurrency, type Money, parseMoney } from "../../platform/money.ts";
import { iso } from "../page-query.ts";
import {
  CLAIM_CATEGORIES,
  CLAIM_STATUSES,
  CLAIM_TYPES,
  type Claim,
  type ClaimDetails,
  type ProcedureCode,
} from "./claim.ts";

const id = z.string().min(1).max(64);
/** ISO 4217. */
export const currencyField = z
  .string()
  .refine(isCurrency, { message: "three capital letters (ISO 4217)", params: { rule: "currency" } });
const codeText = z.string().trim().min(1).max(40);

const procedureCode = z.union([
  codeText,
  z.object({
    code: codeText,
    description: z.string().max(500).optional(),
    quantity: z.number().int().min(1).max(10_000).optional(),
    unitPrice: z.string().max(30).optional(),
  }),
]);

const diagnosis = z.object({
  system: z.string().max(200).optional(),
  code: codeText,
  display: z.string().max(500).optional(),
});

const externalIdentifier = z.object({ system: z.string().max(200).optional(), value: z.string().min(1).max(200) });

/** What clients in the field do not send. */
const detailFields = {
  diagnoses: z.array(diagnosis).max(200),
  identifiers: z.array(externalIdentifier).max(50).openapi({ description: "Its names in other systems" }),
  category: z.enum(CLAIM_CATEGORIES).openapi({ description: "HL7's kind of claim; oral where it is not said" }),
  serviceDate: z.iso.date().openapi({ description: "Where it is not said, the day it was filed" }),
};

export const claimFields = z.object({
  patientId: id,
  providerId: id,
  insurerId: id,
  type: z.enum(CLAIM_TYPES),
  /** Major units, as a decimal string or a number. */
  amount: z.union([z.string().max(30), z.number()]),
  currency: currencyField.default(DEFAULT_CURRENCY),
  codes: z.array(procedureCode).max(200).default([]),
  notes: z.string().max(10_000).default(""),
  ...z.object(detailFields).partial().shape,
});

export const claimPatch = z
  .object({
    patientId: id,
    providerId: id,
    insurerId: id,
    type: z.enum(CLAIM_TYPES),
    amount: z.union([z.string().max(30), z.number()]),
    currency: currencyField,
    codes: z.array(procedureCode).max(200),
    notes: z.string().max(10_000),
    status: z.enum(CLAIM_STATUSES),
    ...detailFields,
    serviceDate: detailFields.serviceDate.nullable().openapi({ description: "null: not said" }),
  })
  .partial();

/** What a claim says once what is given stands in place of what it said. */
export const patchedDetails = (
  details: ClaimDetails,
  patch: Omit<z.output<typeof claimPatch>, "status">,
): ClaimDetails => ({
  codes: patch.codes ?? details.codes,
  notes: patch.notes ?? details.notes,
  diagnoses: patch.diagnoses ?? details.diagnoses,
  identifiers: patch.identifiers ?? details.identifiers,
  category: patch.category ?? details.category,
  serviceDate: patch.serviceDate === undefined ? details.serviceDate : (patch.serviceDate ?? undefined),
});

export type ReadAmount =
  | { readonly ok: true; readonly amount: Money }
  | { readonly ok: false; readonly path: "amount" | "codes" };

/** Reads the amount, and checks that every price among the codes is one of the same currency. */
export function readAmount(amount: string | number, currency: string, codes: readonly ProcedureCode[]): ReadAmount {
  const parsed = parseMoney(amount, currency);
  if (parsed === undefined) return { ok: false, path: "amount" };
  const prices = codes.map((code) => (typeof code === "string" ? undefined : code.unitPrice));
  const wrong = prices.some((price) => price !== undefined && parseMoney(price, currency) === undefined);
  return wrong ? { ok: false, path: "codes" } : { ok: true, amount: parsed };
}

export const claimSchema = z
  .object({
    id: z.string(),
    claimId: z.string(),
    patientId: z.string(),
    providerId: z.string(),
    insurerId: z.string(),
    type: z.enum(CLAIM_TYPES),
    status: z.enum(CLAIM_STATUSES),
    amount: z.string(),
    currency: z.string(),
    codes: z.array(procedureCode),
    notes: z.string(),
    ...z.object(detailFields).partial().shape,
    requestId: z.string().nullable(),
    requestIdHash: z.string().nullable(),
    corrects: z.object({ claimId: z.string(), incidentTicket: z.string().nullable() }).nullable(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .openapi("Claim");

export const submissionSchema = z
  .object({
    status: z.string(),
    queued: z.boolean(),
    jobId: z.string().optional(),
    attempt: z.number().int().optional(),
    maxAttempts: z.number().int().optional(),
    reason: z.string().optional(),
  })
  .openapi("ItransSubmission");

/** `id` says the same as `claimId`: clients read either. */
export const showClaim = (claim: Claim) => ({
  id: claim.claimId,
  claimId: claim.claimId,
  patientId: claim.patientId,
  providerId: claim.providerId,
  insurerId: claim.insurerId,
  type: claim.type,
  status: claim.status,
  amount: formatMoney(claim.amount),
  currency: claim.amount.currency,
  ...claim.details,
  requestId: claim.requestId ?? null,
  requestIdHash: claim.requestIdHash ?? null,
  corrects:
    claim.corrects === undefined
      ? null
      : { claimId: claim.corrects.claimId, incidentTicket: claim.corrects.incidentTicket ?? null },
  createdAt: iso(claim.createdAt),
  updatedAt: iso(claim.updatedAt),
});
