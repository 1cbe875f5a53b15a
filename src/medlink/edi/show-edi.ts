/** EDI as the API shows it. */
import { z } from "@hono/zod-openapi";
import { formatMoney } from "../../platform/money.ts";
import { iso } from "../page-query.ts";
import { CONNECTORS } from "./connector.ts";
import type { StoredExchange } from "./exchange.ts";
import { type EdiTransaction, TRANSACTION_STATES } from "./transaction.ts";

export const connectorName = z.enum(CONNECTORS);

export const transactionSchema = z
  .object({
    transactionId: z.string(),
    claimId: z.string(),
    connector: connectorName,
    mode: z.enum(["sandbox", "production"]),
    state: z.enum(TRANSACTION_STATES),
    outcome: z.string().nullable().openapi({ description: "The network's decision, or a closed code" }),
    benefit: z.string().nullable().openapi({ description: "What the insurer says it pays, in major units" }),
    currency: z.string(),
    carrierReference: z.string().nullable(),
    sends: z.number().int(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .openapi("EdiTransaction");

export const showTransaction = (transaction: EdiTransaction): z.output<typeof transactionSchema> => {
  const { transactionId, claimId, connector, mode, state, outcome, benefitMinor, currency, sends } = transaction;
  return {
    transactionId,
    claimId,
    connector,
    mode,
    state,
    outcome: outcome ?? null,
    benefit: benefitMinor === undefined ? null : formatMoney({ minor: benefitMinor, currency }),
    currency,
    carrierReference: transaction.carrierReference ?? null,
    sends,
    createdAt: iso(transaction.createdAt),
    updatedAt: iso(transaction.updatedAt),
  };
};

export const exchangeSchema = z
  .object({
    exchangeId: z.number().int(),
    connector: connectorName,
    mode: z.string(),
    claimId: z.string().nullable(),
    transactionId: z.string().nullable(),
    direction: z.enum(["out", "in"]),
    kind: z.string(),
    messageType: z.string().openapi({ description: "The network's name of the message, such as CDAnet's 01" }),
    outcome: z.string(),
    ok: z.boolean(),
    status: z.number().int().nullable(),
    durationMs: z.number().int().nullable(),
    sizeBytes: z.number().int(),
    messageHash: z.string().nullable(),
    correlationId: z.string(),
    at: z.string(),
  })
  .openapi("EdiExchange");

export const showExchange = ({ clinicId: _, at, ...exchange }: StoredExchange): z.output<typeof exchangeSchema> => ({
  ...exchange,
  at: iso(at),
});
