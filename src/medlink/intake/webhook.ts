/** Reading a webhook of the relay: its headers, its signature, its body. */
import * as z from "zod";
import { signRelayBody } from "../../platform/signature.ts";
import { timingSafeEqual } from "../../platform/timing-safe.ts";
import { REQUEST_EVENT_TYPES, type RequestEventType } from "../../relay/event-type.ts";
import type { ClaimStatus } from "../claims/claim.ts";
import { statusOfEvent } from "../claims/claim-state.ts";

export interface WebhookHeaders {
  readonly idempotencyKey: string | undefined;
  readonly eventId: string | undefined;
  readonly eventType: string | undefined;
  readonly timestamp: string | undefined;
  readonly signature: string | undefined;
}

/** The signature is ours, over this body, and made at most `toleranceMs` ago or ahead. */
export function isAuthentic(
  headers: Pick<WebhookHeaders, "timestamp" | "signature">,
  body: string,
  secrets: readonly string[],
  now: number,
  toleranceMs: number,
): boolean {
  const { timestamp, signature } = headers;
  if (timestamp === undefined || signature === undefined || !/^\d{1,15}$/.test(timestamp)) return false;
  const timestampMs = Number(timestamp);
  if (Math.abs(now - timestampMs) > toleranceMs || String(timestampMs) !== timestamp) return false;
  return secrets.some((secret) => timingSafeEqual(signRelayBody(timestampMs, body, secret), signature));
}

const bodySchema = z.object({
  eventId: z.string().min(1).max(300),
  eventType: z.enum(REQUEST_EVENT_TYPES),
  requestIdHash: z.string().regex(/^0x[0-9a-f]{64}$/),
  /** Epoch seconds. */
  occurredAt: z.number().int().nonnegative(),
  data: z.object({ decision: z.enum(["APPROVED", "DENIED", "NEEDS_INFO"]).optional() }),
  ledger: z
    .object({ id: z.string().max(64), seq: z.number().int().nonnegative(), entryHash: z.string().max(80) })
    .optional(),
});

export interface ReceivedEvent {
  readonly eventId: string;
  readonly eventType: RequestEventType;
  readonly requestIdHash: string;
  readonly occurredAt: number;
  readonly status: ClaimStatus;
  readonly ledger: { readonly id: string; readonly seq: number; readonly entryHash: string } | undefined;
}

export type ReadEvent =
  | { readonly ok: true; readonly event: ReceivedEvent }
  | { readonly ok: false; readonly reason: "not-json" | "bad-payload" | "unknown-type" | "id-mismatch" };

/** @param body authenticated already. */
export function readEvent(headers: WebhookHeaders, body: string): ReadEvent {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { ok: false, reason: "not-json" };
  }
  const parsed = bodySchema.safeParse(json);
  if (!parsed.success) {
    const unknownType = parsed.error.issues.some((issue) => issue.path[0] === "eventType");
    return { ok: false, reason: unknownType ? "unknown-type" : "bad-payload" };
  }
  const { data, ledger, ...event } = parsed.data;
  const ids = [headers.idempotencyKey, headers.eventId ?? event.eventId];
  if (ids.some((id) => id !== event.eventId) || (headers.eventType ?? event.eventType) !== event.eventType) {
    return { ok: false, reason: "id-mismatch" };
  }
  const status = statusOfEvent(event.eventType, data.decision);
  if (status === undefined) return { ok: false, reason: "bad-payload" };
  return { ok: true, event: { ...event, status, ledger } };
}
