/** Entries replayed: what the projection of a subject must be, by the same rules that made it (`evolve`). */
import type { ReadEntry } from "../ledger/check-entry.ts";
import { type Cents, cents } from "../platform/cents.ts";
import {
  evolveSettlements,
  refIdOf,
  SETTLEMENT_TYPES,
  type SettlementEvent,
  type SettlementState,
  settlementCommandId,
  withSettlements,
} from "../settlement/settlement.ts";
import { type ClaimEvent, type ClaimState, evolveClaim } from "./claim.ts";
import { ERASURE_REASONS } from "./erasure.ts";
import { DECISIONS, evolveRequest, REQUEST_TYPES, type RequestEvent, type RequestState } from "./request.ts";

/** What entries only commit to: from the opened payload, or from the row where that can not be had. */
export interface CommittedFacts {
  /** The request's or the claim's id, and its keyed hash. */
  readonly id: string;
  readonly lookup: string;
  readonly amountMinor: number;
  readonly currency: string;
  /** Of a settlement, from its row. */
  readonly amountOf: (refId: string) => { readonly amountCents: Cents; readonly currency: string };
}

/** Of a settlement whose row, which alone says it, is not there. */
export const UNKNOWN_AMOUNT = { amountCents: cents(1), currency: "XXX" } as const;

/** Of the command that makes such an entry; undefined: it is that of the successor's submit, just before. */
export type CommandId = string | undefined;

interface Steps {
  readonly commandIds: readonly CommandId[];
  readonly settlements: readonly SettlementState[];
}

export type Replayed =
  | ({ readonly type: "request"; readonly state: RequestState } & Steps)
  | ({ readonly type: "claim"; readonly state: ClaimState } & Steps)
  /** These entries can not follow one another. */
  | { readonly type: "failed"; readonly seq: number; readonly reason: string };

class Unreplayable extends Error {
  readonly seq: number;
  constructor(seq: number, message: string) {
    super(message);
    this.seq = seq;
  }
}

function text(entry: ReadEntry, name: string): string {
  const value = entry.data[name];
  if (typeof value !== "string") throw new Unreplayable(entry.seq, `its data has no ${name}`);
  return value;
}

const optionalText = (entry: ReadEntry, name: string): string | undefined =>
  entry.data[name] === undefined ? undefined : text(entry, name);

function oneOf<Value extends string>(entry: ReadEntry, name: string, values: readonly Value[]): Value {
  const value = values.find((candidate) => candidate === entry.data[name]);
  if (value === undefined) throw new Unreplayable(entry.seq, `its ${name} is not one that there is`);
  return value;
}

function committed(entry: ReadEntry): string {
  if (entry.commitment === undefined) throw new Unreplayable(entry.seq, "it commits to no payload");
  return entry.commitment;
}

/** @param entries of one subject, in order, at least one. */
export function replay(entries: readonly ReadEntry[], facts: CommittedFacts): Replayed {
  let request: RequestState | undefined;
  let claim: ClaimState | undefined;
  let settlements: readonly SettlementState[] = [];
  const commandIds: CommandId[] = [];
  try {
    for (const entry of entries) {
      const { seq } = entry;
      try {
        if (isSettlementEntry(entry)) {
          const of = claim ?? request;
          if (of === undefined) throw new Unreplayable(seq, "there is nothing that it could settle");
          const event = settlementEvent(entry, facts);
          const before = settlements.find(({ refId }) => refId === refIdOf(event));
          const { tenantId } = of;
          const subjectKind = claim === undefined ? "request" : "claim";
          const about = { tenantId, subject: entry.subject, subjectKind } as const;
          settlements = evolveSettlements(settlements, event, about, seq, Date.parse(entry.at));
          if (claim !== undefined) claim = withSettlements(claim, settlements);
          commandIds.push(settlementCommandId(event, before));
        } else if (entry.type.startsWith("REQUEST_") || (entry.type === "ERASED" && request !== undefined)) {
          if (claim !== undefined) throw new Unreplayable(seq, "a claim has no such entry");
          const event = requestEvent(entry, request, facts);
          request = evolveRequest(request, event, seq);
          commandIds.push(requestCommandId(entry, event, request));
        } else {
          if (request !== undefined) throw new Unreplayable(seq, "a request has no such entry");
          const event = claimEvent(entry, claim, facts);
          claim = evolveClaim(claim, event, seq);
          commandIds.push(claimCommandId(event, claim));
        }
      } catch (error) {
        if (error instanceof Unreplayable) throw error;
        throw new Unreplayable(seq, error instanceof Error ? error.message : "it can not follow");
      }
    }
  } catch (error) {
    if (error instanceof Unreplayable) return { type: "failed", seq: error.seq, reason: error.message };
    throw error;
  }
  if (request !== undefined) return { type: "request", state: request, commandIds, settlements };
  if (claim !== undefined) return { type: "claim", state: claim, commandIds, settlements };
  throw new RangeError("a subject has at least one entry");
}

function requestEvent(entry: ReadEntry, state: RequestState | undefined, facts: CommittedFacts): RequestEvent {
  switch (entry.type) {
    case "REQUEST_SUBMITTED":
      if (state !== undefined) throw new Unreplayable(entry.seq, "it was submitted before");
      return {
        type: entry.type,
        command: {
          type: "SubmitRequest",
          tenantId: text(entry, "tenant"),
          requestId: facts.id,
          lookup: facts.lookup,
          requestIdHash: entry.subject,
          requestType: oneOf(entry, "requestType", REQUEST_TYPES),
          insurerAddress: text(entry, "insurer"),
          submitter: text(entry, "submitter"),
          payloadHash: committed(entry),
          amountMinor: facts.amountMinor,
          currency: facts.currency,
          // What no state keeps.
          payload: { type: "inline", sealed: "" },
          wrappedKey: { keyId: "", sealed: "" },
          correlationId: "",
          corrects: { requestId: "", lookup: "", incidentTicket: optionalText(entry, "incidentTicket") },
        },
        corrects: optionalText(entry, "corrects"),
      };
    case "REQUEST_ACKNOWLEDGED":
      if (state?.acknowledgedSeq !== undefined) throw new Unreplayable(entry.seq, "it was acknowledged before");
      return { type: entry.type, actor: text(entry, "actor") };
    case "REQUEST_ADJUDICATED": {
      const { round } = entry.data;
      if (typeof round !== "number" || round !== state?.round)
        throw new Unreplayable(entry.seq, "its round is not the next");
      return {
        type: entry.type,
        actor: text(entry, "actor"),
        decision: oneOf(entry, "decision", DECISIONS),
        decisionHash: text(entry, "decisionHash"),
        round,
      };
    }
    case "REQUEST_CORRECTED":
      if (state?.supersededBy !== undefined) throw new Unreplayable(entry.seq, "it was superseded before");
      return {
        type: entry.type,
        actor: text(entry, "actor"),
        successor: text(entry, "supersededBy"),
        incidentTicket: optionalText(entry, "incidentTicket"),
      };
    case "ERASED":
      return { type: entry.type, actor: text(entry, "actor"), reason: oneOf(entry, "reason", ERASURE_REASONS) };
    default:
      throw new Unreplayable(entry.seq, `a request has no entry ${entry.type}`);
  }
}

function requestCommandId(entry: ReadEntry, event: RequestEvent, state: RequestState): CommandId {
  switch (event.type) {
    case "REQUEST_SUBMITTED":
      return `${state.tenantId}:${event.command.lookup}`;
    case "REQUEST_CORRECTED":
      return undefined;
    case "ERASED":
      return `erase:${entry.subject}`;
    case "REQUEST_ACKNOWLEDGED":
      return `ack:${entry.subject}`;
    case "REQUEST_ADJUDICATED":
      return `adj:${entry.subject}:${event.round}`;
  }
}

function claimEvent(entry: ReadEntry, state: ClaimState | undefined, facts: CommittedFacts): ClaimEvent {
  switch (entry.type) {
    case "CLAIM_CREATED":
      if (state !== undefined) throw new Unreplayable(entry.seq, "it was created before");
      return {
        type: entry.type,
        command: {
          type: "CreateClaim",
          tenantId: text(entry, "tenant"),
          claimId: facts.id,
          lookup: facts.lookup,
          claimIdHash: entry.subject,
          submitter: text(entry, "submitter"),
          payloadHash: committed(entry),
          amountMinor: facts.amountMinor,
          currency: facts.currency,
          payload: { type: "inline", sealed: "" },
          wrappedKey: { keyId: "", sealed: "" },
          correlationId: "",
        },
      };
    case "CLAIM_FINALIZED":
      return { type: entry.type, actor: text(entry, "actor") };
    case "ERASED":
      return { type: entry.type, actor: text(entry, "actor"), reason: oneOf(entry, "reason", ERASURE_REASONS) };
    default:
      throw new Unreplayable(entry.seq, `a claim has no entry ${entry.type}`);
  }
}

function claimCommandId(event: ClaimEvent, state: ClaimState): string {
  switch (event.type) {
    case "CLAIM_CREATED":
      return `claim:${state.tenantId}:${event.command.lookup}`;
    case "ERASED":
      return `erase:${state.claimIdHash}`;
    case "CLAIM_FINALIZED":
      return `finalize:${state.claimIdHash}`;
  }
}

const isSettlementEntry = ({ type }: ReadEntry): boolean => type.startsWith("SETTLEMENT_") || type === "CLAIM_SETTLED";

function settlementEvent(entry: ReadEntry, facts: CommittedFacts): SettlementEvent {
  const refId = text(entry, "refId");
  const actor = text(entry, "actor");
  switch (entry.type) {
    case "SETTLEMENT_CREATED":
      return {
        type: entry.type,
        actor,
        byApproval: entry.data.byApproval === true,
        settlement: {
          refId,
          type: oneOf(entry, "settlementType", SETTLEMENT_TYPES),
          ...facts.amountOf(refId),
          reverses: optionalText(entry, "reverses") ?? null,
          commitment: committed(entry),
        },
      };
    case "SETTLEMENT_STARTED":
    case "SETTLEMENT_REPLAYED":
      return { type: entry.type, refId, actor };
    case "CLAIM_SETTLED":
    case "SETTLEMENT_REVERSED":
    case "SETTLEMENT_ADJUSTED":
      return {
        type: entry.type,
        refId,
        actor,
        operatorTransactionId: optionalText(entry, "operatorTransactionId"),
        reason: optionalText(entry, "reason"),
      };
    case "SETTLEMENT_REJECTED":
    case "SETTLEMENT_FAILED":
      return { type: entry.type, refId, actor, reason: text(entry, "reason") };
    default:
      throw new Unreplayable(entry.seq, `there is no settlement entry ${entry.type}`);
  }
}
