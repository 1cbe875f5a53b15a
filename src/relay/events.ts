/** Webhook events as receivers see them. A body is made once, when its row first becomes due, and never again. */
import type { EventType } from "./event-type.ts";
import type { DestinationKind } from "./port.ts";

export interface ChainFields {
  readonly chainId: number;
  readonly contractAddress: string;
  readonly blockNumber: number;
  readonly blockHash: string;
  readonly txHash: string;
  readonly logIndex: number;
}

export type EventData =
  | {
      readonly payloadHash: string;
      readonly submitter: string;
      readonly insurer: string;
      readonly requestType: "CLAIM" | "PREAUTH";
    }
  | { readonly insurer: string }
  | {
      readonly insurer: string;
      readonly decisionHash: string;
      readonly decision: "APPROVED" | "DENIED" | "NEEDS_INFO";
    }
  | SettlementEventData;

/** Of a settlement event: never an amount. */
export interface SettlementEventData {
  readonly refId: string;
  readonly settlementType: "payment" | "reversal" | "adjustment";
  readonly reverses?: string;
  readonly reason?: string;
  readonly operatorTransactionId?: string;
}

export interface WebhookEvent {
  readonly eventId: string;
  readonly eventType: EventType;
  /** Of a settlement of a direct claim: its claimIdHash. */
  readonly requestIdHash: string;
  /** Epoch seconds. */
  readonly occurredAt: number;
  readonly data: EventData;
  readonly ledger: { readonly id: string; readonly seq: number; readonly entryHash: string };
}

/** `<chainId>:<0x entryHash>:<index in entry>:<destination kind>`: the same on every attempt, forever. */
export function eventIdOf(chainId: number, entryHash: string, indexInEntry: number, kind: DestinationKind): string {
  return `${chainId}:0x${entryHash}:${indexInEntry}:${kind}`;
}

/** @param chain undefined while the event is not anchored: its fields are null then. */
export function webhookBody(event: WebhookEvent, chain: ChainFields | undefined): string {
  return JSON.stringify({
    eventId: event.eventId,
    eventType: event.eventType,
    chainId: chain?.chainId ?? null,
    contractAddress: chain?.contractAddress ?? null,
    blockNumber: chain?.blockNumber ?? null,
    blockHash: chain?.blockHash ?? null,
    txHash: chain?.txHash ?? null,
    logIndex: chain?.logIndex ?? null,
    requestIdHash: event.requestIdHash,
    occurredAt: event.occurredAt,
    data: event.data,
    ledger: event.ledger,
  });
}
