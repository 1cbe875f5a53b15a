/**
 * Planning a commit: every waiting command is decided in order on the states the ones before it leave behind, its events
 * become linked entries, projections and outbox rows. Pure: the store writes what is planned here, as it is.
 */
import {
  decideOperatorAction,
  type OperatorActionRow,
  operatorActionDraft,
  type RecordOperatorAction,
} from "../audit/operator-action.ts";
import { type Draft, linkEntry } from "../ledger/chain.ts";
import type { EncodedEntry, EntryData } from "../ledger/entry.ts";
import type { Head } from "../ledger/head.ts";
import type { Plan } from "../ledger/sequencer.ts";
import type { SealedValue } from "../platform/keyring.ts";
import { type EventType, REQUEST_EVENT_TYPES, type RequestEventType } from "../relay/event-type.ts";
import { type EventData, eventIdOf, webhookBody } from "../relay/events.ts";
import type { DestinationKind } from "../relay/port.ts";
import { settlementDraft, settlementNews } from "../settlement/record-settlement.ts";
import {
  type Account,
  decideSettlement,
  evolveSettlements,
  isSettled,
  isSettlementCommand,
  isUnderWay,
  refIdOf,
  type SettlementCommand,
  type SettlementEvent,
  type SettlementState,
  withSettlements,
} from "../settlement/settlement.ts";
import { type ClaimCommand, type ClaimEvent, type ClaimState, decideClaim, evolveClaim } from "./claim.ts";
import type { Predecessor } from "./correction.ts";
import {
  type AdjudicateRequest,
  decideRequest,
  evolveRequest,
  type Rejection,
  type RequestCommand,
  type RequestEvent,
  type RequestState,
  type StoredCiphertext,
} from "./request.ts";

export type Command = RequestCommand | ClaimCommand | SettlementCommand | RecordOperatorAction;

/** Covers an entry, its projection, key and outbox rows, whose fields are all of bounded length. */
const ROWS_BYTES = 4_000;

/** About how many bytes of statement parameters a command becomes; what a commit and the waiting list are bounded by. */
export function commandBytes(command: Command): number {
  const sealed = "payload" in command ? command.payload : "notes" in command ? command.notes : undefined;
  return ROWS_BYTES + (sealed?.type === "inline" ? sealed.sealed.length : 0);
}

/** A destination as far as the commit needs it. */
export interface EventDestination {
  readonly destinationId: string;
  readonly tenantId: string;
  readonly kind: DestinationKind;
  readonly insurerAddress: string | undefined;
  readonly deliverAfter: "commit" | "anchor";
  readonly eventTypes: readonly string[];
}

/** What the commands of one commit touch, as the database has it. */
export interface CommitContext {
  /** By `aggregateKey` of the id that a command gave: an erased aggregate is found by its old id too. */
  readonly requests: ReadonlyMap<string, RequestState>;
  readonly claims: ReadonlyMap<string, ClaimState>;
  /** By subject; of the subjects that have any, as far as commands may need them. */
  readonly settlements: ReadonlyMap<string, readonly SettlementState[]>;
  readonly destinations: readonly EventDestination[];
  /** Subjects of operator actions that are recorded already. */
  readonly operatorActions?: ReadonlySet<string>;
}

export const aggregateKey = (tenantId: string, id: string): string => `${tenantId}\n${id}`;

export interface PlannedEntry {
  readonly encoded: EncodedEntry;
  readonly commandId: string;
  readonly commandIndex: number;
}

export interface PlannedPayload {
  /** Of the subject's first entry. */
  readonly subjectSeq: number;
  readonly subject: string;
  readonly part: string;
  readonly ciphertext: StoredCiphertext;
}

export interface PlannedOutboxRow {
  readonly eventId: string;
  readonly eventType: EventType;
  readonly seq: number;
  readonly subject: string;
  readonly tenantId: string;
  readonly destinationId: string;
  readonly state: "due" | "waiting";
  readonly body: string;
  readonly correlationId: string;
}

/** A settlement that is to be driven at the operator from now on. */
export interface PlannedDrive {
  readonly refId: string;
  readonly tenantId: string;
  readonly correlationId: string;
}

export interface PlannedPayloadKey {
  /** Of the subject's first entry. */
  readonly subjectSeq: number;
  readonly subject: string;
  readonly wrappedKey: SealedValue;
}

/** A subject whose key, ciphertext and id go. */
export interface PlannedErasure {
  /** Of the subject's first entry. */
  readonly subjectSeq: number;
  readonly subject: string;
  /** Of the id it had. */
  readonly lookup: string;
}

export type CommandResult =
  | {
      readonly type: "committed" | "unchanged";
      /** The aggregate after the command. */
      readonly state:
        | { readonly kind: "request"; readonly request: RequestState }
        | { readonly kind: "claim"; readonly claim: ClaimState }
        | { readonly kind: "settlement"; readonly settlement: SettlementState }
        | { readonly kind: "operator-action"; readonly subject: string };
      /** Of the first entry this command appended; undefined when it changed nothing. */
      readonly entry: { readonly seq: number; readonly entryHash: string } | undefined;
    }
  | { readonly type: "rejected"; readonly rejection: Rejection };

export interface CommitPlan extends Plan<Head, CommandResult> {
  /** The head the plan builds on. */
  readonly before: Head;
  readonly nowMs: number;
  readonly entries: readonly PlannedEntry[];
  readonly requests: readonly RequestState[];
  readonly claims: readonly ClaimState[];
  readonly payloads: readonly PlannedPayload[];
  readonly payloadKeys: readonly PlannedPayloadKey[];
  readonly erasures: readonly PlannedErasure[];
  readonly outbox: readonly PlannedOutboxRow[];
  readonly settlements: readonly SettlementState[];
  readonly drives: readonly PlannedDrive[];
  /** refIds of settlements that are under way no more. */
  readonly undriven: readonly string[];
  readonly operatorActions: readonly OperatorActionRow[];
}

export interface PlanSettings {
  readonly ledgerId: string;
  readonly chainId: number;
}

export function planCommit(
  before: Head,
  context: CommitContext,
  commands: readonly Command[],
  nowMs: number,
  settings: PlanSettings,
): CommitPlan {
  const planning = new Planning(before, context, nowMs, settings);
  const results = commands.map((command) => planning.apply(command));
  return planning.finish(results);
}

const isClaimCommand = (command: Command): command is ClaimCommand => "claimId" in command;

/** Aggregates as they grow within one commit. Two keys may lead to one aggregate: the id it had before it was erased, and its hash. */
class Aggregates<State> {
  readonly #subjects: Map<string, string>;
  readonly #states: Map<string, State>;
  readonly #changed = new Set<string>();

  constructor(states: ReadonlyMap<string, State>, subjectOf: (state: State) => string) {
    this.#subjects = new Map([...states].map(([key, state]) => [key, subjectOf(state)]));
    this.#states = new Map([...states.values()].map((state) => [subjectOf(state), state]));
  }

  bySubject(subject: string): State | undefined {
    return this.#states.get(subject);
  }

  get(key: string): State | undefined {
    const subject = this.#subjects.get(key);
    return subject === undefined ? undefined : this.#states.get(subject);
  }

  set(key: string, subject: string, state: State): void {
    this.#subjects.set(key, subject);
    this.#states.set(subject, state);
    this.#changed.add(subject);
  }

  changed(): readonly State[] {
    return [...this.#changed].map((subject) => this.#states.get(subject)).filter((state) => state !== undefined);
  }
}

/** The states as they grow within one commit; lives for one call of `planCommit`. */
class Planning {
  readonly #before: Head;
  readonly #nowMs: number;
  readonly #nowIso: string;
  readonly #settings: PlanSettings;
  readonly #destinations: readonly EventDestination[];
  readonly #requests: Aggregates<RequestState>;
  readonly #claims: Aggregates<ClaimState>;
  readonly #entries: PlannedEntry[] = [];
  readonly #payloads: PlannedPayload[] = [];
  readonly #payloadKeys: PlannedPayloadKey[] = [];
  readonly #erasures: PlannedErasure[] = [];
  readonly #outbox: PlannedOutboxRow[] = [];
  readonly #settlements: Map<string, readonly SettlementState[]>;
  readonly #moved = new Set<string>();
  readonly #drives = new Map<string, PlannedDrive>();
  readonly #recorded: Set<string>;
  readonly #operatorActions: OperatorActionRow[] = [];
  #head: Head;

  constructor(before: Head, context: CommitContext, nowMs: number, settings: PlanSettings) {
    this.#before = before;
    this.#head = before;
    this.#nowMs = nowMs;
    this.#nowIso = new Date(nowMs).toISOString();
    this.#settings = settings;
    this.#destinations = context.destinations;
    this.#requests = new Aggregates(context.requests, ({ requestIdHash }) => requestIdHash);
    this.#claims = new Aggregates(context.claims, ({ claimIdHash }) => claimIdHash);
    this.#settlements = new Map(context.settlements);
    this.#recorded = new Set(context.operatorActions);
  }

  apply(command: Command): CommandResult {
    if (isSettlementCommand(command)) return this.#applySettlement(command);
    if (command.type === "RecordOperatorAction") return this.#recordOperatorAction(command);
    return isClaimCommand(command) ? this.#applyClaim(command) : this.#applyRequest(command);
  }

  finish(results: readonly CommandResult[]): CommitPlan {
    const settlements = [...this.#settlements.values()].flat().filter(({ refId }) => this.#moved.has(refId));
    return {
      before: this.#before,
      head: this.#entries.length === 0 ? this.#before : { ...this.#head, version: this.#before.version + 1 },
      nowMs: this.#nowMs,
      results,
      changes: this.#entries.length > 0,
      entries: this.#entries,
      requests: this.#requests.changed(),
      claims: this.#claims.changed(),
      payloads: this.#payloads,
      payloadKeys: this.#payloadKeys,
      erasures: this.#erasures,
      outbox: this.#outbox,
      settlements,
      drives: [...this.#drives.values()],
      undriven: settlements.filter((one) => !isUnderWay(one)).map(({ refId }) => refId),
      operatorActions: this.#operatorActions,
    };
  }

  #recordOperatorAction(command: RecordOperatorAction): CommandResult {
    const { subject, action, actor, reason, details, salt } = command;
    const state = { kind: "operator-action", subject } as const;
    const outcome = decideOperatorAction(this.#recorded.has(subject), command);
    if (outcome.type === "unchanged") return { type: "unchanged", state, entry: undefined };
    const entry = this.#append(operatorActionDraft(command), outcome.commandId, 0);
    this.#recorded.add(subject);
    this.#operatorActions.push({ subject, seq: entry.encoded.entry.seq, action, actor, reason, details, salt });
    return { type: "committed", state, entry: positionOf(entry) };
  }

  #applyRequest(command: RequestCommand): CommandResult {
    const key = aggregateKey(command.tenantId, command.requestId);
    let state = this.#requests.get(key);
    const predecessorKey =
      command.type === "SubmitRequest" && command.corrects !== undefined
        ? aggregateKey(command.tenantId, command.corrects.requestId)
        : undefined;
    const predecessor = predecessorKey === undefined ? undefined : this.#requests.get(predecessorKey);
    const outcome = decideRequest(
      state,
      command,
      predecessor && predecessorOf(predecessor, this.#settlementsOf(predecessor.requestIdHash)),
    );
    if (outcome.type === "rejected") return outcome;
    let first: PlannedEntry | undefined;
    if (outcome.type === "accepted") {
      const { commandId, events, predecessorEvents = [] } = outcome;
      for (const [index, event] of events.entries()) {
        const entry = this.#append(requestDraft(state, event), commandId, index);
        first ??= entry;
        state = evolveRequest(state, event, entry.encoded.entry.seq);
        this.#publish(state, event, entry, index, command.correlationId);
      }
      if (state === undefined) throw new Error("an accepted command has events");
      this.#requests.set(key, state.requestIdHash, state);
      this.#keepRequestPayload(state, command);
      if (command.type === "AdjudicateRequest") this.#settleApproved(state, command, commandId, events.length);
      if (predecessor !== undefined && predecessorKey !== undefined) {
        let corrected = predecessor;
        for (const [index, event] of predecessorEvents.entries()) {
          const entry = this.#append(requestDraft(corrected, event), commandId, events.length + index);
          corrected = evolveRequest(corrected, event, entry.encoded.entry.seq);
        }
        this.#requests.set(predecessorKey, corrected.requestIdHash, corrected);
      }
    }
    if (state === undefined) throw new Error("an unchanged request exists");
    return {
      type: outcome.type === "accepted" ? "committed" : "unchanged",
      state: { kind: "request", request: state },
      entry: positionOf(first),
    };
  }

  #applyClaim(command: ClaimCommand): CommandResult {
    const key = aggregateKey(command.tenantId, command.claimId);
    let state = this.#claims.get(key);
    const outcome = decideClaim(state, command);
    if (outcome.type === "rejected") return outcome;
    let entry: PlannedEntry | undefined;
    if (outcome.type === "accepted") {
      for (const [index, event] of outcome.events.entries()) {
        entry = this.#append(claimDraft(state, event), outcome.commandId, index);
        state = evolveClaim(state, event, entry.encoded.entry.seq);
      }
      if (state === undefined) throw new Error("an accepted command has events");
      this.#claims.set(key, state.claimIdHash, state);
      const kept = { subjectSeq: state.createdSeq, subject: state.claimIdHash };
      if (command.type === "CreateClaim") {
        this.#payloads.push({ ...kept, part: "payload", ciphertext: command.payload });
        this.#payloadKeys.push({ ...kept, wrappedKey: command.wrappedKey });
      }
      if (command.type === "EraseClaim") this.#erasures.push({ ...kept, lookup: command.lookup });
    }
    if (state === undefined) throw new Error("an unchanged claim exists");
    return {
      type: outcome.type === "accepted" ? "committed" : "unchanged",
      state: { kind: "claim", claim: state },
      entry: positionOf(entry),
    };
  }

  #applySettlement(command: SettlementCommand): CommandResult {
    const account = this.#accountOf(command);
    const outcome = decideSettlement(account, command);
    if (outcome.type === "rejected") return outcome;
    let first: PlannedEntry | undefined;
    if (outcome.type === "accepted") {
      for (const [index, event] of outcome.events.entries()) {
        const entry = this.#recordSettlement(account, event, outcome.commandId, index, command.correlationId);
        first ??= entry;
      }
    }
    return {
      type: outcome.type === "accepted" ? "committed" : "unchanged",
      state: this.#settledState(command),
      entry: positionOf(first),
    };
  }

  #settledState(command: SettlementCommand): Extract<CommandResult, { type: "committed" | "unchanged" }>["state"] {
    const { claim, settlements } = this.#accountOf(command);
    if (command.type === "SettleClaim") {
      if (claim === undefined) throw new Error("a settled claim exists");
      return { kind: "claim", claim };
    }
    const refId = command.type === "CreateSettlement" ? command.settlement.refId : command.refId;
    const settlement = settlements.find((one) => one.refId === refId);
    if (settlement === undefined) throw new Error("an unchanged settlement exists");
    return { kind: "settlement", settlement };
  }

  #settlementsOf(subject: string): readonly SettlementState[] {
    return this.#settlements.get(subject) ?? [];
  }

  #accountOf(command: SettlementCommand): Account {
    const { tenantId } = command;
    if (command.type === "SettleClaim") {
      const claim = this.#claims.get(aggregateKey(tenantId, command.claimId));
      return { claim, request: undefined, settlements: claim ? this.#settlementsOf(claim.claimIdHash) : [] };
    }
    const { subject, subjectKind } = command;
    const claim = subjectKind === "claim" ? this.#claims.bySubject(subject) : undefined;
    const request = subjectKind === "request" ? this.#requests.bySubject(subject) : undefined;
    const isTheirs = (claim ?? request)?.tenantId === tenantId;
    return isTheirs
      ? { claim, request, settlements: this.#settlementsOf(subject) }
      : { claim: undefined, request: undefined, settlements: [] };
  }

  /** An approval whose settlement can not be is an approval all the same. */
  #settleApproved(request: RequestState, command: AdjudicateRequest, commandId: string, index: number): void {
    const { settlement, actor, correlationId } = command;
    if (settlement === undefined || command.decision !== "APPROVED") return;
    const account: Account = {
      claim: undefined,
      request,
      settlements: this.#settlementsOf(request.requestIdHash),
    };
    const { tenantId, requestIdHash: subject } = request;
    const create = { type: "CreateSettlement", tenantId, subjectKind: "request", subject } as const;
    const outcome = decideSettlement(account, { ...create, settlement, actor, correlationId });
    if (outcome.type !== "accepted") return;
    const event: SettlementEvent = { type: "SETTLEMENT_CREATED", settlement, actor, byApproval: true };
    this.#recordSettlement(account, event, commandId, index, correlationId);
  }

  #recordSettlement(
    { claim, request }: Account,
    event: SettlementEvent,
    commandId: string,
    index: number,
    correlationId: string,
  ): PlannedEntry {
    const of = claim ?? request;
    if (of === undefined) throw new Error("a settlement has a subject");
    const subject = "claimIdHash" in of ? of.claimIdHash : of.requestIdHash;
    const subjectKind = "claimIdHash" in of ? "claim" : "request";
    const { tenantId } = of;
    const entry = this.#append(settlementDraft(subject, event), commandId, index);
    const { seq, at } = entry.encoded.entry;
    const settlements = evolveSettlements(
      this.#settlementsOf(subject),
      event,
      { tenantId, subject, subjectKind },
      seq,
      Date.parse(at),
    );
    this.#settlements.set(subject, settlements);
    if (claim !== undefined)
      this.#claims.set(aggregateKey(tenantId, claim.claimId), subject, withSettlements(claim, settlements));
    const refId = refIdOf(event);
    this.#moved.add(refId);
    const isDriven = event.type === "SETTLEMENT_CREATED" || event.type === "SETTLEMENT_REPLAYED";
    if (isDriven) this.#drives.set(refId, { refId, tenantId, correlationId });
    const settlement = settlements.find((one) => one.refId === refId);
    const news = settlement && settlementNews(settlement, event);
    if (news !== undefined) {
      const about = { tenantId, subject, insurerAddress: request?.insurerAddress };
      this.#tell(about, news.eventType, news.data, entry, index, correlationId);
    }
    return entry;
  }

  #append(draft: Draft, commandId: string, commandIndex: number): PlannedEntry {
    const linked = linkEntry(this.#head, draft, this.#nowIso);
    this.#head = linked.head;
    const entry = { encoded: linked.encoded, commandId, commandIndex };
    this.#entries.push(entry);
    return entry;
  }

  #keepRequestPayload(state: RequestState, command: RequestCommand): void {
    const kept = { subjectSeq: state.submittedSeq, subject: state.requestIdHash };
    switch (command.type) {
      case "SubmitRequest":
        this.#payloads.push({ ...kept, part: "payload", ciphertext: command.payload });
        this.#payloadKeys.push({ ...kept, wrappedKey: command.wrappedKey });
        return;
      case "AcknowledgeRequest":
        if (command.notes !== undefined) this.#payloads.push({ ...kept, part: "ack", ciphertext: command.notes });
        return;
      case "AdjudicateRequest":
        if (command.notes !== undefined) {
          this.#payloads.push({ ...kept, part: `adj:${state.round - 1}`, ciphertext: command.notes });
        }
        return;
      case "EraseRequest":
        this.#erasures.push({ ...kept, lookup: command.lookup });
    }
  }

  #publish(state: RequestState, event: RequestEvent, entry: PlannedEntry, index: number, correlationId: string): void {
    if (!isPublished(event)) return;
    const { tenantId, requestIdHash: subject, insurerAddress } = state;
    const about = { tenantId, subject, insurerAddress };
    this.#tell(about, event.type, eventData(state, event), entry, index, correlationId);
  }

  /** @param about insurerAddress undefined: no insurer is concerned. */
  #tell(
    about: { readonly tenantId: string; readonly subject: string; readonly insurerAddress: string | undefined },
    eventType: EventType,
    data: EventData,
    entry: PlannedEntry,
    index: number,
    correlationId: string,
  ): void {
    const { hashHex, entry: ledgerEntry } = entry.encoded;
    for (const destination of this.#destinations) {
      if (destination.tenantId !== about.tenantId || !destination.eventTypes.includes(eventType)) continue;
      if (destination.kind === "INSURER" && !sameAddress(destination.insurerAddress, about.insurerAddress)) continue;
      const eventId = eventIdOf(this.#settings.chainId, hashHex, index, destination.kind);
      const body = webhookBody(
        {
          eventId,
          eventType,
          requestIdHash: about.subject,
          occurredAt: Math.floor(Date.parse(ledgerEntry.at) / 1000),
          data,
          ledger: { id: this.#settings.ledgerId, seq: ledgerEntry.seq, entryHash: hashHex },
        },
        undefined,
      );
      this.#outbox.push({
        eventId,
        eventType,
        seq: ledgerEntry.seq,
        subject: about.subject,
        tenantId: about.tenantId,
        destinationId: destination.destinationId,
        state: destination.deliverAfter === "anchor" ? "waiting" : "due",
        body,
        correlationId,
      });
    }
  }
}

export const sameAddress = (a: string | undefined, b: string | undefined): boolean =>
  a?.toLowerCase() === b?.toLowerCase();

type PublishedEvent = Extract<RequestEvent, { type: RequestEventType }>;

/** Receivers answer 400 to a type they do not know, so corrections and erasures go to none, whatever it asked for. */
const isPublished = (event: RequestEvent): event is PublishedEvent =>
  REQUEST_EVENT_TYPES.some((type) => type === event.type);

const predecessorOf = (
  { requestIdHash, supersededBy }: RequestState,
  settlements: readonly SettlementState[],
): Predecessor => ({ requestIdHash, supersededBy, settled: isSettled(settlements) });

const positionOf = (entry: PlannedEntry | undefined) =>
  entry === undefined ? undefined : { seq: entry.encoded.entry.seq, entryHash: entry.encoded.hashHex };

function requestDraft(state: RequestState | undefined, event: RequestEvent): Draft {
  if (event.type === "REQUEST_SUBMITTED") {
    const { command } = event;
    return {
      type: event.type,
      subject: command.requestIdHash,
      commitment: command.payloadHash,
      data: {
        tenant: command.tenantId,
        submitter: command.submitter,
        insurer: command.insurerAddress,
        requestType: command.requestType,
        ...(event.corrects === undefined ? {} : { corrects: event.corrects }),
        ...ticketOf(command.corrects?.incidentTicket),
      },
    };
  }
  if (state === undefined) throw new Error(`${event.type} without a request`);
  switch (event.type) {
    case "REQUEST_ACKNOWLEDGED":
      return {
        type: event.type,
        subject: state.requestIdHash,
        data: { actor: event.actor, insurer: state.insurerAddress },
      };
    case "REQUEST_ADJUDICATED":
      return {
        type: event.type,
        subject: state.requestIdHash,
        data: {
          actor: event.actor,
          insurer: state.insurerAddress,
          decision: event.decision,
          decisionHash: event.decisionHash,
          round: event.round,
        },
      };
    case "REQUEST_CORRECTED":
      return {
        type: event.type,
        subject: state.requestIdHash,
        data: { actor: event.actor, supersededBy: event.successor, ...ticketOf(event.incidentTicket) },
      };
    case "ERASED":
      return {
        type: event.type,
        subject: state.requestIdHash,
        data: { actor: event.actor, reason: event.reason },
      };
  }
}

const ticketOf = (incidentTicket: string | undefined): EntryData =>
  incidentTicket === undefined ? {} : { incidentTicket };

function claimDraft(state: ClaimState | undefined, event: ClaimEvent): Draft {
  if (event.type === "CLAIM_CREATED") {
    const { command } = event;
    return {
      type: event.type,
      subject: command.claimIdHash,
      commitment: command.payloadHash,
      data: { tenant: command.tenantId, submitter: command.submitter },
    };
  }
  if (state === undefined) throw new Error(`${event.type} without a claim`);
  const data = event.type === "ERASED" ? { actor: event.actor, reason: event.reason } : { actor: event.actor };
  return { type: event.type, subject: state.claimIdHash, data };
}

function eventData(state: RequestState, event: PublishedEvent): EventData {
  switch (event.type) {
    case "REQUEST_SUBMITTED":
      return {
        payloadHash: state.payloadHash,
        submitter: state.submitter,
        insurer: state.insurerAddress,
        requestType: state.requestType,
      };
    case "REQUEST_ACKNOWLEDGED":
      return { insurer: state.insurerAddress };
    case "REQUEST_ADJUDICATED":
      return { insurer: state.insurerAddress, decisionHash: event.decisionHash, decision: event.decision };
  }
}
