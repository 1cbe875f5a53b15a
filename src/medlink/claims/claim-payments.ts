/** What was paid for a claim, as the payer's operator confirmed it. */
import { type Cents, cents, negateCents, sumCents } from "../../platform/cents.ts";
import type { Money } from "../../platform/money.ts";

export const PAYMENT_TYPES = ["payment", "reversal", "adjustment"] as const;
export const PAYMENT_STATUSES = ["PENDING", "PROCESSING", "COMPLETED", "REJECTED", "FAILED"] as const;

export interface ClaimPayment {
  readonly refId: string;
  readonly type: (typeof PAYMENT_TYPES)[number];
  readonly status: (typeof PAYMENT_STATUSES)[number];
  /** Of an adjustment it may be below zero. */
  readonly amount: Money;
  /** Epoch ms. */
  readonly at: number;
}

/** What it adds to what the clinic has. */
const effectOf = ({ type, amount }: ClaimPayment): Cents => {
  const minor = cents(amount.minor);
  return type === "reversal" ? negateCents(minor) : minor;
};

const isUnderWay = ({ status }: ClaimPayment): boolean => status === "PENDING" || status === "PROCESSING";

/** @returns undefined when nothing was asked for. A claim's payments are of one currency. */
export function sumsOf(
  payments: readonly ClaimPayment[],
): { readonly paid: Money; readonly onItsWay: Money | undefined } | undefined {
  const currency = payments[0]?.amount.currency;
  if (currency === undefined) return undefined;
  const sum = (some: readonly ClaimPayment[]): Cents => sumCents(some.map(effectOf));
  const underWay = payments.filter(isUnderWay);
  return {
    paid: { minor: sum(payments.filter(({ status }) => status === "COMPLETED")), currency },
    onItsWay: underWay.length === 0 ? undefined : { minor: sum(underWay), currency },
  };
}
