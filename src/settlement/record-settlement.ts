/** How a settlement's events stand in the ledger, and what destinations are told of them. Neither has an amount. */
import type { Draft } from "../ledger/chain.ts";
import type { SettlementEventType } from "../relay/event-type.ts";
import type { SettlementEventData } from "../relay/events.ts";
import type { SettlementEvent, SettlementState } from "./settlement.ts";

/** @param subject claimIdHash or requestIdHash. */
export function settlementDraft(subject: string, event: SettlementEvent): Draft {
  const { type, actor } = event;
  switch (type) {
    case "SETTLEMENT_CREATED": {
      const { refId, type: settlementType, reverses, commitment } = event.settlement;
      return {
        type,
        subject,
        commitment,
        data: {
          actor,
          refId,
          settlementType,
          ...(reverses === null ? {} : { reverses }),
          ...(event.byApproval ? { byApproval: true } : {}),
        },
      };
    }
    case "SETTLEMENT_STARTED":
    case "SETTLEMENT_REPLAYED":
      return { type, subject, data: { actor, refId: event.refId } };
    case "CLAIM_SETTLED":
    case "SETTLEMENT_REVERSED":
    case "SETTLEMENT_ADJUSTED": {
      const { refId, operatorTransactionId, reason } = event;
      return {
        type,
        subject,
        data: {
          actor,
          refId,
          ...(operatorTransactionId === undefined ? {} : { operatorTransactionId }),
          ...(reason === undefined ? {} : { reason }),
        },
      };
    }
    case "SETTLEMENT_REJECTED":
    case "SETTLEMENT_FAILED":
      return { type, subject, data: { actor, refId: event.refId, reason: event.reason } };
  }
}

/** @param state after the event. @returns undefined where there is nothing to tell: only outcomes are. */
export function settlementNews(
  state: SettlementState,
  event: SettlementEvent,
): { readonly eventType: SettlementEventType; readonly data: SettlementEventData } | undefined {
  const { refId, type, reverses, reason, operatorTransactionId } = state;
  const data: SettlementEventData = {
    refId,
    settlementType: type,
    ...(reverses === null ? {} : { reverses }),
    ...(reason === undefined ? {} : { reason }),
    ...(operatorTransactionId === undefined ? {} : { operatorTransactionId }),
  };
  switch (event.type) {
    case "SETTLEMENT_CREATED":
    case "SETTLEMENT_STARTED":
    case "SETTLEMENT_REPLAYED":
      return undefined;
    case "CLAIM_SETTLED":
    case "SETTLEMENT_REVERSED":
    case "SETTLEMENT_ADJUSTED":
      return { eventType: "SETTLEMENT_COMPLETED", data };
    case "SETTLEMENT_REJECTED":
    case "SETTLEMENT_FAILED":
      return { eventType: event.type, data };
  }
}
