/** What an insurer paid at once, claim by claim. The lines agree with the total to the cent, or nothing is taken. */
import { formatMoney, type Money, parseMoney } from "../../platform/money.ts";
import type { Claim } from "../claims/claim.ts";

export interface RemittanceLine {
  readonly claimId: string;
  readonly paidMinor: number;
}

export interface Remittance {
  readonly remittanceId: string;
  readonly clinicId: string;
  readonly insurerId: string;
  /** The insurer's own number of the payment. */
  readonly reference: string;
  /** `YYYY-MM-DD`. */
  readonly paidOn: string;
  readonly total: Money;
  readonly lines: readonly RemittanceLine[];
  readonly createdBy: string;
  readonly createdAt: number;
}

export const MAX_LINES = 500;

/** A claim as far as a payment of it is concerned. */
export type PaidClaim = Pick<Claim, "claimId" | "insurerId" | "type" | "status" | "amount">;

export const LINE_FAULTS = [
  "not_an_amount",
  "named_twice",
  "unknown_claim",
  "other_insurer",
  "other_currency",
  "not_approved",
  "more_than_claimed",
] as const;
export type LineFault = (typeof LINE_FAULTS)[number];

export type ReadRemittance =
  | { readonly ok: true; readonly total: Money; readonly lines: readonly RemittanceLine[] }
  | { readonly ok: false; readonly reason: "total" | "sum" }
  | {
      readonly ok: false;
      readonly reason: "lines";
      readonly faults: readonly { readonly line: number; readonly fault: LineFault }[];
    };

/**
 * @param given amounts in major units, as a person or an insurer's file writes them.
 * @param claims those that the lines name and the clinic has.
 * @param paidBefore minor units that earlier remittances paid, by claim.
 */
export function readRemittance(
  given: {
    readonly insurerId: string;
    readonly currency: string;
    readonly total: string | number;
    readonly lines: readonly { readonly claimId: string; readonly paid: string | number }[];
  },
  claims: ReadonlyMap<string, PaidClaim>,
  paidBefore: ReadonlyMap<string, number>,
): ReadRemittance {
  const total = parseMoney(given.total, given.currency);
  if (total === undefined || total.minor === 0) return { ok: false, reason: "total" };
  const faults: { line: number; fault: LineFault }[] = [];
  const lines: RemittanceLine[] = [];
  const seen = new Set<string>();
  for (const [line, { claimId, paid }] of given.lines.entries()) {
    const amount = parseMoney(paid, given.currency);
    const fault = faultOf(claimId, amount);
    if (fault !== undefined) faults.push({ line, fault });
    else if (amount !== undefined) lines.push({ claimId, paidMinor: amount.minor });
    seen.add(claimId);
  }
  if (faults.length > 0) return { ok: false, reason: "lines", faults };
  const sum = lines.reduce((all, { paidMinor }) => all + paidMinor, 0);
  return sum === total.minor ? { ok: true, total, lines } : { ok: false, reason: "sum" };

  function faultOf(claimId: string, amount: Money | undefined): LineFault | undefined {
    if (amount === undefined || amount.minor === 0) return "not_an_amount";
    if (seen.has(claimId)) return "named_twice";
    const claim = claims.get(claimId);
    if (claim === undefined) return "unknown_claim";
    if (claim.insurerId !== given.insurerId) return "other_insurer";
    if (claim.amount.currency !== given.currency) return "other_currency";
    if (claim.type !== "claim" || claim.status !== "paid") return "not_approved";
    return amount.minor + (paidBefore.get(claimId) ?? 0) > claim.amount.minor ? "more_than_claimed" : undefined;
  }
}

/** The same payment told again: nothing of it differs. */
export function isSameRemittance(
  a: Pick<Remittance, "paidOn" | "total" | "lines">,
  b: Pick<Remittance, "paidOn" | "total" | "lines">,
): boolean {
  const text = ({ paidOn, total, lines }: Pick<Remittance, "paidOn" | "total" | "lines">): string =>
    JSON.stringify([
      paidOn,
      formatMoney(total),
      total.currency,
      lines.map(({ claimId, paidMinor }) => `${claimId} ${paidMinor}`).toSorted(),
    ]);
  return text(a) === text(b);
}
