/** Deliveries: rows of the outbox, with every attempt. The post that was taken is in the row, those that were not are rows of their own. */

import { and, count, desc, eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { deliveryAttempts, outbox } from "../core/schema.ts";
import { type DeadLetter, summary } from "./dead-letters.store.ts";
import type { EventType } from "./event-type.ts";
import { isOfEntry, stateOf } from "./lanes.store.ts";

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

export type DeliveryState = typeof outbox.$inferSelect.state;

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
        state: sql<DeliveryState>`${sql.raw(stateOf("outbox"))}`,
        postedAt: outbox.postedAt,
        postMs: outbox.postMs,
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
        sql`${outbox.open} = 1`,
      ),
    );
  const { deadAt: settledAt, postedAt, postMs, ...delivery } = row;
  const taken = attemptTaken({ postedAt, postMs, status: row.lastStatus });
  return { ...delivery, settledAt, attemptsMade: [...attempts.toReversed(), ...taken], held: held?.count ?? 0 };
}

/** The post that was taken, which the row of its delivery tells of; it was the last. */
export const attemptTaken = ({
  postedAt,
  postMs,
  status,
}: {
  readonly postedAt: number | null;
  readonly postMs: number | null;
  readonly status: number | null;
}): readonly Attempt[] =>
  postedAt === null
    ? []
    : [{ startedAt: postedAt, durationMs: postMs ?? 0, outcome: "delivered", status, error: null, answer: null }];

/** `pending`: due, leased or to be tried again; not what waits for its anchor. */
export const DELIVERY_STATUSES = ["delivered", "pending", "dead"] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export interface ListedDelivery {
  readonly outboxId: number;
  readonly eventId: string;
  readonly eventType: EventType;
  readonly requestIdHash: string;
  readonly destinationId: string;
  readonly correlationId: string;
  readonly state: DeliveryState;
  /** Posts that used up a retry, and the one that was taken. */
  readonly attempts: number;
  /** Of the last post; null: not answered, or none yet. */
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Epoch ms; of a leased one the end of its lease, of one behind another not before that. */
  readonly dueAt: number;
  /** Epoch ms when it was delivered, parked or discarded. */
  readonly settledAt: number | null;
}

/** Behind this row in the order of its list. */
export interface DeliveryCursor {
  readonly at: number;
  readonly outboxId: number;
}

export interface DeliveryFilter {
  /** Undefined: of every tenant. */
  readonly tenantId: string | undefined;
  readonly destinationId?: string | undefined;
}

const LISTED = `o.outbox_id AS outboxId, o.event_id AS eventId, o.event_type AS eventType, o.subject AS requestIdHash,
  o.destination_id AS destinationId, o.correlation_id AS correlationId, ${stateOf("o")} AS state, o.attempts, o.last_status AS lastStatus,
  o.last_error AS lastError, o.created_at AS createdAt, o.due_at AS dueAt, o.settled_at AS settledAt`;

/** Outbox ids that one page of what was delivered looks at: no index is kept for them. */
export const DELIVERIES_LOOKED_AT = 50_000;

/** ?1 tenant or NULL, ?2 destination or NULL. */
const IN_FILTER = "(?1 IS NULL OR o.tenant_id = ?1) AND (?2 IS NULL OR o.destination_id = ?2)";

/** ?3 rows, ?4 and ?5 the cursor. */
const LIST_DEAD = `SELECT ${LISTED} FROM outbox AS o
  WHERE o.state = 'dead' AND o.settled_at <= ?4 AND (o.settled_at < ?4 OR o.outbox_id < ?5) AND ${IN_FILTER}
  ORDER BY o.settled_at DESC, o.outbox_id DESC LIMIT ?3`;

/** ?3 rows, ?4 and ?5 the cursor. Of each destination as many rows as are asked for are read, but for those that wait for an anchor. */
const LIST_PENDING = `SELECT ${LISTED}
  FROM destinations AS d CROSS JOIN json_each((
    SELECT json_group_array(outbox_id) FROM (
      SELECT o.outbox_id FROM outbox AS o
      WHERE o.destination_id = d.destination_id AND o.open = 1 AND o.due_at >= ?4 AND (o.due_at > ?4 OR o.outbox_id > ?5)
        AND ${stateOf("o")} IN ('due', 'leased')
      ORDER BY o.due_at, o.outbox_id LIMIT ?3))) AS some
    CROSS JOIN outbox AS o ON o.outbox_id = some.value
  WHERE (?1 IS NULL OR d.tenant_id = ?1) AND (?2 IS NULL OR d.destination_id = ?2)
  ORDER BY o.due_at, o.outbox_id LIMIT ?3`;

/** Of what was delivered, by its events. */
export const DELIVERED_ORDERS = ["newest", "oldest"] as const;
export type DeliveredOrder = (typeof DELIVERED_ORDERS)[number];

const FIRST_ID = "COALESCE((SELECT MIN(outbox_id) FROM outbox), 0)";
const LAST_ID = "COALESCE((SELECT MAX(outbox_id) FROM outbox), 0)";

/** ?3 rows, ?4 the outbox id of the cursor. */
const LIST_DELIVERED: Readonly<Record<DeliveredOrder, { readonly page: string; readonly seen: string }>> = {
  newest: walk(`MIN(CAST(?4 AS INTEGER), ${LAST_ID} + 1)`, { beyond: "<", upTo: ">=", step: "-" }, FIRST_ID),
  oldest: walk(`MAX(CAST(?4 AS INTEGER), ${FIRST_ID} - 1)`, { beyond: ">", upTo: "<=", step: "+" }, LAST_ID),
};

/** @param start beyond this id. @param last the last id that there is. `seen` takes the id of the cursor as its only parameter. */
function walk(
  start: string,
  { beyond, upTo, step }: { readonly beyond: string; readonly upTo: string; readonly step: "+" | "-" },
  last: string,
): { readonly page: string; readonly seen: string } {
  const end = `${start} ${step} ${DELIVERIES_LOOKED_AT}`;
  return {
    page: `SELECT ${LISTED} FROM outbox AS o
      WHERE o.outbox_id ${beyond} ${start} AND o.outbox_id ${upTo} ${end} AND o.state = 'delivered' AND ${IN_FILTER}
      ORDER BY o.outbox_id ${step === "-" ? "DESC" : "ASC"} LIMIT ?3`,
    seen: `SELECT ${end} AS lookedTo, (${last}) ${beyond} (${end}) AS isMore`.replaceAll("?4", "?1"),
  };
}

interface DeliveryPage {
  readonly deliveries: readonly ListedDelivery[];
  readonly next: DeliveryCursor | null;
}

/**
 * Deliveries of one status, a page at a time: dead ones newest first, pending ones by when they are due, delivered ones by their events,
 * newest first unless asked otherwise. A page of delivered ones looks at DELIVERIES_LOOKED_AT ids, so it may have fewer than `limit`, or none, and a next one.
 */
export async function listDeliveries(
  db: D1Database,
  status: DeliveryStatus,
  filter: DeliveryFilter,
  limit: number,
  { after, order = "newest" }: { readonly after?: DeliveryCursor | undefined; readonly order?: DeliveredOrder } = {},
): Promise<DeliveryPage> {
  switch (status) {
    case "delivered": {
      const first = order === "newest" ? Number.MAX_SAFE_INTEGER : 0;
      return listDelivered(db, filter, limit, { order, after: after?.outboxId ?? first });
    }
    case "dead":
      return listInOrder(
        db,
        LIST_DEAD,
        filter,
        limit,
        after ?? { at: Number.MAX_SAFE_INTEGER, outboxId: 0 },
        (last) => last.settledAt,
      );
    case "pending":
      return listInOrder(db, LIST_PENDING, filter, limit, after ?? { at: -1, outboxId: 0 }, (last) => last.dueAt);
  }
}

async function listInOrder(
  db: D1Database,
  statement: string,
  { tenantId, destinationId }: DeliveryFilter,
  limit: number,
  after: DeliveryCursor,
  placeOf: (last: ListedDelivery) => number | null,
): Promise<DeliveryPage> {
  const { results } = await db
    .prepare(statement)
    .bind(tenantId ?? null, destinationId ?? null, limit + 1, after.at, after.outboxId)
    .all<ListedDelivery>();
  const deliveries = results.slice(0, limit);
  const last = deliveries.at(-1);
  const at = last === undefined ? null : placeOf(last);
  const more = results.length > limit && last !== undefined && at !== null;
  return { deliveries, next: more ? { at, outboxId: last.outboxId } : null };
}

async function listDelivered(
  db: D1Database,
  { tenantId, destinationId }: DeliveryFilter,
  limit: number,
  { order, after }: { readonly order: DeliveredOrder; readonly after: number },
): Promise<DeliveryPage> {
  const { page, seen } = LIST_DELIVERED[order];
  const [found, looked] = await db.batch<ListedDelivery & { readonly isMore: number; readonly lookedTo: number }>([
    db.prepare(page).bind(tenantId ?? null, destinationId ?? null, limit + 1, after),
    db.prepare(seen).bind(after),
  ]);
  const results: readonly ListedDelivery[] = found?.results ?? [];
  const deliveries = results.slice(0, limit);
  const last = deliveries.at(-1);
  if (results.length > limit && last !== undefined) return { deliveries, next: { at: 0, outboxId: last.outboxId } };
  const { isMore = 0, lookedTo = 0 } = looked?.results[0] ?? {};
  return { deliveries, next: isMore === 1 ? { at: 0, outboxId: lookedTo } : null };
}

const MAX_OF_REQUEST = 500;

/**
 * Every delivery of one request's events, in the order of the ledger, whatever became of them: at most MAX_OF_REQUEST. Found by the
 * ledger's index of the subject.
 */
export async function deliveriesOfRequest(
  db: D1Database,
  { ledgerId, requestIdHash }: { readonly ledgerId: string; readonly requestIdHash: string },
  { tenantId, destinationId }: DeliveryFilter,
): Promise<readonly ListedDelivery[]> {
  const { results } = await db
    .prepare(
      `SELECT ${LISTED} FROM ledger_entries AS e CROSS JOIN outbox AS o ON ${isOfEntry("o", "e")}
       WHERE e.ledger_id = ?3 AND e.subject = ?4 AND ${IN_FILTER}
       ORDER BY e.seq, o.outbox_id LIMIT ${MAX_OF_REQUEST}`,
    )
    .bind(tenantId ?? null, destinationId ?? null, ledgerId, requestIdHash)
    .all<ListedDelivery>();
  return results;
}
