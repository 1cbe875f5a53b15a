/**
 * One settlement as we have it, held against the operator's transaction of the same id. Tolerance is for what is in flight: for that
 * long after our row last changed the two sides may differ, since one of them hears of the change later.
 */
import type { OperatorTransaction } from "../operator/gateway.ts";

export const OUR_STATUSES = ["PENDING", "PROCESSING", "COMPLETED", "REJECTED", "FAILED"] as const;
export type OurStatus = (typeof OUR_STATUSES)[number];

/** A row of `settlements`, as far as it is compared. */
export interface OurSettlement {
  readonly refId: string;
  readonly tenantId: string;
  readonly type: string;
  /** Integer minor units. */
  readonly amountCents: number;
  readonly currency: string;
  readonly status: OurStatus;
  readonly reverses: string | null;
  readonly operatorTransactionId: string | null;
  /** Epoch ms. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

export const MISMATCH_KINDS = ["missing_at_operator", "missing_here", "type", "amount", "currency", "status"] as const;
export type MismatchKind = (typeof MISMATCH_KINDS)[number];

export interface Comparison {
  readonly outcome: "agreed" | "in_flight" | "mismatch";
  /** More than one where more than one thing differs. */
  readonly kinds: readonly MismatchKind[];
}

const AGREED: Comparison = { outcome: "agreed", kinds: [] };
const IN_FLIGHT: Comparison = { outcome: "in_flight", kinds: [] };

export const isWithin = (since: number, toleranceMs: number, now: number): boolean => now - since < toleranceMs;

/** Whether our books say that the operator has it: only then is its absence worth a question. */
export const isExpectedThere = (ours: OurSettlement, toleranceMs: number, now: number): boolean => {
  switch (ours.status) {
    case "REJECTED":
    case "FAILED":
      return false; // a refusal records nothing there, and what surely failed never arrived
    case "PENDING":
    case "PROCESSING":
    case "COMPLETED":
      return !isWithin(ours.updatedAt, toleranceMs, now);
  }
};

/** @param now epoch ms. */
export function compareBoth(
  ours: OurSettlement,
  theirs: OperatorTransaction,
  toleranceMs: number,
  now: number,
): Comparison {
  const kinds: MismatchKind[] = [];
  if (ours.type !== theirs.type) kinds.push("type");
  if (ours.amountCents !== theirs.amountCents) kinds.push("amount");
  if (ours.currency !== theirs.currency) kinds.push("currency");
  const statuses = compareStatus(ours.status, theirs.status);
  if (statuses === "differ" && !isWithin(ours.updatedAt, toleranceMs, now)) kinds.push("status");
  // What was sent does not change on its way: only a status can be in flight.
  if (kinds.length > 0) return { outcome: "mismatch", kinds };
  return statuses === "agree" ? AGREED : IN_FLIGHT;
}

/** @param absentThere whether the operator was asked and has no such transaction. */
export function compareOurs(ours: OurSettlement, absentThere: boolean, toleranceMs: number, now: number): Comparison {
  if (absentThere && isExpectedThere(ours, toleranceMs, now))
    return { outcome: "mismatch", kinds: ["missing_at_operator"] };
  return ours.status === "REJECTED" || ours.status === "FAILED" ? AGREED : IN_FLIGHT;
}

export const compareTheirs = (theirs: OperatorTransaction, toleranceMs: number, now: number): Comparison =>
  isWithin(Date.parse(theirs.createdAt), toleranceMs, now)
    ? IN_FLIGHT
    : { outcome: "mismatch", kinds: ["missing_here"] };

/** FAILED and REJECTED say the same of the money: it did not move and will not. */
function compareStatus(ours: OurStatus, theirs: OperatorTransaction["status"]): "agree" | "differ" {
  const agreeing: Readonly<Record<OurStatus, readonly OperatorTransaction["status"][]>> = {
    PENDING: [],
    PROCESSING: ["accepted"],
    COMPLETED: ["completed"],
    REJECTED: ["rejected"],
    FAILED: ["rejected"],
  };
  return agreeing[ours].includes(theirs) ? "agree" : "differ";
}
