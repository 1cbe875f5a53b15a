/**
 * Webhooks of the relay. One event is one batch: the claim's move and the timeline, which has the event's id, stand or fall
 * together, so a crash leaves nothing half done and parallel duplicates apply once.
 */
import { z } from "@hono/zod-openapi";
import { type ProblemCode, problemDocument, statusOf } from "../../platform/problem.ts";
import { isSubmitting } from "../auto-submit/jobs.store.ts";
import { DECIDE_AGAIN_LIMIT, isTaken, isVersionMoved } from "../batch.store.ts";
import { findBridgeRequestByHash } from "../bridge/bridge.store.ts";
import { applyLedgerEvent } from "../claims/claim-state.ts";
import { claimStateUpdate, findCalledBack, timelineInsert } from "../claims/claims.store.ts";
import { batchWithEvents } from "../claims/write-events.edge.ts";
import type { Hub } from "../hub.edge.ts";
import { type Answer, none, ok, openOperation, readText, refuse } from "../operation.edge.ts";
import { findErasedRequest } from "../retention/erasure.store.ts";
import { isAuthentic, type ReceivedEvent, readEvent, type WebhookHeaders } from "./webhook.ts";
import { isKnownEvent, webhookEventInsert } from "./webhook-events.store.ts";

const LOOK_AGAIN_AFTER_MS = [25, 50, 100, 200, 400] as const;
/** With the looks themselves less than the second after which the relay takes a receiver for slow. */
const LOOK_FOR_MS = 750;

const PROBLEM_OF = {
  "not-json": ["invalid_json", "The body is not JSON."],
  "bad-payload": ["invalid_body", "The body is no event of the relay."],
  "unknown-type": ["invalid_body", "This event type is not known here."],
  "id-mismatch": ["invalid_body", "The headers name another event than the body."],
} as const;

/** A problem document that also says `ok: false`, which senders in the field read. */
function refuseEvent(code: ProblemCode, detail: string, correlationId: string): Answer {
  return {
    type: "raw",
    response: Response.json(
      { ok: false, ...problemDocument({ code, detail }, correlationId) },
      { status: statusOf(code), headers: { "content-type": "application/problem+json" } },
    ),
  };
}

export const receiveWebhook = openOperation(
  {
    method: "post",
    path: "/api/itrans/webhooks/workflow",
    summary: "Take an event of the relay: signed, ordered, applied once",
    params: none,
    body: none,
    answers: {
      200: {
        description: "Applied, or known already",
        schema: z.union([
          z.object({ ok: z.literal(true), claimId: z.string(), eventType: z.string() }),
          z.object({ ok: z.literal(true), duplicate: z.literal(true) }),
        ]),
      },
    },
  },
  async ({ hub, request, correlationId }) => {
    const header = (name: string): string | undefined => request.headers.get(name) ?? undefined;
    const headers: WebhookHeaders = {
      idempotencyKey: header("idempotency-key"),
      eventId: header("x-itrans-relay-event-id"),
      eventType: header("x-itrans-relay-event-type"),
      timestamp: header("x-itrans-relay-timestamp"),
      signature: header("x-itrans-relay-signature"),
    };
    if (headers.idempotencyKey === undefined || headers.idempotencyKey === "") {
      return refuseEvent("invalid_body", "The header idempotency-key is missing.", correlationId);
    }
    const text = await readText(request);
    if (!text.ok) return text.answer;
    const tolerance = hub.settings.ITRANS_WEBHOOK_TOLERANCE_MS;
    if (!isAuthentic(headers, text.value, hub.webhookSecrets, hub.now(), tolerance)) {
      return refuseEvent("bad_signature", "The signature is missing, wrong or out of date.", correlationId);
    }
    const read = readEvent(headers, text.value);
    if (!read.ok) {
      const [code, detail] = PROBLEM_OF[read.reason];
      return refuseEvent(code, detail, correlationId);
    }
    return applyEvent(hub, read.event, correlationId);
  },
);

async function applyEvent(hub: Hub, event: ReceivedEvent, correlationId: string): Promise<Answer> {
  const { eventId, eventType, requestIdHash } = event;
  for (let round = 0; round < DECIDE_AGAIN_LIMIT; round++) {
    const writing = await findWriting(hub, event);
    if (writing === undefined) {
      const message = "No claim here has this request yet. Try again.";
      return ok(404, { ok: false, retryable: true, message });
    }
    if (writing === "known") return ok(200, { ok: true, duplicate: true });
    try {
      await batchWithEvents(hub, writing.statements);
      const { firstAfterMs } = writing;
      if (firstAfterMs !== undefined) {
        hub.measure.observe("medlink_claim_callback_seconds", {}, firstAfterMs / 1_000);
      }
      hub.log("debug", "webhook.applied", { eventId, requestIdHash, code: writing.effect, correlationId });
      return ok(200, { ok: true, claimId: writing.claimId, eventType });
    } catch (thrown) {
      // Another delivery of this event, or another event of this claim, was faster: look again.
      if (!isTaken(thrown, "webhook_events.event_id") && !isVersionMoved(thrown)) throw thrown;
    }
  }
  return refuse("unavailable", "The claim is changing too fast. Try again.", { retryAfterSeconds: 1 });
}

interface Writing {
  readonly claimId: string;
  readonly effect: "moved" | "superseded" | "recorded";
  readonly statements: readonly D1PreparedStatement[];
  /** The first event about its claim: how long after the claim was queued. */
  readonly firstAfterMs?: number | undefined;
}

/**
 * Core's callback may be faster than the record of its answer to the submission. While one is under way, a request that is not known
 * is looked for again: the relay's next try would be a second or more away.
 */
async function findWriting(hub: Hub, event: ReceivedEvent): Promise<Writing | "known" | undefined> {
  const until = hub.now() + LOOK_FOR_MS;
  let mayCome = true;
  for (const waitMs of LOOK_AGAIN_AFTER_MS) {
    const writing = await statementsFor(hub, event);
    if (writing !== undefined || !mayCome) return writing;
    // What was recorded since that look is found by the next one.
    mayCome = hub.now() + waitMs < until && (await isSubmitting(hub.db, hub.now()));
    if (mayCome) await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
  return statementsFor(hub, event);
}

/**
 * A claim's own events tell which of iTrans it has; for a request without a claim `webhook_events` does.
 * @returns undefined when no claim and no bridge request has this hash; `known` when the event took effect before.
 */
async function statementsFor(hub: Hub, event: ReceivedEvent): Promise<Writing | "known" | undefined> {
  const receivedAt = hub.now();
  const called = await findCalledBack(hub.db, hub.fields, event);
  if (called === undefined) {
    if (await isKnownEvent(hub.db, event.eventId)) return "known";
    const owner = await ownerWithoutClaim(hub, event.requestIdHash);
    if (owner === undefined) return undefined;
    const { clinicId, claimId } = owner;
    const effect = "recorded";
    return {
      claimId,
      effect,
      statements: [webhookEventInsert(hub.db, { ...event, clinicId, claimId, effect, receivedAt })],
    };
  }
  if (called.isKnown) return "known";
  const { claim, wasCalledBack, queuedAt } = called;
  const { claimId, clinicId } = claim;
  const firstAfterMs = wasCalledBack || queuedAt === undefined ? undefined : receivedAt - queuedAt;
  const applied = applyLedgerEvent(claim, {
    status: event.status,
    ledgerId: event.ledger?.id,
    seq: event.ledger?.seq,
    occurredAt: event.occurredAt,
  });
  const timeline = timelineInsert(hub.db, {
    claimId,
    clinicId,
    kind: event.eventType,
    status: applied.type === "moved" ? applied.status : claim.status,
    actor: "itrans",
    detail: applied.type === "superseded" ? "superseded" : undefined,
    eventId: event.eventId,
    ledgerSeq: event.ledger?.seq,
    entryHash: event.ledger?.entryHash,
    at: receivedAt,
  });
  if (applied.type === "superseded") return { claimId, effect: applied.type, statements: [timeline], firstAfterMs };
  const { status, lastEvent } = applied;
  const next = { ...claim, status, lastEvent, version: claim.version + 1, updatedAt: receivedAt };
  const statements = [claimStateUpdate(hub.db, next, claim), timeline];
  return { claimId, effect: applied.type, statements, firstAfterMs };
}

/** A request sent through the bridge, or one whose claim was erased here: its events are ours, and change nothing. */
async function ownerWithoutClaim(
  hub: Hub,
  requestIdHash: string,
): Promise<{ readonly clinicId: string; readonly claimId: string } | undefined> {
  const bridged = await findBridgeRequestByHash(hub.db, requestIdHash);
  if (bridged !== undefined) return { clinicId: bridged.clinicId, claimId: bridged.coreId };
  const clinicId = await findErasedRequest(hub.db, requestIdHash);
  return clinicId === undefined ? undefined : { clinicId, claimId: "erased" };
}
