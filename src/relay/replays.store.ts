/** Replays of dead letters. */

import { count, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { outbox } from "../core/schema.ts";
import { type DeadLetterFilter, matching } from "./dead-letters.store.ts";
import type { DeliveryState } from "./deliveries.store.ts";
import { HELD_DUE_AT, isOfEntry, quietUntil } from "./lanes.store.ts";

/**
 * A later event of the lane of row `o` was delivered: replaying `o` would reorder it. Found by the ledger's own index of the
 * subject, as the outbox has none of what was delivered.
 */
const OVERTAKEN = `EXISTS (
  SELECT 1 FROM ledger_entries AS e CROSS JOIN outbox AS later ON ${isOfEntry("later", "e")}
  WHERE e.ledger_id = o.ledger_id AND e.subject = o.subject AND e.seq >= o.seq
    AND later.destination_id = o.destination_id AND later.outbox_id > o.outbox_id AND later.state = 'delivered')`;

/** When row `o` of `j` is due: when it was asked for, and not before its lane may post. ?2 the wait after a timeout, ms. */
const DUE_AT = `MAX(j.value ->> 1, CAST(${quietUntil("o", "?2")} AS INTEGER))`;

/** ?1 outbox ids in lane order with the time each is asked for, as JSON [[id, dueAt]]. */
const REPLAYED = `json_each(?1) AS j CROSS JOIN outbox AS o ON o.outbox_id = j.value ->> 0
  WHERE o.state = 'dead' AND NOT ${OVERTAKEN}`;

/** Rows held behind go on when it is due. Before the rows themselves change. */
const UNHOLD_REST = `WITH freed AS MATERIALIZED (
  SELECT behind.outbox_id, ${DUE_AT} AS due_at
  FROM json_each(?1) AS j
    CROSS JOIN outbox AS o ON o.outbox_id = j.value ->> 0
    CROSS JOIN outbox AS behind ON behind.destination_id = o.destination_id AND behind.subject = o.subject
      AND behind.outbox_id > o.outbox_id AND behind.open = 1
  WHERE o.state = 'dead' AND NOT ${OVERTAKEN} AND behind.state IN ('due', 'waiting')
)
UPDATE outbox SET due_at = freed.due_at FROM freed
WHERE outbox.outbox_id = freed.outbox_id AND outbox.due_at = ${HELD_DUE_AT}`;

const REPLAY = `WITH replayed AS MATERIALIZED (SELECT o.outbox_id, ${DUE_AT} AS due_at FROM ${REPLAYED})
UPDATE outbox SET state = 'due', due_at = replayed.due_at, attempts = 0, not_yet_known_since = NULL, expired_leases = 0,
  settled_at = NULL, replays = outbox.replays + 1
FROM replayed WHERE outbox.outbox_id = replayed.outbox_id
RETURNING outbox_id AS outboxId, due_at AS dueAt`;

interface ReplayedRow {
  readonly outboxId: number;
  readonly dueAt: number;
}

/** @returns those that were replayed; the others are not dead, or were overtaken. */
async function replayRows(
  db: D1Database,
  rows: readonly (readonly [number, number])[],
  waitMs: number,
): Promise<readonly ReplayedRow[]> {
  if (rows.length === 0) return [];
  const json = JSON.stringify(rows);
  const [, replayed] = await db.batch<ReplayedRow>([
    db.prepare(UNHOLD_REST).bind(json, waitMs),
    db.prepare(REPLAY).bind(json, waitMs),
  ]);
  return replayed?.results ?? [];
}

/**
 * `replayed`: it is on its way, with all its retries, and due at `dueAt` (epoch ms). `on-its-way`: it is not dead, nothing was changed.
 * `overtaken`: a later event of its lane was delivered. `discarded`: an operator or the retention gave it up for good.
 */
export type Replayed =
  | { readonly type: "replayed"; readonly dueAt: number }
  | { readonly type: "on-its-way" | "overtaken" | "discarded" | "unknown" };

/** @param waitMs the wait after a timeout: a receiver that did not answer the last post may still be at it. */
export async function replayDeadLetter(
  db: D1Database,
  outboxId: number,
  tenantId: string | undefined,
  waitMs: number,
  now: number,
): Promise<Replayed> {
  const row = await db
    .prepare(
      `SELECT o.state, ${OVERTAKEN} AS overtaken FROM outbox AS o
       WHERE o.outbox_id = ?1 AND (?2 IS NULL OR o.tenant_id = ?2)`,
    )
    .bind(outboxId, tenantId ?? null)
    .first<{ readonly state: DeliveryState; readonly overtaken: 0 | 1 }>();
  if (row === null) return { type: "unknown" };
  if (row.state === "discarded") return { type: row.overtaken === 1 ? "overtaken" : "discarded" };
  if (row.state !== "dead") return { type: "on-its-way" };
  if (row.overtaken === 1) return { type: "overtaken" };
  const [replayed] = await replayRows(db, [[outboxId, now]], waitMs);
  return replayed === undefined ? { type: "on-its-way" } : { type: "replayed", dueAt: replayed.dueAt };
}

export interface ReplayedMany {
  readonly replayed: number;
  /** A later event of their lanes was delivered. */
  readonly overtaken: number;
  /** Dead letters that match and were not looked at: call again. */
  readonly remaining: number;
  /** Epoch ms when the last of them is due; null when there is none. */
  readonly lastDueAt: number | null;
}

/**
 * Replays the oldest dead letters that match, in ledger order, one after another at a rate; each lane's rest follows in its order.
 * Again replays none of them twice.
 */
export async function replayDeadLetters(
  db: D1Database,
  filter: DeadLetterFilter,
  options: { readonly limit: number; readonly perMinute: number; readonly waitMs: number },
  now: number,
): Promise<ReplayedMany> {
  const orm = drizzle(db);
  const dead = matching(filter);
  const [counted, rows] = await orm.batch([
    orm.select({ count: count() }).from(outbox).where(dead),
    // With the plus SQLite takes the index of dead letters and sorts, rather than read the outbox in its order.
    orm
      .select({ outboxId: outbox.outboxId })
      .from(outbox)
      .where(dead)
      .orderBy(sql`+${outbox.outboxId}`)
      .limit(options.limit),
  ]);
  const gapMs = 60_000 / options.perMinute;
  const due = rows.map(({ outboxId }, i) => [outboxId, now + Math.round(i * gapMs)] as const);
  const replayed = await replayRows(db, due, options.waitMs);
  return {
    replayed: replayed.length,
    overtaken: rows.length - replayed.length,
    remaining: Math.max(0, (counted[0]?.count ?? 0) - rows.length),
    lastDueAt: replayed.length === 0 ? null : Math.max(...replayed.map(({ dueAt }) => dueAt)),
  };
}
