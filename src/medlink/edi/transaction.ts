/**
 * A claim on its way through one EDI network. It says what the network said and moves nothing of the claim: that is iTrans's.
 * The rule that everything here serves: a message whose fate is not known is asked about before it is sent again.
 */
import type { ClaimType } from "../claims/claim.ts";
import type { ConnectorName, Finding, MessageKind } from "./connector.ts";

export const TRANSACTION_STATES = [
  /** A sending is under way, or crashed. */
  "sending",
  /** Sent; nobody knows whether it arrived. */
  "unknown",
  /** The network has not taken it: sending again is safe. */
  "unsent",
  "acknowledged",
  "adjudicated",
  "rejected",
] as const;
export type TransactionState = (typeof TRANSACTION_STATES)[number];

export interface EdiTransaction {
  readonly transactionId: string;
  readonly clinicId: string;
  readonly claimId: string;
  readonly claimType: ClaimType;
  readonly connector: ConnectorName;
  readonly mode: "sandbox" | "production";
  readonly reference: number;
  readonly licenceNumber: string | undefined;
  readonly state: TransactionState;
  /** The decision, or why it is where it is; a closed code. */
  readonly outcome: string | undefined;
  readonly benefitMinor: number | undefined;
  readonly currency: string;
  readonly carrierReference: string | undefined;
  readonly sends: number;
  /** Questions since it was last sent or acknowledged. */
  readonly checks: number;
  readonly nextCheckAt: number | undefined;
  /** Sending: past this the sending has crashed. */
  readonly leaseUntil: number | undefined;
  readonly correlationId: string;
  readonly sentBy: string;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface TransactionLimits {
  /** From a sending without an answer to the first question; doubles up to `maxCheckDelayMs`. */
  readonly checkDelayMs: number;
  readonly maxCheckDelayMs: number;
  /** A decision that did not come by then is not asked for any more. */
  readonly giveUpAfterMs: number;
  readonly leaseMs: number;
}

/** Questions that a network answers with "nothing yet" before it is taken not to know the transaction. */
export const NOTHINGS_TO_RESEND = 3;

export type Step = "send" | "ask" | "wait" | "done";

/** What a person's call, or the sweep, may do next. A sweep does not send: what is sent is not kept. */
export function nextStep(transaction: EdiTransaction, now: number): Step {
  switch (transaction.state) {
    case "sending":
      return now >= (transaction.leaseUntil ?? 0) ? "ask" : "wait";
    case "unsent":
      return "send";
    case "unknown":
    case "acknowledged":
      return transaction.nextCheckAt !== undefined && now >= transaction.nextCheckAt ? "ask" : "wait";
    case "adjudicated":
    case "rejected":
      return "done";
  }
}

const checkDelay = (checks: number, limits: TransactionLimits): number =>
  Math.min(limits.checkDelayMs * 2 ** Math.min(checks, 30), limits.maxCheckDelayMs);

const changed = (transaction: EdiTransaction, now: number) => ({
  ...transaction,
  leaseUntil: undefined,
  version: transaction.version + 1,
  updatedAt: now,
});

export function startSending(transaction: EdiTransaction, limits: TransactionLimits, now: number): EdiTransaction {
  return {
    ...changed(transaction, now),
    state: "sending",
    outcome: undefined,
    sends: transaction.sends + 1,
    checks: 0,
    nextCheckAt: undefined,
    leaseUntil: now + limits.leaseMs,
  };
}

export type TimelineKind = "ediSent" | "ediAcknowledged" | "ediAdjudicated" | "ediRejected";

export interface Change {
  readonly transaction: EdiTransaction;
  /** What the claim's timeline tells of it. */
  readonly told: TimelineKind | undefined;
}

/**
 * What an answer makes of a transaction. What a network has decided stays decided; a late acknowledgement changes nothing.
 * @returns undefined when there is nothing to write.
 */
export function applyFinding(
  transaction: EdiTransaction,
  kind: MessageKind,
  finding: Finding,
  limits: TransactionLimits,
  now: number,
): Change | undefined {
  const { state, checks } = transaction;
  if (state === "adjudicated" || state === "rejected") return undefined;
  const base = changed(transaction, now);
  const carrierReference =
    ("carrierReference" in finding ? finding.carrierReference : undefined) ?? transaction.carrierReference;
  const ended = { ...base, carrierReference, nextCheckAt: undefined };
  const askLater = (next: "unknown" | "acknowledged", count: number, outcome: string | undefined): EdiTransaction => {
    const late = now - transaction.createdAt >= limits.giveUpAfterMs;
    return {
      ...base,
      carrierReference,
      state: next,
      outcome: late ? "no_answer" : outcome,
      checks: count,
      nextCheckAt: late ? undefined : now + checkDelay(count, limits),
    };
  };
  switch (finding.type) {
    case "acknowledged":
      return state === "acknowledged"
        ? { transaction: askLater("acknowledged", checks + 1, undefined), told: undefined }
        : { transaction: askLater("acknowledged", 0, undefined), told: "ediAcknowledged" };
    case "adjudicated":
      return {
        transaction: { ...ended, state: "adjudicated", outcome: finding.decision, benefitMinor: finding.benefitMinor },
        told: "ediAdjudicated",
      };
    case "rejected":
      return { transaction: { ...ended, state: "rejected", outcome: finding.code }, told: "ediRejected" };
    case "notTaken":
      // Of a question: it was the question that was not taken.
      if (kind !== "submit")
        return { transaction: askLater(askedState(state), checks + 1, finding.code), told: undefined };
      return { transaction: { ...ended, state: "unsent", outcome: finding.code }, told: undefined };
    case "unknown":
      return { transaction: askLater(askedState(state), checks + 1, finding.code), told: undefined };
    case "notFound":
      if (state === "acknowledged") {
        return { transaction: askLater("acknowledged", checks + 1, "not_found"), told: undefined };
      }
      return { transaction: { ...ended, state: "unsent", outcome: "not_found" }, told: undefined };
    case "nothing":
      if (state !== "acknowledged" && checks + 1 >= NOTHINGS_TO_RESEND) {
        return { transaction: { ...ended, state: "unsent", outcome: "not_found" }, told: undefined };
      }
      return { transaction: askLater(askedState(state), checks + 1, undefined), told: undefined };
  }
}

const askedState = (state: "sending" | "unknown" | "unsent" | "acknowledged"): "unknown" | "acknowledged" =>
  state === "acknowledged" ? "acknowledged" : "unknown";
