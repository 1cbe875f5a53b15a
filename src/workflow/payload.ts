/** The payload clients sign: what must be there, what may be, and the amount it stands for. */
import { z } from "@hono/zod-openapi";
import { DEFAULT_CURRENCY, isCurrency, type Money, parseMoney } from "../platform/money.ts";

/** Past this, cents are no safe integers. A price may be finer than a cent: only the total is money that moves. */
const MAX_UNIT_PRICE = Number.MAX_SAFE_INTEGER / 100;

const service = z.looseObject({
  code: z.string().min(1).max(64),
  description: z.string().max(2_000).nullish(),
  quantity: z.number().nonnegative(),
  unitPrice: z.number().nonnegative().max(MAX_UNIT_PRICE),
});

/** Extra keys are legal and signed. Services need not add up to the total, nor be there at all. */
export const offchainPayloadSchema = z
  .looseObject({
    patientId: z.string().min(1).max(256),
    providerId: z.string().min(1).max(256),
    services: z.array(service).max(1_000),
    totalAmount: z
      .number()
      .nonnegative()
      .openapi({ description: "Major units, at most the currency's minor digits.", example: 120 }),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/)
      .nullish()
      .openapi({ description: "ISO 4217; CAD when left out." }),
    insurerId: z.string().max(256).nullish(),
    notes: z.string().max(20_000).nullish(),
    type: z.enum(["claim", "preauth"]).optional(),
  })
  .openapi("OffchainPayload");

export type OffchainPayload = z.output<typeof offchainPayloadSchema>;

export const providerSignatureSchema = z.string().min(1).max(256).openapi({
  description: "Lower-case hex of HMAC-SHA256 over JSON.stringify(offchainPayload) in the sender's key order.",
});

/** @returns undefined when the total is finer than the currency's minor unit or past safe integers. */
export function totalOf(payload: OffchainPayload): Money | undefined {
  const currency = isCurrency(payload.currency) ? payload.currency : DEFAULT_CURRENCY;
  return parseMoney(payload.totalAmount, currency);
}

/** The payload of a received body, before any schema touched it. */
export const receivedPayload = (received: unknown): unknown =>
  typeof received === "object" && received !== null && "offchainPayload" in received
    ? received.offchainPayload
    : undefined;

/** Ids go raw into URLs; one that looks like a hash could not be told from one. */
export const externalRequestIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,128}$/)
  .refine(
    (id) => id !== "." && id !== ".." && !/^0x[0-9a-f]{64}$/.test(id),
    "must not be a dot segment or look like a hash",
  );

export const incidentTicketSchema = z
  .string()
  .regex(/^[A-Z0-9-]{1,40}$/)
  .openapi({ description: "Goes into the ledger, so it must not name a person.", example: "INC-2026-0042" });

export const insurerAddressSchema = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/)
  .openapi({ description: "The insurer's EVM address.", example: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8" });
