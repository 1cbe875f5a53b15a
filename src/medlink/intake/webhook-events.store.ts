import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { webhookEvents } from "../schema.ts";

/** Events about requests that have no claim here: sent through the bridge, or of a claim that was erased. */
export async function isKnownEvent(db: D1Database, eventId: string): Promise<boolean> {
  const row = await drizzle(db)
    .select({ eventId: webhookEvents.eventId })
    .from(webhookEvents)
    .where(eq(webhookEvents.eventId, eventId))
    .get();
  return row !== undefined;
}

/** Fails, and with it its batch, when the event is known: parallel duplicates apply once. */
export const webhookEventInsert = (
  db: D1Database,
  event: {
    readonly eventId: string;
    readonly eventType: string;
    readonly clinicId: string;
    readonly claimId: string;
    readonly requestIdHash: string;
    readonly effect: "moved" | "superseded" | "recorded";
    readonly receivedAt: number;
  },
): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO webhook_events (event_id, event_type, clinic_id, claim_id, request_id_hash, effect, received_at)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(
      event.eventId,
      event.eventType,
      event.clinicId,
      event.claimId,
      event.requestIdHash,
      event.effect,
      event.receivedAt,
    );

/** @returns how many. */
export async function pruneWebhookEvents(db: D1Database, before: number, limit: number): Promise<number> {
  const result = await db
    .prepare(
      `DELETE FROM webhook_events WHERE event_id IN
       (SELECT event_id FROM webhook_events WHERE received_at < ? LIMIT ?)`,
    )
    .bind(before, limit)
    .run();
  return result.meta.changes;
}
