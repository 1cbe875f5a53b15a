/** Dead letters: rows that were given up, each holding its lane. Listing, looking into one, replaying, discarding, pruning. */
import { and, count, desc, eq, gte, lt, or, type SQL, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { deliveryAttempts, outbox } from "../core/schema.ts";
import { type ErrorClass, errorRange } from "./dead-letters.ts";
import type { EventType } from "./event-type.ts";
import { HELD_DUE_AT } from "./outbox.store.ts";

export interface DeadLetter {
  readonly outboxId: number;
  readonly eventId: string;
  readonly eventType: EventType;
  readonly requestIdHash: string;
  readonly destinationId: string;
  readonly correlationId: string;
  readonly attempts: number;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Epoch ms. */
  readonly deadAt: number | null;
}

export interface DeadLetters {
  /** Of all that match, not of those listed. */
  readonly count: number;
  readonly deadLetters: readonly DeadLetter[];
  /** Where the next page goes on; null: there is none. */
  readonly next: DeadLetterCursor | null;
}

/** Behind this row, in the order newest first. */
export interface DeadLetterCursor {
  readonly deadAt: number;
  readonly outboxId: number;
}

export interface DeadLetterFilter {
  /** Undefined: of every tenant. */
  readonly tenantId: string | undefined;
  readonly destinationId?: string | undefined;
  /** When it was given up; epoch ms, inclusive. */
  readonly since?: number | undefined;
  /** Epoch ms, exclusive. */
  readonly until?: number | undefined;
  readonly errorClass?: ErrorClass | undefined;
}

function matching({ tenantId, destinationId, since, until, errorClass }: DeadLetterFilter): SQL | undefined {
  const [from, to] = errorClass === undefined ? [] : errorRange(errorClass);
  return and(
    // Spelled out, not bound: only then does SQLite see that the partial index of dead letters covers it.
    sql`${outbox.state} = 'dead'`,
    tenantId === undefined ? undefined : eq(outbox.tenantId, tenantId),
    destinationId === undefined ? undefined : eq(outbox.destinationId, destinationId),
    since === undefined ? undefined : gte(outbox.settledAt, since),
    until === undefined ? undefined : lt(outbox.settledAt, until),
    from === undefined || to === undefined ? undefined : and(gte(outbox.lastError, from), lt(outbox.lastError, to)),
  );
}

const summary = {
  outboxId: outbox.outboxId,
  eventId: outbox.eventId,
  eventType: outbox.eventType,
  requestIdHash: outbox.subject,
  destinationId: outbox.destinationId,
  correlationId: outbox.correlationId,
  attempts: outbox.attempts,
  lastStatus: outbox.lastStatus,
  lastError: outbox.lastError,
  createdAt: outbox.createdAt,
  deadAt: outbox.settledAt,
};

/** The newest dead letters first, a page at a time. */
export async function listDeadLetters(
  db: D1Database,
  filter: DeadLetterFilter,
  limit: number,
  after?: DeadLetterCursor,
): Promise<DeadLetters> {
  const orm = drizzle(db);
  const dead = matching(filter);
  const behind =
    after === undefined
      ? undefined
      : or(
          lt(outbox.settledAt, after.deadAt),
          and(eq(outbox.settledAt, after.deadAt), lt(outbox.outboxId, after.outboxId)),
        );
  const [counted, rows] = await orm.batch([
    orm.select({ count: count() }).from(outbox).where(dead),
    orm
      .select(summary)
      .from(outbox)
      .where(and(dead, behind))
      .orderBy(desc(outbox.settledAt), desc(outbox.outboxId))
      .limit(limit + 1),
  ]);
  const deadLetters = rows.slice(0, limit);
  const last = deadLetters.at(-1);
  const deadAt = rows.length > limit ? last?.deadAt : undefined;
  return {
    count: counted[0]?.count ?? 0,
    deadLetters,
    next: last !== undefined && deadAt != null ? { deadAt, outboxId: last.outboxId } : null,
  };
}

export interface Attempt {
  /** Epoch ms. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly outcome: "delivered" | "retry" | "dead";
  readonly status: number | null;
  readonly error: string | null;
  /** The start of what the receiver said, of an answer other than 2xx. */
  readonly answer: string | null;
}

type DeliveryState = typeof outbox.$inferSelect.state;

export interface Delivery extends Omit<DeadLetter, "deadAt"> {
  readonly tenantId: string;
  readonly state: DeliveryState;
  /** Epoch ms when it was delivered, parked or discarded. */
  readonly settledAt: number | null;
  /** The request as it is posted; its timestamp and signatures are new with each attempt. */
  readonly body: string;
  readonly replays: number;
  readonly discardReason: string | null;
  readonly discardedBy: string | null;
  /** Oldest first, the last MAX_ATTEMPTS_SHOWN. */
  readonly attemptsMade: readonly Attempt[];
  /** Rows of its lane that wait behind it. */
  readonly held: number;
}

const MAX_ATTEMPTS_SHOWN = 200;

/** One outbox row, dead or not, with all its attempts. @param tenantId undefined: of every tenant. */
export async function findDelivery(
  db: D1Database,
  outboxId: number,
  tenantId: string | undefined,
): Promise<Delivery | undefined> {
  const orm = drizzle(db);
  const [[row], attempts] = await orm.batch([
    orm
      .select({
        ...summary,
        tenantId: outbox.tenantId,
        state: outbox.state,
        body: outbox.body,
        replays: outbox.replays,
        discardReason: outbox.discardReason,
        discardedBy: outbox.discardedBy,
      })
      .from(outbox)
      .where(and(eq(outbox.outboxId, outboxId), tenantId === undefined ? undefined : eq(outbox.tenantId, tenantId))),
    orm
      .select({
        startedAt: deliveryAttempts.startedAt,
        durationMs: deliveryAttempts.durationMs,
        outcome: deliveryAttempts.outcome,
        status: deliveryAttempts.status,
        error: deliveryAttempts.error,
        answer: deliveryAttempts.answer,
      })
      .from(deliveryAttempts)
      .where(eq(deliveryAttempts.outboxId, outboxId))
      .orderBy(desc(deliveryAttempts.leaseToken))
      .limit(MAX_ATTEMPTS_SHOWN),
  ]);
  if (row === undefined) return undefined;
  const [held] = await orm
    .select({ count: count() })
    .from(outbox)
    .where(
      and(
        eq(outbox.destinationId, row.destinationId),
        eq(outbox.subject, row.requestIdHash),
        sql`${outbox.outboxId} > ${outboxId}`,
        sql`${outbox.state} NOT IN ('delivered', 'discarded')`,
      ),
    );
  const { deadAt: settledAt, ...delivery } = row;
  return { ...delivery, settledAt, attemptsMade: attempts.toReversed(), held: held?.count ?? 0 };
}

/**
 * A later event of the lane of row `o` was delivered: replaying `o` would reorder it. Found by the ledger's own index of the
 * subject, as the outbox has none of what was delivered.
 */
const OVERTAKEN = `EXISTS (
  SELECT 1 FROM ledger_entries AS e CROSS JOIN outbox AS later
    ON later.event_id >= substr(o.event_id, 1, instr(o.event_id, ':')) || '0x' || e.entry_hash || ':'
    AND later.event_id < substr(o.event_id, 1, instr(o.event_id, ':')) || '0x' || e.entry_hash || ';'
  WHERE e.ledger_id = o.ledger_id AND e.subject = o.subject AND e.seq >= o.seq
    AND later.destination_id = o.destination_id AND later.outbox_id > o.outbox_id AND later.state = 'delivered')`;

/** ?1 outbox ids in lane order with the time each is due, as JSON [[id, dueAt]]. */
const REPLAYED = `json_each(?1) AS j CROSS JOIN outbox AS o ON o.outbox_id = j.value ->> 0
  WHERE o.state = 'dead' AND NOT ${OVERTAKEN}`;

/** Rows held behind go on when it is due. Before the rows themselves change. */
const UNHOLD_REST = `WITH freed AS MATERIALIZED (
  SELECT behind.outbox_id, j.value ->> 1 AS due_at
  FROM json_each(?1) AS j
    CROSS JOIN outbox AS o ON o.outbox_id = j.value ->> 0
    CROSS JOIN outbox AS behind ON behind.destination_id = o.destination_id AND behind.subject = o.subject
      AND behind.outbox_id > o.outbox_id AND behind.state NOT IN ('delivered', 'discarded')
  WHERE o.state = 'dead' AND NOT ${OVERTAKEN} AND behind.state = 'due'
)
UPDATE outbox SET due_at = freed.due_at FROM freed
WHERE outbox.outbox_id = freed.outbox_id AND outbox.due_at = ${HELD_DUE_AT}`;

const REPLAY = `WITH replayed AS MATERIALIZED (SELECT o.outbox_id, j.value ->> 1 AS due_at FROM ${REPLAYED})
UPDATE outbox SET state = 'due', due_at = replayed.due_at, attempts = 0, not_yet_known_since = NULL, expired_leases = 0,
  settled_at = NULL, replays = outbox.replays + 1
FROM replayed WHERE outbox.outbox_id = replayed.outbox_id
RETURNING outbox_id`;

/** @returns the ids of those that were replayed; the others are not dead, or were overtaken. */
async function replayRows(db: D1Database, rows: readonly (readonly [number, number])[]): Promise<readonly number[]> {
  if (rows.length === 0) return [];
  const json = JSON.stringify(rows);
  const [, replayed] = await db.batch<{ readonly outbox_id: number }>([
    db.prepare(UNHOLD_REST).bind(json),
    db.prepare(REPLAY).bind(json),
  ]);
  return (replayed?.results ?? []).map((row) => row.outbox_id);
}

/**
 * `replayed`: it is due, with all its retries. `on-its-way`: it is not dead, nothing was changed. `overtaken`: a later event of its
 * lane was delivered. `discarded`: an operator or the retention gave it up for good.
 */
export type Replayed = "replayed" | "on-its-way" | "overtaken" | "discarded" | "unknown";

export async function replayDeadLetter(
  db: D1Database,
  outboxId: number,
  tenantId: string | undefined,
  now: number,
): Promise<Replayed> {
  const row = await db
    .prepare(
      `SELECT o.state, ${OVERTAKEN} AS overtaken FROM outbox AS o
       WHERE o.outbox_id = ?1 AND (?2 IS NULL OR o.tenant_id = ?2)`,
    )
    .bind(outboxId, tenantId ?? null)
    .first<{ readonly state: DeliveryState; readonly overtaken: 0 | 1 }>();
  if (row === null) return "unknown";
  if (row.state === "discarded") return row.overtaken === 1 ? "overtaken" : "discarded";
  if (row.state !== "dead") return "on-its-way";
  if (row.overtaken === 1) return "overtaken";
  return (await replayRows(db, [[outboxId, now]])).length > 0 ? "replayed" : "on-its-way";
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
  options: { readonly limit: number; readonly perMinute: number },
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
  const replayed = new Set(await replayRows(db, due));
  const lastDue = due.findLast(([outboxId]) => replayed.has(outboxId));
  return {
    replayed: replayed.size,
    overtaken: rows.length - replayed.size,
    remaining: Math.max(0, (counted[0]?.count ?? 0) - rows.length),
    lastDueAt: lastDue?.[1] ?? null,
  };
}

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
    AND behind.outbox_id > o.outbox_id AND behind.state NOT IN ('delivered', 'discarded')
  WHERE o.state = 'dead'`;

const DISCARD_REST = `WITH rest AS MATERIALIZED (SELECT behind.outbox_id FROM ${RESTS})
UPDATE outbox SET state = 'discarded', settled_at = CAST(?2 AS INTEGER), discard_reason = ?3, discarded_by = ?4
FROM rest WHERE outbox.outbox_id = rest.outbox_id`;

const RELEASE_REST = `WITH rest AS MATERIALIZED (SELECT behind.outbox_id FROM ${RESTS} AND behind.state = 'due')
UPDATE outbox SET due_at = CAST(?2 AS INTEGER)
FROM rest WHERE outbox.outbox_id = rest.outbox_id AND outbox.due_at = ${HELD_DUE_AT}`;

const DISCARD_DEAD = `WITH dead AS MATERIALIZED (
  SELECT o.outbox_id FROM json_each(?1) AS j CROSS JOIN outbox AS o ON o.outbox_id = j.value WHERE o.state = 'dead')
UPDATE outbox SET state = 'discarded', settled_at = CAST(?2 AS INTEGER), discard_reason = ?3, discarded_by = ?4
FROM dead WHERE outbox.outbox_id = dead.outbox_id`;

/** @returns rows discarded, those behind among them; rows that are not dead stay as they are. */
async function discardRows(
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

/** `already`: it had been discarded before; nothing was changed. */
export type Discarded =
  | { readonly type: "discarded"; readonly rest: number }
  | { readonly type: "already" | "not-dead" | "unknown" };

export async function discardDeadLetter(
  db: D1Database,
  outboxId: number,
  tenantId: string | undefined,
  discard: Discard,
  now: number,
): Promise<Discarded> {
  const row = await db
    .prepare("SELECT state FROM outbox WHERE outbox_id = ?1 AND (?2 IS NULL OR tenant_id = ?2)")
    .bind(outboxId, tenantId ?? null)
    .first<{ readonly state: DeliveryState }>();
  if (row === null) return { type: "unknown" };
  if (row.state === "discarded") return { type: "already" };
  if (row.state !== "dead") return { type: "not-dead" };
  const { discarded, rest } = await discardRows(db, [outboxId], discard, now);
  return discarded > 0 ? { type: "discarded", rest } : { type: "already" };
}

export const RETENTION_REASON = "RETENTION-EXPIRED";

/**
 * Discards dead letters that are older than the retention, each with the rest of its lane.
 * @param before epoch ms. @param limit of dead letters looked at.
 */
export async function pruneDeadLetters(
  db: D1Database,
  before: number,
  limit: number,
  now: number,
): Promise<{ readonly discarded: number; readonly rest: number }> {
  const { results } = await db
    .prepare("SELECT outbox_id FROM outbox WHERE state = 'dead' AND settled_at < ?1 ORDER BY settled_at LIMIT ?2")
    .bind(before, limit)
    .all<{ readonly outbox_id: number }>();
  const ids = results.map((row) => row.outbox_id);
  return discardRows(db, ids, { reason: RETENTION_REASON, by: undefined, rest: "discard" }, now);
}

/**
 * Deletes delivered and discarded rows, with their attempts, that were settled before `before` (epoch ms). Rows are looked at in the
 * order they were written, `limit` a call, from where the last call stopped: no index is kept for this. The newest row stays,
 * whatever it is, so that no id is given twice.
 * @returns how many went.
 */
export async function pruneSettled(db: D1Database, before: number, limit: number): Promise<number> {
  const window = `SELECT outbox_id, state, settled_at, created_at FROM outbox
    WHERE outbox_id > (SELECT pruned_to FROM relay_leases) ORDER BY outbox_id LIMIT ?2`;
  const gone = `SELECT outbox_id FROM (${window}) WHERE state IN ('delivered', 'discarded') AND settled_at < ?1
    AND outbox_id < (SELECT MAX(outbox_id) FROM outbox)`;
  const [, deleted] = await db.batch([
    db.prepare(`DELETE FROM delivery_attempts WHERE outbox_id IN (${gone})`).bind(before, limit),
    db.prepare(`DELETE FROM outbox WHERE outbox_id IN (${gone}) RETURNING outbox_id`).bind(before, limit),
  ]);
  if ((deleted?.results.length ?? 0) === 0) {
    // On to the next rows; from the start again once what is looked at is too young, or there is nothing left.
    await db
      .prepare(
        `UPDATE relay_leases SET pruned_to = seen.pruned_to
         FROM (SELECT CASE WHEN COUNT(*) < ?2 OR MAX(created_at) >= ?1 THEN 0 ELSE MAX(outbox_id) END AS pruned_to
           FROM (${window})) AS seen
         WHERE relay_leases.pruned_to <> seen.pruned_to`,
      )
      .bind(before, limit)
      .run();
  }
  return deleted?.results.length ?? 0;
}
