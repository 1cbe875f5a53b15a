/** A remittance as the API takes it and shows it. */
import { z } from "@hono/zod-openapi";
import { DEFAULT_CURRENCY, formatMoney } from "../../platform/money.ts";
import { currencyField } from "../claims/show-claim.ts";
import { iso } from "../page-query.ts";
import { MAX_LINES, type Remittance } from "./remittance.ts";

const id = z.string().min(1).max(64);
/** Major units, as a decimal string or a number. */
const amount = z.union([z.string().max(30), z.number()]);

export const remittanceFields = z.object({
  insurerId: id,
  reference: z
    .string()
    .trim()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$/, "1 to 64 letters, digits and . _ / -"),
  paidOn: z.iso.date(),
  currency: currencyField.default(DEFAULT_CURRENCY),
  total: amount,
  lines: z
    .array(z.object({ claimId: id, paid: amount }))
    .min(1)
    .max(MAX_LINES),
});

const summary = z.object({
  id: z.string(),
  remittanceId: z.string(),
  insurerId: z.string(),
  reference: z.string(),
  paidOn: z.string(),
  total: z.string(),
  currency: z.string(),
  createdBy: z.string(),
  createdAt: z.string(),
});

export const remittanceSummarySchema = summary.openapi("RemittanceSummary");
export const remittanceSchema = summary
  .extend({ lines: z.array(z.object({ claimId: z.string(), paid: z.string() })) })
  .openapi("Remittance");

export const showSummary = ({ total, createdAt, ...remittance }: Omit<Remittance, "lines">) => ({
  id: remittance.remittanceId,
  remittanceId: remittance.remittanceId,
  insurerId: remittance.insurerId,
  reference: remittance.reference,
  paidOn: remittance.paidOn,
  total: formatMoney(total),
  currency: total.currency,
  createdBy: remittance.createdBy,
  createdAt: iso(createdAt),
});

export const showRemittance = (remittance: Remittance) => ({
  ...showSummary(remittance),
  lines: remittance.lines.map(({ claimId, paidMinor }) => ({
    claimId,
    paid: formatMoney({ minor: paidMinor, currency: remittance.total.currency }),
  })),
});
