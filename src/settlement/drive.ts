/**
 * What is done about a settlement at the operator, decided from the row and the last answer. The one rule behind it: what may have
 * taken effect is asked about before it is sent again, and nothing is assumed of a call without an answer.
 */
import type { OperatorAnswer } from "./operator/gateway.ts";
import { OPERATOR_TRANSACTION_ID, type RejectReason, rejectReasonOf, type SettlementStatus } from "./settlement.ts";

/** A queue message: there is work. The rows are the truth; a message that is lost, doubled or late costs nothing. */
export interface SettlementHint {
  readonly refId: string;
  readonly tenantId: string;
}

/** The row of `settlement_drives`, leased. */
export interface Drive {
  readonly refId: string;
  readonly tenantId: string;
  readonly correlationId: string;
  /** Fencing: a write under an older one than the row's changes nothing. */
  readonly token: number;
  /** A send may have taken effect. */
  readonly inDoubt: boolean;
  /** Of this round, that the operator turned out not to have. */
  readonly sends: number;
  /** Calls since the last that told anything. */
  readonly waits: number;
  readonly lastAnswer: DriveAnswer | undefined;
}

export const DRIVE_ANSWERS = ["accepted", "absent", "not_sent", "unknown", "vanished", "ledger-unavailable"] as const;
export type DriveAnswer = (typeof DRIVE_ANSWERS)[number];

export type SettlementAction =
  /** Record that it is begun, before anything is sent. */
  | { readonly type: "start" }
  | { readonly type: "send" }
  | { readonly type: "ask" }
  | { readonly type: "wait"; readonly until: number }
  /** Every send was lost and it is sure that none took effect. */
  | { readonly type: "fail"; readonly reason: "ATTEMPTS-SPENT" }
  | { readonly type: "done" };

/** Sends that the operator turned out not to have, until it is given up. */
export const MAX_SENDS = 8;

/**
 * @param holdUntil epoch ms until which the operator takes nothing (its limit, or the circuit is open); undefined: it does.
 * @param now epoch ms.
 */
export function nextSettlementAction(
  status: SettlementStatus,
  drive: Pick<Drive, "inDoubt" | "sends">,
  holdUntil: number | undefined,
  now: number,
): SettlementAction {
  if (status !== "PENDING" && status !== "PROCESSING") return { type: "done" };
  if (!drive.inDoubt && drive.sends >= MAX_SENDS && status === "PROCESSING") {
    return { type: "fail", reason: "ATTEMPTS-SPENT" };
  }
  if (holdUntil !== undefined && holdUntil > now) return { type: "wait", until: holdUntil };
  if (status === "PENDING") return { type: "start" };
  return drive.inDoubt ? { type: "ask" } : { type: "send" };
}

export type DriveStep =
  | { readonly type: "complete"; readonly operatorTransactionId: string }
  | { readonly type: "reject"; readonly reason: RejectReason }
  /** Look again at `dueAt`, with this known. */
  | {
      readonly type: "later";
      readonly dueAt: number;
      readonly inDoubt: boolean;
      readonly sends: number;
      readonly waits: number;
      readonly answer: DriveAnswer;
      /** Set: the operator takes nothing before; nothing else need be tried. */
      readonly holdUntil?: number;
    };

/** The operator may still be at work on a call that we gave up. What is longer under way than five minutes is asked about every five. */
const AFTER_UNKNOWN_MS = 30_000;
const MAX_UNKNOWN_MS = 300_000;
/** An accepted transaction completes in its own time. */
const AFTER_ACCEPTED_MS = 10_000;
const MAX_ACCEPTED_MS = 300_000;
const MAX_NOT_SENT_MS = 300_000;
/** A transaction that the operator had and no longer has: a person must look, and until then it is only asked about. */
const AFTER_VANISHED_MS = 3_600_000;

/** Doubling, with up to a quarter more so that what failed together does not come back together. @param random in [0, 1). */
function backoff(baseMs: number, times: number, maxMs: number, random: number): number {
  const delay = Math.min(maxMs, baseMs * 2 ** Math.min(times, 20));
  return delay + Math.floor((delay * random) / 4);
}

/** @param called what the answer is to. @param random in [0, 1). */
export function afterAnswer(
  called: "send" | "ask",
  answer: OperatorAnswer,
  drive: Pick<Drive, "inDoubt" | "sends" | "waits" | "lastAnswer">,
  now: number,
  random: number,
): DriveStep {
  const { sends, waits } = drive;
  const unknown: DriveStep = {
    type: "later",
    dueAt: now + backoff(AFTER_UNKNOWN_MS, waits, MAX_UNKNOWN_MS, random),
    inDoubt: true,
    sends,
    waits: waits + 1,
    // That it was accepted once is not forgotten with an answer that was lost.
    answer: drive.lastAnswer === "accepted" || drive.lastAnswer === "vanished" ? drive.lastAnswer : "unknown",
  };
  switch (answer.kind) {
    case "completed":
      // An id that is none is no confirmation that can be recorded.
      return OPERATOR_TRANSACTION_ID.test(answer.operatorTransactionId)
        ? { type: "complete", operatorTransactionId: answer.operatorTransactionId }
        : unknown;
    case "rejected":
      return { type: "reject", reason: rejectReasonOf(answer.reason) };
    case "accepted":
      return {
        type: "later",
        dueAt: now + backoff(AFTER_ACCEPTED_MS, waits, MAX_ACCEPTED_MS, random),
        inDoubt: true,
        sends,
        waits: waits + 1,
        answer: "accepted",
      };
    case "unknown":
      return unknown;
    case "not_sent": {
      const until = now + Math.min(MAX_NOT_SENT_MS, Math.max(0, answer.retryAfterMs));
      // This call had no effect; what was in doubt before it is in doubt still.
      const { inDoubt, lastAnswer } = drive;
      return {
        type: "later",
        dueAt: until,
        inDoubt,
        sends,
        waits,
        answer: lastAnswer === "accepted" || lastAnswer === "vanished" ? lastAnswer : "not_sent",
        holdUntil: until,
      };
    }
    case "unknown_transaction":
      if (called === "send") return unknown;
      if (drive.lastAnswer === "accepted" || drive.lastAnswer === "vanished") {
        return { type: "later", dueAt: now + AFTER_VANISHED_MS, inDoubt: true, sends, waits, answer: "vanished" };
      }
      return { type: "later", dueAt: now, inDoubt: false, sends: sends + 1, waits: 0, answer: "absent" };
  }
}
