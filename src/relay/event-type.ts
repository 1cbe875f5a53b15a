/** What destinations are called back about. */

/** Of every destination that asks for nothing else: receivers answer 400 to a type they do not know. */
export const REQUEST_EVENT_TYPES = ["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED", "REQUEST_ADJUDICATED"] as const;
export type RequestEventType = (typeof REQUEST_EVENT_TYPES)[number];

/** What became of money; only for destinations that ask for them by name. */
export const SETTLEMENT_EVENT_TYPES = ["SETTLEMENT_COMPLETED", "SETTLEMENT_REJECTED", "SETTLEMENT_FAILED"] as const;
export type SettlementEventType = (typeof SETTLEMENT_EVENT_TYPES)[number];

export const EVENT_TYPES = [...REQUEST_EVENT_TYPES, ...SETTLEMENT_EVENT_TYPES] as const;
export type EventType = (typeof EVENT_TYPES)[number];
