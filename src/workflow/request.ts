/**
 * A workflow request (claim or pre-authorization): its commands, its events, and the two functions that are its rules.
 * SUBMITTED -> ACKNOWLEDGED -> APPROVED | DENIED | NEEDS_INFO; a decision may come without an acknowledgement, and after
 * NEEDS_INFO another decision may follow. Beside its status a request may be superseded by its successor, or erased.
 */
import type { SealedValue } from "../platform/keyring.ts";
import type { NewSettlement, SettlementRejection } from "../settlement/settlement.ts";
import { type CorrectionRejection, decideCorrection, type Predecessor } from "./correction.ts";
import { ERASED_MONEY, type ErasureReason } from "./erasure.ts";

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
  /** requestIdHash of the request that this one supersedes. */
  readonly corrects: string | undefined;
  readonly incidentTicket: string | undefined;
  /** requestIdHash of its one successor. */
  readonly supersededBy: string | undefined;
  readonly erasedSeq: number | undefined;
}

/** What a corrective request says of the one it supersedes. */
export interface Corrects {
  /** As the database has it, or as the client wrote it when there is no such request. */
  readonly requestId: string;
  readonly lookup: string;
  readonly incidentTicket: string | undefined;
}

export interface SubmitRequest {
  readonly type: "SubmitRequest";
  readonly tenantId: string;
  readonly requestId: string;
  /** Keyed hash of the id: what finds an erased request, and what stands for the id where nothing can be erased. */
  readonly lookup: string;
  readonly requestIdHash: string;
  readonly requestType: RequestType;
  readonly insurerAddress: string;
  readonly submitter: string;
  readonly payloadHash: string;
  readonly corrects?: Corrects | undefined;
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
  readonly lookup?: string | undefined;
  readonly actor: string;
  readonly notes: StoredCiphertext | undefined;
  readonly correlationId: string;
}

export interface AdjudicateRequest {
  readonly type: "AdjudicateRequest";
  readonly tenantId: string;
  readonly requestId: string;
  readonly lookup?: string | undefined;
  readonly actor: string;
  readonly decision: RequestDecision;
  readonly decisionHash: string;
  /** Decisions taken when the caller looked; the notes are sealed for this round and open in no other. */
  readonly round: number;
  readonly notes: StoredCiphertext | undefined;
  /** Asked for with an approval, in the same commit, where that is set so. */
  readonly settlement?: NewSettlement | undefined;
  readonly correlationId: string;
}

export interface EraseRequest {
  readonly type: "EraseRequest";
  readonly tenantId: string;
  readonly requestId: string;
  readonly lookup: string;
  readonly actor: string;
  readonly reason: ErasureReason;
  readonly correlationId: string;
}

export type RequestCommand = SubmitRequest | AcknowledgeRequest | AdjudicateRequest | EraseRequest;

export type RequestEvent =
  | {
      readonly type: "REQUEST_SUBMITTED";
      readonly command: SubmitRequest;
      /** requestIdHash of the superseded request. */
      readonly corrects?: string | undefined;
    }
  | { readonly type: "REQUEST_ACKNOWLEDGED"; readonly actor: string }
  | {
      readonly type: "REQUEST_ADJUDICATED";
      readonly actor: string;
      readonly decision: RequestDecision;
      readonly decisionHash: string;
      /** 0 for the first decision. */
      readonly round: number;
    }
  | {
      readonly type: "REQUEST_CORRECTED";
      readonly actor: string;
      /** requestIdHash. */
      readonly successor: string;
      readonly incidentTicket: string | undefined;
    }
  | { readonly type: "ERASED"; readonly actor: string; readonly reason: ErasureReason };

export type Rejection =
  | { readonly code: "not_found" }
  | { readonly code: "already_decided"; readonly decision: RequestDecision }
  /** Another decision came first and leaves room for this one: look again, and send it for the new round. */
  | { readonly code: "round_moved"; readonly round: number }
  | { readonly code: "out_of_order"; readonly status: string }
  | { readonly code: "erased" }
  | SettlementRejection
  | CorrectionRejection;

export type Outcome<Event> =
  | {
      readonly type: "accepted";
      readonly commandId: string;
      readonly events: readonly Event[];
      /** Of the same command, about the request that the new one supersedes. */
      readonly predecessorEvents?: readonly Event[];
    }
  /** Done before, or nothing to do: answered with the state as it is. */
  | { readonly type: "unchanged" }
  | { readonly type: "rejected"; readonly rejection: Rejection };

const isDecision = (status: RequestStatus): status is RequestDecision =>
  DECISIONS.some((decision) => decision === status);

/** What is decided about `status` now, if anything. */
export const decisionOf = (state: Pick<RequestState, "status">): RequestDecision | undefined =>
  isDecision(state.status) ? state.status : undefined;

/**
 * @param state undefined when no request of that id exists in the tenant.
 * @param predecessor the request of the same tenant that a submit says it corrects, when there is one.
 */
export function decideRequest(
  state: RequestState | undefined,
  command: RequestCommand,
  predecessor?: Predecessor,
): Outcome<RequestEvent> {
  if (command.type === "SubmitRequest") return decideSubmit(state, command, predecessor);
  if (state === undefined) return { type: "rejected", rejection: { code: "not_found" } };
  if (command.type === "EraseRequest") return decideErase(state, command);
  // Even what was done before: its answer would need the salt.
  if (state.erasedSeq !== undefined) return { type: "rejected", rejection: { code: "erased" } };
  switch (command.type) {
    case "AcknowledgeRequest":
      return decideAcknowledge(state, command);
    case "AdjudicateRequest":
      return decideAdjudicate(state, command);
  }
}

function decideSubmit(
  state: RequestState | undefined,
  command: SubmitRequest,
  predecessor: Predecessor | undefined,
): Outcome<RequestEvent> {
  // Whether the content is the same again needs the salt, which the ledger does not hold: the edge compares. That a taken
  // id changes nothing is also why no cycle can come to be: a successor is always newer than all it supersedes.
  if (state !== undefined) return { type: "unchanged" };
  const commandId = `${command.tenantId}:${command.lookup}`;
  if (command.corrects === undefined) {
    return { type: "accepted", commandId, events: [{ type: "REQUEST_SUBMITTED", command }] };
  }
  const rejection = decideCorrection(predecessor);
  if (predecessor === undefined || rejection !== undefined) {
    return { type: "rejected", rejection: rejection ?? { code: "corrects_unknown" } };
  }
  return {
    type: "accepted",
    commandId,
    events: [{ type: "REQUEST_SUBMITTED", command, corrects: predecessor.requestIdHash }],
    predecessorEvents: [
      {
        type: "REQUEST_CORRECTED",
        actor: command.submitter,
        successor: command.requestIdHash,
        incidentTicket: command.corrects.incidentTicket,
      },
    ],
  };
}

function decideErase(state: RequestState, command: EraseRequest): Outcome<RequestEvent> {
  if (state.erasedSeq !== undefined) return { type: "unchanged" };
  return {
    type: "accepted",
    commandId: `erase:${state.requestIdHash}`,
    events: [{ type: "ERASED", actor: command.actor, reason: command.reason }],
  };
}

/** Resends of what was done before are answered as before; anything new belongs to the successor. */
const superseded = (state: RequestState): Outcome<RequestEvent> | undefined =>
  state.supersededBy === undefined
    ? undefined
    : { type: "rejected", rejection: { code: "superseded", successor: state.supersededBy } };

function decideAcknowledge(state: RequestState, command: AcknowledgeRequest): Outcome<RequestEvent> {
  if (state.acknowledgedSeq !== undefined) return { type: "unchanged" };
  const refused = superseded(state);
  if (refused !== undefined) return refused;
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
  const refused = superseded(state);
  if (refused !== undefined) return refused;
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
      corrects: event.corrects,
      incidentTicket: command.corrects?.incidentTicket,
      supersededBy: undefined,
      erasedSeq: undefined,
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
    case "REQUEST_CORRECTED":
      return { ...state, supersededBy: event.successor };
    case "ERASED":
      return { ...state, ...ERASED_MONEY, requestId: state.requestIdHash, erasedSeq: seq };
  }
}
