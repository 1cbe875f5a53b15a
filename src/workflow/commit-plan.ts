/**
 * Planning a commit: every waiting command is decided in order on the states the ones before it leave behind, its events
 * become linked entries, projections and outbox rows. Pure: the store writes what is planned here, as it is.
 */
import { type Draft, linkEntry } from "../ledger/chain.ts";
import type { EncodedEntry } from "../ledger/entry.ts";
import type { Head } from "../ledger/head.ts";
import type { Plan } from "../ledger/sequencer.ts";
import type { SealedValue } from "../platform/keyring.ts";
import { type EventData, eventIdOf, webhookBody } from "../relay/events.ts";
import type { DestinationKind, EventType } from "../relay/port.ts";
import { type ClaimCommand, type ClaimEvent, type ClaimState, decideClaim, evolveClaim } from "./claim.ts";
import {
  decideRequest,
  evolveRequest,
  type Rejection,
  type RequestCommand,
  type RequestEvent,
  type RequestState,
  type StoredCiphertext,
} from "./request.ts";

export type Command = RequestCommand | ClaimCommand;

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
  /** By `aggregateKey`. */
  readonly requests: ReadonlyMap<string, RequestState>;
  readonly claims: ReadonlyMap<string, ClaimState>;
  readonly destinations: readonly EventDestination[];
}

export const aggregateKey = (tenantId: string, id: string): string => `${tenantId}\n${id}`;

export interface PlannedEntry {
  readonly encoded: EncodedEntry;
  readonly commandId: string;
  readonly commandIndex: number;
}

export interface PlannedPayload {
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

export type CommandResult =
  | {
      readonly type: "committed" | "unchanged";
      /** The aggregate after the command. */
      readonly state:
        | { readonly kind: "request"; readonly request: RequestState }
        | { readonly kind: "claim"; readonly claim: ClaimState };
      /** Of the entry this command appended; undefined when it changed nothing. */
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
  readonly payloadKeys: readonly { readonly subject: string; readonly wrappedKey: SealedValue }[];
  readonly outbox: readonly PlannedOutboxRow[];
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

const isClaimCommand = (command: Command): command is ClaimCommand =>
  command.type === "CreateClaim" || command.type === "FinalizeClaim" || command.type === "SettleClaim";

/** The states as they grow within one commit; lives for one call of `planCommit`. */
class Planning {
  readonly #before: Head;
  readonly #nowMs: number;
  readonly #nowIso: string;
  readonly #settings: PlanSettings;
  readonly #destinations: readonly EventDestination[];
  readonly #requests: Map<string, RequestState>;
  readonly #claims: Map<string, ClaimState>;
  readonly #changedRequests = new Set<string>();
  readonly #changedClaims = new Set<string>();
  readonly #entries: PlannedEntry[] = [];
  readonly #payloads: PlannedPayload[] = [];
  readonly #payloadKeys: { subject: string; wrappedKey: SealedValue }[] = [];
  readonly #outbox: PlannedOutboxRow[] = [];
  #head: Head;

  constructor(before: Head, context: CommitContext, nowMs: number, settings: PlanSettings) {
    this.#before = before;
    this.#head = before;
    this.#nowMs = nowMs;
    this.#nowIso = new Date(nowMs).toISOString();
    this.#settings = settings;
    this.#destinations = context.destinations;
    this.#requests = new Map(context.requests);
    this.#claims = new Map(context.claims);
  }

  apply(command: Command): CommandResult {
    return isClaimCommand(command) ? this.#applyClaim(command) : this.#applyRequest(command);
  }

  finish(results: readonly CommandResult[]): CommitPlan {
    return {
      before: this.#before,
      head: this.#entries.length === 0 ? this.#before : { ...this.#head, version: this.#before.version + 1 },
      nowMs: this.#nowMs,
      results,
      changes: this.#entries.length > 0,
      entries: this.#entries,
      requests: valuesAt(this.#requests, this.#changedRequests),
      claims: valuesAt(this.#claims, this.#changedClaims),
      payloads: this.#payloads,
      payloadKeys: this.#payloadKeys,
      outbox: this.#outbox,
    };
  }

  #applyRequest(command: RequestCommand): CommandResult {
    const key = aggregateKey(command.tenantId, command.requestId);
    let state = this.#requests.get(key);
    const outcome = decideRequest(state, command);
    if (outcome.type === "rejected") return outcome;
    let entry: PlannedEntry | undefined;
    if (outcome.type === "accepted") {
      for (const [index, event] of outcome.events.entries()) {
        entry = this.#append(requestDraft(state, event), outcome.commandId, index);
        state = evolveRequest(state, event, entry.encoded.entry.seq);
        this.#publish(state, event, entry, index, command.correlationId);
      }
      if (state === undefined) throw new Error("an accepted command has events");
      this.#requests.set(key, state);
      this.#changedRequests.add(key);
      this.#keepRequestPayload(state, command);
    }
    if (state === undefined) throw new Error("an unchanged request exists");
    return {
      type: outcome.type === "accepted" ? "committed" : "unchanged",
      state: { kind: "request", request: state },
      entry: positionOf(entry),
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
      this.#claims.set(key, state);
      this.#changedClaims.add(key);
      if (command.type === "CreateClaim") {
        this.#payloads.push({ subject: command.claimIdHash, part: "payload", ciphertext: command.payload });
        this.#payloadKeys.push({ subject: command.claimIdHash, wrappedKey: command.wrappedKey });
      }
    }
    if (state === undefined) throw new Error("an unchanged claim exists");
    return {
      type: outcome.type === "accepted" ? "committed" : "unchanged",
      state: { kind: "claim", claim: state },
      entry: positionOf(entry),
    };
  }

  #append(draft: Draft, commandId: string, commandIndex: number): PlannedEntry {
    const linked = linkEntry(this.#head, draft, this.#nowIso);
    this.#head = linked.head;
    const entry = { encoded: linked.encoded, commandId, commandIndex };
    this.#entries.push(entry);
    return entry;
  }

  #keepRequestPayload(state: RequestState, command: RequestCommand): void {
    const subject = state.requestIdHash;
    switch (command.type) {
      case "SubmitRequest":
        this.#payloads.push({ subject, part: "payload", ciphertext: command.payload });
        this.#payloadKeys.push({ subject, wrappedKey: command.wrappedKey });
        return;
      case "AcknowledgeRequest":
        if (command.notes !== undefined) this.#payloads.push({ subject, part: "ack", ciphertext: command.notes });
        return;
      case "AdjudicateRequest":
        if (command.notes !== undefined) {
          this.#payloads.push({ subject, part: `adj:${state.round - 1}`, ciphertext: command.notes });
        }
    }
  }

  #publish(state: RequestState, event: RequestEvent, entry: PlannedEntry, index: number, correlationId: string): void {
    const { hashHex, entry: ledgerEntry } = entry.encoded;
    for (const destination of this.#destinations) {
      if (destination.tenantId !== state.tenantId || !destination.eventTypes.includes(event.type)) continue;
      if (destination.kind === "INSURER" && !sameAddress(destination.insurerAddress, state.insurerAddress)) continue;
      const eventId = eventIdOf(this.#settings.chainId, hashHex, index, destination.kind);
      const body = webhookBody(
        {
          eventId,
          eventType: event.type,
          requestIdHash: state.requestIdHash,
          occurredAt: Math.floor(Date.parse(ledgerEntry.at) / 1000),
          data: eventData(state, event),
          ledger: { id: this.#settings.ledgerId, seq: ledgerEntry.seq, entryHash: hashHex },
        },
        undefined,
      );
      this.#outbox.push({
        eventId,
        eventType: event.type,
        seq: ledgerEntry.seq,
        subject: state.requestIdHash,
        tenantId: state.tenantId,
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

function valuesAt<Value>(values: ReadonlyMap<string, Value>, keys: ReadonlySet<string>): readonly Value[] {
  return [...keys].map((key) => values.get(key)).filter((value) => value !== undefined);
}

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
  }
}

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
  return { type: event.type, subject: state.claimIdHash, data: { actor: event.actor } };
}

function eventData(state: RequestState, event: RequestEvent): EventData {
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
