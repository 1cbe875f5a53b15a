/**
 * Settlements: money moved for one claim or request. PENDING -> PROCESSING -> COMPLETED | REJECTED (by a rule of the operator) |
 * FAILED (for a technical reason, and surely not done). What is decided rests on everything that was ever asked for the same
 * subject: what is taken never exceeds what was approved, and never falls below nothing.
 */
import { addCents, type Cents, cents, subtractCents, sumCents, ZERO } from "../platform/cents.ts";
import type { ClaimState, ClaimStatus } from "../workflow/claim.ts";
import type { Outcome, RequestState } from "../workflow/request.ts";
import { SETTLEMENT_TYPES, type SettlementType } from "./operator/gateway.ts";

export { SETTLEMENT_TYPES, type SettlementType };

export const SETTLEMENT_STATUSES = ["PENDING", "PROCESSING", "COMPLETED", "REJECTED", "FAILED"] as const;
export type SettlementStatus = (typeof SETTLEMENT_STATUSES)[number];

export const SUBJECT_KINDS = ["claim", "request"] as const;
export type SubjectKind = (typeof SUBJECT_KINDS)[number];

/** Why the operator refused: what it says is mapped to one of these, since its own words might name a person. */
export const REJECT_REASONS = [
  "INSUFFICIENT-FUNDS",
  "ACCOUNT-CLOSED",
  "LIMIT-EXCEEDED",
  "CURRENCY-NOT-SUPPORTED",
  "AMOUNT-INVALID",
  "DUPLICATE",
  "REVERSAL-REFUSED",
  "REFUSED",
] as const;
export type RejectReason = (typeof REJECT_REASONS)[number];

/** @param said by the operator; a word that is not known is REFUSED. */
export function rejectReasonOf(said: string): RejectReason {
  const code = said.toUpperCase().replaceAll("_", "-");
  return REJECT_REASONS.find((reason) => reason === code) ?? "REFUSED";
}

export const FAIL_REASONS = ["ATTEMPTS-SPENT"] as const;
export type FailReason = (typeof FAIL_REASONS)[number];

/** Of a person's own making: a ticket, say. */
export const RESOLUTION_REASON = /^[A-Z0-9-]{1,40}$/;

export const OPERATOR_TRANSACTION_ID = /^[A-Za-z0-9._:-]{1,64}$/;

/** Of one subject: its entries are read at once. */
export const MAX_SETTLEMENTS = 16;
export const MAX_REPLAYS = 2;

/** What an entry commits to, beside the facts that it shows. */
export interface SettlementTerms {
  readonly refId: string;
  readonly type: SettlementType;
  /** Minor units; only an adjustment may be negative, and nothing is zero. */
  readonly amountCents: Cents;
  readonly currency: string;
  /** refId of what a reversal takes back; null otherwise. */
  readonly reverses: string | null;
}

/** The value that is committed to under the subject's salt. */
export const committedTerms = ({ refId, type, amountCents, currency, reverses }: SettlementTerms) => ({
  refId,
  type,
  amountCents,
  currency,
  reverses,
});

export interface NewSettlement extends SettlementTerms {
  /** `0x` and 64 hex. */
  readonly commitment: string;
}

export interface SettlementState extends SettlementTerms {
  readonly tenantId: string;
  /** claimIdHash or requestIdHash. */
  readonly subject: string;
  readonly subjectKind: SubjectKind;
  readonly status: SettlementStatus;
  readonly reason: string | undefined;
  readonly operatorTransactionId: string | undefined;
  /** Replays so far. */
  readonly round: number;
  readonly createdSeq: number;
  /** Of the round. */
  readonly startedSeq: number | undefined;
  /** Of the round. */
  readonly endedSeq: number | undefined;
  /** Epoch ms, of the first and of the newest entry. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

interface Common {
  readonly tenantId: string;
  readonly actor: string;
  readonly correlationId: string;
}

/** The claim or request by its hash: its id need not be known, and may be gone. */
interface OfSubject extends Common {
  readonly subjectKind: SubjectKind;
  readonly subject: string;
}

interface OfSettlement extends OfSubject {
  readonly refId: string;
}

export interface CreateSettlement extends OfSubject {
  readonly type: "CreateSettlement";
  readonly settlement: NewSettlement;
}

/** Of a direct claim: the payment of all that is left, unless one is under way or done. */
export interface SettleClaim extends Common {
  readonly type: "SettleClaim";
  readonly claimId: string;
  readonly lookup?: string | undefined;
  readonly settlement: NewSettlement;
}

/** Before anything is sent. */
export interface StartSettlement extends OfSettlement {
  readonly type: "StartSettlement";
}

/** The operator confirmed it. */
export interface CompleteSettlement extends OfSettlement {
  readonly type: "CompleteSettlement";
  readonly operatorTransactionId: string;
}

export interface RejectSettlement extends OfSettlement {
  readonly type: "RejectSettlement";
  readonly reason: RejectReason;
}

export interface FailSettlement extends OfSettlement {
  readonly type: "FailSettlement";
  readonly reason: FailReason;
}

/** A person says what became of it. */
export interface ResolveSettlement extends OfSettlement {
  readonly type: "ResolveSettlement";
  readonly outcome: "COMPLETED" | "REJECTED" | "FAILED";
  readonly reason: string;
  readonly operatorTransactionId?: string | undefined;
}

/** The same settlement once more, under the same refId: the operator knows a transaction again by it. */
export interface ReplaySettlement extends OfSettlement {
  readonly type: "ReplaySettlement";
}

export type SettlementCommand =
  | CreateSettlement
  | SettleClaim
  | StartSettlement
  | CompleteSettlement
  | RejectSettlement
  | FailSettlement
  | ResolveSettlement
  | ReplaySettlement;

const COMMAND_TYPES: Readonly<Record<SettlementCommand["type"], true>> = {
  CreateSettlement: true,
  SettleClaim: true,
  StartSettlement: true,
  CompleteSettlement: true,
  RejectSettlement: true,
  FailSettlement: true,
  ResolveSettlement: true,
  ReplaySettlement: true,
};

export const isSettlementCommand = (command: { readonly type: string }): command is SettlementCommand =>
  Object.hasOwn(COMMAND_TYPES, command.type);

/** What each type's confirmation is called in the ledger. */
const COMPLETION: Readonly<Record<SettlementType, CompletionType>> = {
  payment: "CLAIM_SETTLED",
  reversal: "SETTLEMENT_REVERSED",
  adjustment: "SETTLEMENT_ADJUSTED",
};

export type CompletionType = "CLAIM_SETTLED" | "SETTLEMENT_REVERSED" | "SETTLEMENT_ADJUSTED";

export type SettlementEvent =
  | {
      readonly type: "SETTLEMENT_CREATED";
      readonly settlement: NewSettlement;
      readonly actor: string;
      /** Made by the approval, in the same command. */
      readonly byApproval: boolean;
    }
  | { readonly type: "SETTLEMENT_STARTED"; readonly refId: string; readonly actor: string }
  | {
      readonly type: CompletionType;
      readonly refId: string;
      readonly actor: string;
      readonly operatorTransactionId: string | undefined;
      /** Where a person said so. */
      readonly reason: string | undefined;
    }
  | {
      readonly type: "SETTLEMENT_REJECTED" | "SETTLEMENT_FAILED";
      readonly refId: string;
      readonly actor: string;
      readonly reason: string;
    }
  | { readonly type: "SETTLEMENT_REPLAYED"; readonly refId: string; readonly actor: string };

export type SettlementRejection =
  | { readonly code: "not_found" }
  | { readonly code: "erased" }
  | { readonly code: "out_of_order"; readonly status: string }
  | { readonly code: "superseded"; readonly successor: string }
  /** The caller reckoned with another amount than is left now: look again. */
  | { readonly code: "amount_moved" }
  | {
      readonly code: "settlement_refused";
      readonly why:
        | "not-payable"
        | "nothing-left"
        | "over-approved"
        | "below-nothing"
        | "wrong-currency"
        | "wrong-amount"
        | "reverses-unknown"
        | "not-completed"
        | "over-reversed"
        | "too-many"
        | "replays-spent";
    }
  | { readonly code: "settlement_conflict"; readonly status: SettlementStatus };

/** What settlements of one subject are decided on. */
export interface Account {
  readonly claim: ClaimState | undefined;
  readonly request: RequestState | undefined;
  readonly settlements: readonly SettlementState[];
}

export type SettlementOutcome =
  | Exclude<Outcome<SettlementEvent>, { type: "rejected" }>
  | { readonly type: "rejected"; readonly rejection: SettlementRejection };

const refuse = (rejection: SettlementRejection): SettlementOutcome => ({ type: "rejected", rejection });
const refused = (why: Extract<SettlementRejection, { code: "settlement_refused" }>["why"]): SettlementOutcome =>
  refuse({ code: "settlement_refused", why });

export const isUnderWay = ({ status }: Pick<SettlementState, "status">): boolean =>
  status === "PENDING" || status === "PROCESSING";

const isGone = ({ status }: SettlementState): boolean => status === "REJECTED" || status === "FAILED";

/** What a settlement does to what is taken: a reversal takes its amount back. */
const effectOf = ({ type, amountCents }: SettlementTerms): Cents =>
  type === "reversal" ? subtractCents(ZERO, amountCents) : amountCents;

/** The most that may have been taken: what is under way is counted where it adds, and not yet where it takes back. */
function mostTaken(settlements: readonly SettlementState[]): Cents {
  const counted = settlements.filter((one) => !isGone(one) && (one.status === "COMPLETED" || effectOf(one) > 0));
  return sumCents(counted.map(effectOf));
}

/** The least that may have been taken. */
function leastTaken(settlements: readonly SettlementState[]): Cents {
  const counted = settlements.filter((one) => !isGone(one) && (one.status === "COMPLETED" || effectOf(one) < 0));
  return sumCents(counted.map(effectOf));
}

/** Whether money moved, or may be moving, and was not moved back. */
export const isSettled = (settlements: readonly SettlementState[]): boolean => mostTaken(settlements) > 0;

/** What of a payment or adjustment is not reversed, by what is under way neither. */
export function unreversed(settlements: readonly SettlementState[], refId: string): Cents {
  const reversed = settlements.find((one) => one.refId === refId);
  if (reversed === undefined) return ZERO;
  const reversals = settlements.filter((one) => one.reverses === refId && !isGone(one));
  return subtractCents(reversed.amountCents, sumCents(reversals.map(({ amountCents }) => amountCents)));
}

export type Payable =
  | { readonly type: "payable"; readonly approved: Cents; readonly currency: string }
  | { readonly type: "refused"; readonly rejection: SettlementRejection };

/** What may be paid for a subject: the total of a final claim, or of an approved request that nothing superseded. */
export function payableOf({ claim, request }: Account): Payable {
  const no = (rejection: SettlementRejection): Payable => ({ type: "refused", rejection });
  const state = claim ?? request;
  if (state === undefined) return no({ code: "not_found" });
  // There is no amount left to settle.
  if (state.erasedSeq !== undefined) return no({ code: "erased" });
  if (claim !== undefined && claim.finalizedSeq === undefined)
    return no({ code: "out_of_order", status: claim.status });
  if (request !== undefined) {
    if (request.supersededBy !== undefined) return no({ code: "superseded", successor: request.supersededBy });
    if (request.requestType !== "CLAIM") return no({ code: "settlement_refused", why: "not-payable" });
    if (request.status !== "APPROVED") return no({ code: "out_of_order", status: request.status });
  }
  return { type: "payable", approved: cents(state.amountMinor), currency: state.currency };
}

/** What a payment may still take; zero when nothing is left. */
export const leftToPay = (approved: Cents, settlements: readonly SettlementState[]): Cents => {
  const left = subtractCents(approved, mostTaken(settlements));
  return left > 0 ? left : ZERO;
};

export function decideSettlement(account: Account, command: SettlementCommand): SettlementOutcome {
  switch (command.type) {
    case "CreateSettlement":
      return decideCreate(account, command.settlement, command.actor);
    case "SettleClaim":
      return decideSettle(account, command);
    case "StartSettlement":
    case "CompleteSettlement":
    case "RejectSettlement":
    case "FailSettlement":
    case "ResolveSettlement":
    case "ReplaySettlement":
      return decideStep(account, command);
  }
}

function decideSettle(account: Account, command: SettleClaim): SettlementOutcome {
  const { claim, settlements } = account;
  const payable = payableOf(account);
  if (payable.type === "refused" || claim === undefined)
    return refuse(payable.type === "refused" ? payable.rejection : { code: "not_found" });
  if (claim.status !== "FINALIZED") return { type: "unchanged" };
  const left = leftToPay(payable.approved, settlements);
  if (left === ZERO) return refused("nothing-left");
  const { amountCents, currency } = command.settlement;
  if (amountCents !== left || currency !== payable.currency) return refuse({ code: "amount_moved" });
  return decideCreate(account, command.settlement, command.actor);
}

/** The first command of a refId makes it; the same again changes nothing. */
function decideCreate(account: Account, settlement: NewSettlement, actor: string): SettlementOutcome {
  const { settlements } = account;
  if (settlements.some(({ refId }) => refId === settlement.refId)) return { type: "unchanged" };
  const payable = payableOf(account);
  if (payable.type === "refused") return refuse(payable.rejection);
  if (settlements.length >= MAX_SETTLEMENTS) return refused("too-many");
  const fault = faultOf(settlement, payable, settlements);
  if (fault !== undefined) return fault;
  return {
    type: "accepted",
    commandId: `stl:${settlement.refId}`,
    events: [{ type: "SETTLEMENT_CREATED", settlement, actor, byApproval: false }],
  };
}

/** @param settlements without this one. */
function faultOf(
  terms: SettlementTerms,
  { approved, currency }: Extract<Payable, { type: "payable" }>,
  settlements: readonly SettlementState[],
): SettlementOutcome | undefined {
  if (terms.currency !== currency) return refused("wrong-currency");
  if (terms.amountCents === ZERO || (terms.type !== "adjustment" && terms.amountCents < 0))
    return refused("wrong-amount");
  if ((terms.type === "reversal") !== (terms.reverses !== null)) return refused("reverses-unknown");
  if (terms.reverses !== null) {
    const reversed = settlements.find(({ refId }) => refId === terms.reverses);
    if (reversed === undefined || effectOf(reversed) < 0) return refused("reverses-unknown");
    if (reversed.status !== "COMPLETED") return refused("not-completed");
    if (terms.amountCents > unreversed(settlements, terms.reverses)) return refused("over-reversed");
  }
  const effect = effectOf(terms);
  if (effect > 0 && addCents(mostTaken(settlements), effect) > approved) return refused("over-approved");
  if (effect < 0 && addCents(leastTaken(settlements), effect) < 0) return refused("below-nothing");
  return undefined;
}

function decideStep(
  account: Account,
  command: Exclude<SettlementCommand, CreateSettlement | SettleClaim>,
): SettlementOutcome {
  const { refId, actor } = command;
  const state = account.settlements.find((one) => one.refId === refId);
  if (state === undefined) return refuse({ code: "not_found" });
  const conflict = refuse({ code: "settlement_conflict", status: state.status });
  const { round, status } = state;
  const accept = (what: string, event: SettlementEvent): SettlementOutcome => ({
    type: "accepted",
    commandId: `stl:${refId}:${what}:${round}`,
    events: [event],
  });
  const completed = (operatorTransactionId: string | undefined, reason: string | undefined): SettlementOutcome => {
    if (status === "COMPLETED") return { type: "unchanged" };
    // Given up here, and done there all the same: what really happened counts, within what was approved.
    if (status === "FAILED") return completedLate(account, state, accept, { actor, operatorTransactionId, reason });
    if (status !== "PROCESSING") return conflict;
    return accept("end", { type: COMPLETION[state.type], refId, actor, operatorTransactionId, reason });
  };
  const ended = (type: "SETTLEMENT_REJECTED" | "SETTLEMENT_FAILED", reason: string): SettlementOutcome => {
    if (status === (type === "SETTLEMENT_REJECTED" ? "REJECTED" : "FAILED")) return { type: "unchanged" };
    if (!isUnderWay(state)) return conflict;
    return accept("end", { type, refId, actor, reason });
  };
  switch (command.type) {
    case "StartSettlement":
      if (status === "PROCESSING") return { type: "unchanged" };
      return status === "PENDING" ? accept("start", { type: "SETTLEMENT_STARTED", refId, actor }) : conflict;
    case "CompleteSettlement":
      return completed(command.operatorTransactionId, undefined);
    case "RejectSettlement":
      return ended("SETTLEMENT_REJECTED", command.reason);
    case "FailSettlement":
      return ended("SETTLEMENT_FAILED", command.reason);
    case "ResolveSettlement":
      return command.outcome === "COMPLETED"
        ? completed(command.operatorTransactionId, command.reason)
        : ended(command.outcome === "REJECTED" ? "SETTLEMENT_REJECTED" : "SETTLEMENT_FAILED", command.reason);
    case "ReplaySettlement": {
      if (isUnderWay(state)) return { type: "unchanged" };
      if (status === "COMPLETED") return conflict;
      if (round >= MAX_REPLAYS) return refused("replays-spent");
      const payable = payableOf(account);
      if (payable.type === "refused") return refuse(payable.rejection);
      const others = account.settlements.filter((one) => one.refId !== refId);
      return faultOf(state, payable, others) ?? accept("replay", { type: "SETTLEMENT_REPLAYED", refId, actor });
    }
  }
}

function completedLate(
  account: Account,
  state: SettlementState,
  accept: (what: string, event: SettlementEvent) => SettlementOutcome,
  facts: {
    readonly actor: string;
    readonly operatorTransactionId: string | undefined;
    readonly reason: string | undefined;
  },
): SettlementOutcome {
  const others = account.settlements.filter((one) => one.refId !== state.refId);
  const payable = payableOf(account);
  // The amount that was approved is gone with an erasure; what was in order then is in order still.
  if (payable.type === "refused" && payable.rejection.code !== "erased") return refuse(payable.rejection);
  const fault = payable.type === "payable" ? faultOf(state, payable, others) : undefined;
  return fault ?? accept("late", { type: COMPLETION[state.type], refId: state.refId, ...facts });
}

/** Of a subject, as it stands in every settlement of it. */
export interface SettledSubject {
  readonly tenantId: string;
  readonly subject: string;
  readonly subjectKind: SubjectKind;
}

export const refIdOf = (event: SettlementEvent): string =>
  event.type === "SETTLEMENT_CREATED" ? event.settlement.refId : event.refId;

/**
 * @param seq of the event's entry.
 * @param at of the event's entry, epoch ms.
 * @returns all settlements of the subject after the event.
 * @throws Error for an event that can not follow; `decideSettlement` makes none.
 */
export function evolveSettlements(
  settlements: readonly SettlementState[],
  event: SettlementEvent,
  of: SettledSubject,
  seq: number,
  at: number,
): readonly SettlementState[] {
  const refId = refIdOf(event);
  const before = settlements.find((one) => one.refId === refId);
  const after = evolveSettlement(before, event, of, seq, at);
  return before === undefined ? [...settlements, after] : settlements.map((one) => (one.refId === refId ? after : one));
}

/** One settlement; the other parameters as of `evolveSettlements`. */
export function evolveSettlement(
  state: SettlementState | undefined,
  event: SettlementEvent,
  of: SettledSubject,
  seq: number,
  at: number,
): SettlementState {
  if (event.type === "SETTLEMENT_CREATED") {
    if (state !== undefined) throw new Error("this settlement exists");
    const { refId, type, amountCents, currency, reverses } = event.settlement;
    return {
      ...of,
      refId,
      type,
      amountCents,
      currency,
      reverses,
      status: "PENDING",
      reason: undefined,
      operatorTransactionId: undefined,
      round: 0,
      createdSeq: seq,
      startedSeq: undefined,
      endedSeq: undefined,
      createdAt: at,
      updatedAt: at,
    };
  }
  if (state === undefined) throw new Error(`${event.type} without a settlement`);
  const moved = (from: readonly SettlementStatus[], change: Partial<SettlementState>): SettlementState => {
    if (!from.includes(state.status)) throw new Error(`${event.type} of a settlement that is ${state.status}`);
    return { ...state, ...change, updatedAt: at };
  };
  switch (event.type) {
    case "SETTLEMENT_STARTED":
      return moved(["PENDING"], { status: "PROCESSING", startedSeq: seq });
    case "CLAIM_SETTLED":
    case "SETTLEMENT_REVERSED":
    case "SETTLEMENT_ADJUSTED": {
      if (COMPLETION[state.type] !== event.type) throw new Error(`${event.type} of a ${state.type}`);
      const { reason, operatorTransactionId } = event;
      return moved(["PROCESSING", "FAILED"], { status: "COMPLETED", reason, operatorTransactionId, endedSeq: seq });
    }
    case "SETTLEMENT_REJECTED":
      return moved(["PENDING", "PROCESSING"], { status: "REJECTED", reason: event.reason, endedSeq: seq });
    case "SETTLEMENT_FAILED":
      return moved(["PENDING", "PROCESSING"], { status: "FAILED", reason: event.reason, endedSeq: seq });
    case "SETTLEMENT_REPLAYED":
      return moved(["REJECTED", "FAILED"], {
        status: "PENDING",
        reason: undefined,
        round: state.round + 1,
        startedSeq: undefined,
        endedSeq: undefined,
      });
  }
}

/** Of one event's command, as `decideSettlement` names it; undefined: that of the approval just before. @param round before the event. */
export function settlementCommandId(
  event: SettlementEvent,
  before: Pick<SettlementState, "round" | "status"> | undefined,
): string | undefined {
  const refId = refIdOf(event);
  const round = before?.round ?? 0;
  switch (event.type) {
    case "SETTLEMENT_CREATED":
      return event.byApproval ? undefined : `stl:${refId}`;
    case "SETTLEMENT_STARTED":
      return `stl:${refId}:start:${round}`;
    case "CLAIM_SETTLED":
    case "SETTLEMENT_REVERSED":
    case "SETTLEMENT_ADJUSTED":
      return `stl:${refId}:${before?.status === "FAILED" ? "late" : "end"}:${round}`;
    case "SETTLEMENT_REJECTED":
    case "SETTLEMENT_FAILED":
      return `stl:${refId}:end:${round}`;
    case "SETTLEMENT_REPLAYED":
      return `stl:${refId}:replay:${round}`;
  }
}

/** A direct claim's status follows its settlements. */
export function withSettlements(claim: ClaimState, settlements: readonly SettlementState[]): ClaimState {
  const payments = settlements.filter(({ type }) => type === "payment");
  return {
    ...claim,
    status: claimStatusOf(claim, payments, settlements),
    settlementSeq: payments.length === 0 ? undefined : Math.max(...payments.map(({ createdSeq }) => createdSeq)),
  };
}

function claimStatusOf(
  { finalizedSeq }: ClaimState,
  payments: readonly SettlementState[],
  settlements: readonly SettlementState[],
): ClaimStatus {
  if (finalizedSeq === undefined) return "CREATED";
  if (payments.some(isUnderWay)) return "SETTLEMENT_PENDING";
  const completed = settlements.filter(({ status }) => status === "COMPLETED");
  return payments.some(({ refId, status }) => status === "COMPLETED" && unreversed(completed, refId) > 0)
    ? "SETTLED"
    : "FINALIZED";
}
