/** Reading the record of anchors with their history. */
import { and, desc, eq, inArray, isNull, lt, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { anchorEvents, anchors } from "../core/schema.ts";
import type { HistoryEvent } from "./history.ts";

export type AnchorRecord = typeof anchors.$inferSelect & { readonly events: readonly HistoryEvent[] };

/** The newest of one anchor; more than this only in a chain that never settles. */
const MAX_EVENTS_PER_ANCHOR = 50;
const MAX_SIGNER_EVENTS = 20;

const eventColumns = {
  type: anchorEvents.type,
  reason: anchorEvents.reason,
  at: anchorEvents.at,
  size: anchorEvents.size,
  rootHash: anchorEvents.rootHash,
  txHash: anchorEvents.txHash,
  nonce: anchorEvents.nonce,
  feePerGasWei: anchorEvents.feePerGasWei,
  blockNumber: anchorEvents.blockNumber,
  blockHash: anchorEvents.blockHash,
  actor: anchorEvents.actor,
} as const;

async function withEvents(
  db: D1Database,
  ledgerId: string,
  rows: readonly (typeof anchors.$inferSelect)[],
): Promise<readonly AnchorRecord[]> {
  if (rows.length === 0) return [];
  const orm = drizzle(db);
  const ranked = orm
    .select({
      ...eventColumns,
      eventId: anchorEvents.eventId,
      rank: sql<number>`row_number() OVER (PARTITION BY ${anchorEvents.size} ORDER BY ${anchorEvents.eventId} DESC)`.as(
        "rank",
      ),
    })
    .from(anchorEvents)
    .where(
      and(
        eq(anchorEvents.ledgerId, ledgerId),
        inArray(anchorEvents.size, sql`(SELECT value FROM json_each(${JSON.stringify(rows.map((row) => row.size))}))`),
      ),
    )
    .as("ranked");
  const events = await orm
    .select()
    .from(ranked)
    .where(lt(ranked.rank, MAX_EVENTS_PER_ANCHOR + 1))
    .orderBy(ranked.eventId);
  return rows.map((row) => ({
    ...row,
    events: events.filter(({ size }) => size === row.size).map(({ rank: _rank, eventId: _id, ...event }) => event),
  }));
}

/**
 * @param before sizes below this; undefined: from the newest.
 * @returns largest size first, at most `limit`, each with its events in the order in which they happened.
 */
export async function listAnchors(
  db: D1Database,
  ledgerId: string,
  before: number | undefined,
  limit: number,
): Promise<readonly AnchorRecord[]> {
  const rows = await drizzle(db)
    .select()
    .from(anchors)
    .where(and(eq(anchors.ledgerId, ledgerId), before === undefined ? undefined : lt(anchors.size, before)))
    .orderBy(desc(anchors.size))
    .limit(limit);
  return withEvents(db, ledgerId, rows);
}

export async function findAnchor(db: D1Database, ledgerId: string, size: number): Promise<AnchorRecord | undefined> {
  const rows = await drizzle(db)
    .select()
    .from(anchors)
    .where(and(eq(anchors.ledgerId, ledgerId), eq(anchors.size, size)))
    .limit(1);
  return (await withEvents(db, ledgerId, rows))[0];
}

/** What happened to the signer with nothing in flight, newest first. */
export function signerEvents(db: D1Database, ledgerId: string): Promise<readonly HistoryEvent[]> {
  return drizzle(db)
    .select(eventColumns)
    .from(anchorEvents)
    .where(and(eq(anchorEvents.ledgerId, ledgerId), isNull(anchorEvents.size)))
    .orderBy(desc(anchorEvents.eventId))
    .limit(MAX_SIGNER_EVENTS);
}
