/**
 * A claim made directly through /claims: CREATED -> FINALIZED, and from there as its settlements go (`withSettlements`):
 * SETTLEMENT_PENDING while a payment is under way, SETTLED once one is confirmed and not reversed.
 */
import type { SealedValue } from "../platform/keyring.ts";
import { ERASED_MONEY, type ErasureReason } from "./erasure.ts";
import type { Outcome, StoredCiphertext } from "./request.ts";

export type ClaimStatus = "CREATED" | "FINALIZED" | "SETTLEMENT_PENDING" | "SETTLED";

export interface ClaimState {
  readonly tenantId: string;
  readonly claimId: string;
  readonly claimIdHash: string;
  readonly submitter: string;
  readonly payloadHash: string;
  readonly status: ClaimStatus;
  readonly createdSeq: number;
  readonly finalizedSeq: number | undefined;
  /** Of the newest payment that was asked for. */
  readonly settlementSeq: number | undefined;
  readonly amountMinor: number;
  readonly currency: string;
  readonly erasedSeq: number | undefined;
}

export interface CreateClaim {
  readonly type: "CreateClaim";
  readonly tenantId: string;
  readonly claimId: string;
  /** Keyed hash of the id: what finds an erased claim, and what stands for the id where nothing can be erased. */
  readonly lookup: string;
  readonly claimIdHash: string;
  readonly submitter: string;
  readonly payloadHash: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly payload: StoredCiphertext;
  readonly wrappedKey: SealedValue;
  readonly correlationId: string;
}

export interface FinalizeClaim {
  readonly type: "FinalizeClaim";
  readonly tenantId: string;
  readonly claimId: string;
  readonly lookup?: string | undefined;
  readonly actor: string;
  readonly correlationId: string;
}

export interface EraseClaim {
  readonly type: "EraseClaim";
  readonly tenantId: string;
  readonly claimId: string;
  readonly lookup: string;
  readonly actor: string;
  readonly reason: ErasureReason;
  readonly correlationId: string;
}

export type ClaimCommand = CreateClaim | FinalizeClaim | EraseClaim;

export type ClaimEvent =
  | { readonly type: "CLAIM_CREATED"; readonly command: CreateClaim }
  | { readonly type: "CLAIM_FINALIZED"; readonly actor: string }
  | { readonly type: "ERASED"; readonly actor: string; readonly reason: ErasureReason };

/** @param state undefined when no claim of that id exists in the tenant. */
export function decideClaim(state: ClaimState | undefined, command: ClaimCommand): Outcome<ClaimEvent> {
  if (command.type === "CreateClaim") {
    if (state !== undefined) return { type: "unchanged" };
    return {
      type: "accepted",
      commandId: `claim:${command.tenantId}:${command.lookup}`,
      events: [{ type: "CLAIM_CREATED", command }],
    };
  }
  if (state === undefined) return { type: "rejected", rejection: { code: "not_found" } };
  if (command.type === "EraseClaim") {
    if (state.erasedSeq !== undefined) return { type: "unchanged" };
    return {
      type: "accepted",
      commandId: `erase:${state.claimIdHash}`,
      events: [{ type: "ERASED", actor: command.actor, reason: command.reason }],
    };
  }
  // There is no amount left to settle.
  if (state.erasedSeq !== undefined) return { type: "rejected", rejection: { code: "erased" } };
  if (state.status !== "CREATED") return { type: "unchanged" };
  return {
    type: "accepted",
    commandId: `finalize:${state.claimIdHash}`,
    events: [{ type: "CLAIM_FINALIZED", actor: command.actor }],
  };
}

/** @throws Error for an event that can not follow the state; `decideClaim` makes none. */
export function evolveClaim(state: ClaimState | undefined, event: ClaimEvent, seq: number): ClaimState {
  if (event.type === "CLAIM_CREATED") {
    const { command } = event;
    return {
      tenantId: command.tenantId,
      claimId: command.claimId,
      claimIdHash: command.claimIdHash,
      submitter: command.submitter,
      payloadHash: command.payloadHash,
      status: "CREATED",
      createdSeq: seq,
      finalizedSeq: undefined,
      settlementSeq: undefined,
      amountMinor: command.amountMinor,
      currency: command.currency,
      erasedSeq: undefined,
    };
  }
  if (state === undefined) throw new Error(`${event.type} without a claim`);
  switch (event.type) {
    case "CLAIM_FINALIZED":
      return { ...state, status: "FINALIZED", finalizedSeq: seq };
    case "ERASED":
      return { ...state, ...ERASED_MONEY, claimId: state.claimIdHash, erasedSeq: seq };
  }
}
