/**
 * A workflow request (claim or pre-authorization): its commands, its events, and the two functions that are its rules.
 * SUBMITTED -> ACKNOWLEDGED -> APPROVED | DENIED | NEEDS_INFO; a decision may come without an acknowledgement, and after
 * NEEDS_INFO another decision may follow.
 */
import type { SealedValue } from "../platform/keyring.ts";

export const REQUEST_TYPES = ["CLAIM", "PREAUTH"] as const;
export type RequestType = (typeof REQUEST_TYPES)[number];

export const DECISIONS = ["APPROVED", "DENIED", "NEEDS_INFO"] as const;
export type RequestDecision = (typeof DECISIONS)[number];

export type RequestStatus = "SUBMITTED" | "ACKNOWLEDGED" | RequestDecision;

/** Ciphertext of one part of a subject's payload: base64 kept in the row, or the name of an object in R2. */
export type StoredCiphertext =
  | { readonly type: "inline"; readonly sealed: string }
  | { readonly type: "object"; readonly key: string };

export interface RequestState {
  readonly tenantId: string;
  readonly requestId: string;
  readonly requestIdHash: string;
  readonly requestType: RequestType;
  readonly insurerAddress: string;
  readonly submitter: string;
  readonly payloadHash: string;
  readonly status: RequestStatus;
  /** Decisions taken so far. */
  readonly round: number;
  readonly decisionHash: string | undefined;
  readonly submittedSeq: number;
  readonly acknowledgedSeq: number | undefined;
  readonly adjudicatedSeq: number | undefined;
  readonly amountMinor: number;
  readonly currency: string;
}

export interface SubmitRequest {
  readonly type: "SubmitRequest";
  readonly tenantId: string;
  readonly requestId: string;
  readonly requestIdHash: string;
  readonly requestType: RequestType;
  readonly insurerAddress: string;
  readonly submitter: string;
  readonly payloadHash: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly payload: StoredCiphertext;
  readonly wrappedKey: SealedValue;
  readonly correlationId: string;
}

export interface AcknowledgeRequest {
  readonly type: "AcknowledgeRequest";
  readonly tenantId: string;
  readonly requestId: string;
  readonly actor: string;
  readonly notes: StoredCiphertext | undefined;
  readonly correlationId: string;
}

export interface AdjudicateRequest {
  readonly type: "AdjudicateRequest";
  readonly tenantId: string;
  readonly requestId: string;
  readonly actor: string;
  readonly decision: RequestDecision;
  readonly decisionHash: string;
  /** Decisions taken when the caller looked; the notes are sealed for this round and open in no other. */
  readonly round: number;
  readonly notes: StoredCiphertext | undefined;
  readonly correlationId: string;
}

export type RequestCommand = SubmitRequest | AcknowledgeRequest | AdjudicateRequest;

export type RequestEvent =
  | { readonly type: "REQUEST_SUBMITTED"; readonly command: SubmitRequest }
  | { readonly type: "REQUEST_ACKNOWLEDGED"; readonly actor: string }
  | {
      readonly type: "REQUEST_ADJUDICATED";
      readonly actor: string;
      readonly decision: RequestDecision;
      readonly decisionHash: string;
      /** 0 for the first decision. */
      readonly round: number;
    };

export type Rejection =
  | { readonly code: "not_found" }
  | { readonly code: "already_decided"; readonly decision: RequestDecision }
  /** Another decision came first and leaves room for this one: look again, and send it for the new round. */
  | { readonly code: "round_moved"; readonly round: number }
  | { readonly code: "out_of_order"; readonly status: string };

export type Outcome<Event> =
  | { readonly type: "accepted"; readonly commandId: string; readonly events: readonly Event[] }
  /** Done before, or nothing to do: answered with the state as it is. */
  | { readonly type: "unchanged" }
  | { readonly type: "rejected"; readonly rejection: Rejection };

const isDecision = (status: RequestStatus): status is RequestDecision =>
  DECISIONS.some((decision) => decision === status);

/** What is decided about `status` now, if anything. */
export const decisionOf = (state: Pick<RequestState, "status">): RequestDecision | undefined =>
  isDecision(state.status) ? state.status : undefined;

/** @param state undefined when no request of that id exists in the tenant. */
export function decideRequest(state: RequestState | undefined, command: RequestCommand): Outcome<RequestEvent> {
  if (command.type === "SubmitRequest") {
    // Whether the content is the same again needs the salt, which the ledger does not hold: the edge compares.
    if (state !== undefined) return { type: "unchanged" };
    return {
      type: "accepted",
      commandId: `${command.tenantId}:${command.requestId}`,
      events: [{ type: "REQUEST_SUBMITTED", command }],
    };
  }
  if (state === undefined) return { type: "rejected", rejection: { code: "not_found" } };
  switch (command.type) {
    case "AcknowledgeRequest":
      return decideAcknowledge(state, command);
    case "AdjudicateRequest":
      return decideAdjudicate(state, command);
  }
}

function decideAcknowledge(state: RequestState, command: AcknowledgeRequest): Outcome<RequestEvent> {
  if (state.acknowledgedSeq !== undefined) return { type: "unchanged" };
  const decision = decisionOf(state);
  // A receiver that applies ACKNOWLEDGED after a decision turns the claim back.
  if (decision !== undefined) return { type: "rejected", rejection: { code: "already_decided", decision } };
  return {
    type: "accepted",
    commandId: `ack:${state.requestIdHash}`,
    events: [{ type: "REQUEST_ACKNOWLEDGED", actor: command.actor }],
  };
}

function decideAdjudicate(state: RequestState, command: AdjudicateRequest): Outcome<RequestEvent> {
  const decided = decisionOf(state);
  if (decided === command.decision) return { type: "unchanged" };
  if (decided !== undefined && decided !== "NEEDS_INFO") {
    return { type: "rejected", rejection: { code: "already_decided", decision: decided } };
  }
  if (command.round !== state.round) {
    return { type: "rejected", rejection: { code: "round_moved", round: state.round } };
  }
  return {
    type: "accepted",
    commandId: `adj:${state.requestIdHash}:${state.round}`,
    events: [
      {
        type: "REQUEST_ADJUDICATED",
        actor: command.actor,
        decision: command.decision,
        decisionHash: command.decisionHash,
        round: state.round,
      },
    ],
  };
}

/**
 * @param seq of the event's entry.
 * @throws Error for an event that can not follow the state; `decideRequest` makes none.
 */
export function evolveRequest(state: RequestState | undefined, event: RequestEvent, seq: number): RequestState {
  if (event.type === "REQUEST_SUBMITTED") {
    const { command } = event;
    return {
      tenantId: command.tenantId,
      requestId: command.requestId,
      requestIdHash: command.requestIdHash,
      requestType: command.requestType,
      insurerAddress: command.insurerAddress,
      submitter: command.submitter,
      payloadHash: command.payloadHash,
      status: "SUBMITTED",
      round: 0,
      decisionHash: undefined,
      submittedSeq: seq,
      acknowledgedSeq: undefined,
      adjudicatedSeq: undefined,
      amountMinor: command.amountMinor,
      currency: command.currency,
    };
  }
  if (state === undefined) throw new Error(`${event.type} without a request`);
  switch (event.type) {
    case "REQUEST_ACKNOWLEDGED":
      return { ...state, status: "ACKNOWLEDGED", acknowledgedSeq: seq };
    case "REQUEST_ADJUDICATED":
      return {
        ...state,
        status: event.decision,
        decisionHash: event.decisionHash,
        round: event.round + 1,
        adjudicatedSeq: seq,
      };
  }
}
