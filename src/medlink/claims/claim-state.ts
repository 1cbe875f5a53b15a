/**
 * How a claim moves: by events of the ledger, by the answer to its submission, by a person. The ledger's order decides
 * between events, never the order in which they arrive: an older event never undoes a newer one.
 */
import type { RequestEventType } from "../../relay/event-type.ts";
import type { AppliedEvent, Claim, ClaimStatus } from "./claim.ts";

export type Decision = "APPROVED" | "DENIED" | "NEEDS_INFO";

export interface LedgerEvent {
  readonly status: ClaimStatus;
  readonly ledgerId: string | undefined;
  readonly seq: number | undefined;
  /** Epoch seconds. */
  readonly occurredAt: number;
}

/** What an event makes of a claim. `decision` is undefined unless the event is an adjudication. */
export function statusOfEvent(eventType: RequestEventType, decision: Decision | undefined): ClaimStatus | undefined {
  switch (eventType) {
    case "REQUEST_SUBMITTED":
      return "submitted";
    case "REQUEST_ACKNOWLEDGED":
      return "pending";
    case "REQUEST_ADJUDICATED":
      switch (decision) {
        case "APPROVED":
          return "paid";
        case "DENIED":
          return "denied";
        case "NEEDS_INFO":
          return "infoRequested";
        case undefined:
          return undefined;
      }
  }
}

/** How far along a request is; orders events that carry no comparable ledger position. */
const RANK: Readonly<Record<ClaimStatus, number>> = {
  draft: 0,
  submitted: 1,
  pending: 2,
  infoRequested: 3,
  paid: 4,
  denied: 4,
};

/** True when `event` comes after `last` in the ledger. */
export function isNewer(event: LedgerEvent, last: AppliedEvent): boolean {
  if (event.seq !== undefined && last.seq !== undefined && event.ledgerId === last.ledgerId && event.seq !== last.seq) {
    return event.seq > last.seq;
  }
  return RANK[event.status] > RANK[last.status];
}

export type EventEffect =
  | { readonly type: "moved"; readonly status: ClaimStatus; readonly lastEvent: AppliedEvent }
  /** A newer event was here first: noted in the timeline, the claim stays as it is. */
  | { readonly type: "superseded" };

export function applyLedgerEvent(claim: Pick<Claim, "lastEvent">, event: LedgerEvent): EventEffect {
  if (claim.lastEvent !== undefined && !isNewer(event, claim.lastEvent)) return { type: "superseded" };
  return { type: "moved", status: event.status, lastEvent: event };
}

/** Core has taken the claim: submitted, unless an event has said more already. */
export const statusAfterSubmission = (claim: Pick<Claim, "status" | "lastEvent">): ClaimStatus =>
  claim.lastEvent === undefined ? "submitted" : claim.status;

/** Auto-submit gave up: a person must look, unless core has the claim after all. */
export const statusAfterFailure = (claim: Pick<Claim, "status" | "requestId">): ClaimStatus =>
  claim.requestId === undefined ? "pending" : claim.status;

const inLedger = (claim: Pick<Claim, "requestId">): boolean => claim.requestId !== undefined;

/** Fields are fixed while a submission is under way or done: a resend must say the same as the first. */
export const isEditable = (claim: Pick<Claim, "status" | "requestId">, hasLiveJob: boolean): boolean =>
  !inLedger(claim) && !hasLiveJob && (claim.status === "draft" || claim.status === "pending");

export const isSubmittable = (claim: Pick<Claim, "status" | "requestId">): boolean =>
  !inLedger(claim) && (claim.status === "draft" || claim.status === "pending");

/**
 * The moves a person may make. Everything that the insurer or the ledger says (submitted, paid, denied, infoRequested)
 * comes from there alone; a person sets a claim aside, takes it back, or marks a question of the insurer as answered.
 */
export function personMayMove(
  claim: Pick<Claim, "status" | "requestId">,
  to: ClaimStatus,
  hasLiveJob: boolean,
): boolean {
  if (claim.status === to) return true;
  if (inLedger(claim)) return claim.status === "infoRequested" && to === "pending";
  if (hasLiveJob) return false;
  return (claim.status === "draft" && to === "pending") || (claim.status === "pending" && to === "draft");
}
