/** Dead letters that are given up for good. */
import type { DeliveryState } from "./deliveries.store.ts";
import { HELD_DUE_AT, quietUntil } from "./lanes.store.ts";

export interface Discard {
  /** A closed code of [A-Z0-9-]{1,40}. */
  readonly reason: string;
  /** The key id of whoever decided; undefined: the retention. */
  readonly by: string | undefined;
  /** What becomes of the events behind it: they are given up with it, or go out without it. */
  readonly rest: "discard" | "release";
}

/** ?1 JSON array of dead rows' ids. The rest of a lane: what is behind, and not settled. */
const RESTS = `json_each(?1) AS j
  CROSS JOIN outbox AS o ON o.outbox_id = j.value
  CROSS JOIN outbox AS behind ON behind.destination_id = o.destination_id AND behind.subject = o.subject
    AND behind.outbox_id > o.outbox_id AND behind.open = 1
  WHERE o.state = 'dead'`;

const DISCARD_REST = `WITH rest AS MATERIALIZED (SELECT behind.outbox_id FROM ${RESTS})
UPDATE outbox SET state = 'discarded', open = 0, settled_at = CAST(?2 AS INTEGER), discard_reason = ?3, discarded_by = ?4
FROM rest WHERE outbox.outbox_id = rest.outbox_id`;

const RELEASE_REST = `WITH rest AS MATERIALIZED (SELECT behind.outbox_id FROM ${RESTS} AND behind.state IN ('due', 'waiting'))
UPDATE outbox SET due_at = CAST(?2 AS INTEGER)
FROM rest WHERE outbox.outbox_id = rest.outbox_id AND outbox.due_at = ${HELD_DUE_AT}`;

const DISCARD_DEAD = `WITH dead AS MATERIALIZED (
  SELECT o.outbox_id FROM json_each(?1) AS j CROSS JOIN outbox AS o ON o.outbox_id = j.value WHERE o.state = 'dead')
UPDATE outbox SET state = 'discarded', open = 0, settled_at = CAST(?2 AS INTEGER), discard_reason = ?3, discarded_by = ?4
FROM dead WHERE outbox.outbox_id = dead.outbox_id`;

/** @returns rows discarded, those behind among them; rows that are not dead stay as they are. */
export async function discardRows(
  db: D1Database,
  outboxIds: readonly number[],
  { reason, by, rest }: Discard,
  now: number,
): Promise<{ readonly discarded: number; readonly rest: number }> {
  if (outboxIds.length === 0) return { discarded: 0, rest: 0 };
  const ids = JSON.stringify(outboxIds);
  const restStatement =
    rest === "discard"
      ? db.prepare(DISCARD_REST).bind(ids, now, reason, by ?? null)
      : db.prepare(RELEASE_REST).bind(ids, now);
  const [changedRest, dead] = await db.batch([
    restStatement,
    db.prepare(DISCARD_DEAD).bind(ids, now, reason, by ?? null),
  ]);
  return { discarded: dead?.meta.changes ?? 0, rest: changedRest?.meta.changes ?? 0 };
}

/**
 * `already`: it had been discarded before; nothing was changed. `too-soon`: its receiver may still be at the last post, which it did not
 * answer, and whatever follows in the lane would go out beside it.
 */
export type Discarded =
  | { readonly type: "discarded"; readonly rest: number }
  | { readonly type: "too-soon"; readonly waitMs: number }
  | { readonly type: "already" | "not-dead" | "unknown" };

/** @param waitMs the wait after a timeout. */
export async function discardDeadLetter(
  db: D1Database,
  outboxId: number,
  tenantId: string | undefined,
  discard: Discard,
  waitMs: number,
  now: number,
): Promise<Discarded> {
  const row = await db
    .prepare(
      `SELECT o.state, ${quietUntil("o", "?3")} AS quietUntil FROM outbox AS o
       WHERE o.outbox_id = ?1 AND (?2 IS NULL OR o.tenant_id = ?2)`,
    )
    .bind(outboxId, tenantId ?? null, waitMs)
    .first<{ readonly state: DeliveryState; readonly quietUntil: number | null }>();
  if (row === null) return { type: "unknown" };
  if (row.state === "discarded") return { type: "already" };
  if (row.state !== "dead") return { type: "not-dead" };
  const quietMs = (row.quietUntil ?? 0) - now;
  if (quietMs > 0) return { type: "too-soon", waitMs: quietMs };
  const { discarded, rest } = await discardRows(db, [outboxId], discard, now);
  return discarded > 0 ? { type: "discarded", rest } : { type: "already" };
}
