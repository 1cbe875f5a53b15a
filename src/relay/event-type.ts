/** What destinations are called back about. */
export const EVENT_TYPES = ["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED", "REQUEST_ADJUDICATED"] as const;
export type EventType = (typeof EVENT_TYPES)[number];
