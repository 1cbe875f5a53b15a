/** Deliveries: rows of the outbox, with every attempt. */

import { and, count, desc, eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { deliveryAttempts, outbox } from "../core/schema.ts";
import { type DeadLetter, summary } from "./dead-letters.store.ts";
import type { EventType } from "./event-type.ts";

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
  o.destination_id AS destinationId, o.correlation_id AS correlationId, o.state, o.attempts, o.last_status AS lastStatus,
  o.last_error AS lastError, o.created_at AS createdAt, o.due_at AS dueAt, o.settled_at AS settledAt`;

/** Each status has an index that begins with the destination, but for dead letters, which are few. */
const ORDERS: Readonly<
  Record<DeliveryStatus, { readonly where: string; readonly by: string; readonly newest: boolean }>
> = {
  delivered: { where: "o.state = 'delivered'", by: "settled_at", newest: true },
  pending: { where: "o.state IN ('due', 'leased')", by: "due_at", newest: false },
  dead: { where: "o.state = 'dead'", by: "settled_at", newest: true },
};

/**
 * ?1 tenant or NULL, ?2 destination or NULL, ?3 rows, ?4 and ?5 the cursor. Of each destination as many rows as are asked for are read
 * from its index, whatever the outbox holds.
 */
function listStatement(status: DeliveryStatus): string {
  const { where, by, newest } = ORDERS[status];
  const order = (x: string): string =>
    `${x}.${by} ${newest ? "DESC" : "ASC"}, ${x}.outbox_id ${newest ? "DESC" : "ASC"}`;
  const than = newest ? "<" : ">";
  const behind = `o.${by} ${than}= ?4 AND (o.${by} ${than} ?4 OR o.outbox_id ${than} ?5)`;
  if (status === "dead") {
    return `SELECT ${LISTED} FROM outbox AS o WHERE ${where} AND ${behind} AND (?1 IS NULL OR o.tenant_id = ?1)
      AND (?2 IS NULL OR o.destination_id = ?2) ORDER BY ${order("o")} LIMIT ?3`;
  }
  return `SELECT ${LISTED}
    FROM destinations AS d CROSS JOIN json_each((
      SELECT json_group_array(outbox_id) FROM (
        SELECT o.outbox_id FROM outbox AS o WHERE o.destination_id = d.destination_id AND ${where} AND ${behind}
        ORDER BY ${order("o")} LIMIT ?3))) AS some
      CROSS JOIN outbox AS o ON o.outbox_id = some.value
    WHERE (?1 IS NULL OR d.tenant_id = ?1) AND (?2 IS NULL OR d.destination_id = ?2)
    ORDER BY ${order("o")} LIMIT ?3`;
}

const FIRST = { newest: { at: Number.MAX_SAFE_INTEGER, outboxId: 0 }, next: { at: -1, outboxId: 0 } } as const;

/** Deliveries of one status: delivered and dead ones newest first, pending ones by when they are due; a page at a time. */
export async function listDeliveries(
  db: D1Database,
  status: DeliveryStatus,
  { tenantId, destinationId }: DeliveryFilter,
  limit: number,
  after?: DeliveryCursor,
): Promise<{ readonly deliveries: readonly ListedDelivery[]; readonly next: DeliveryCursor | null }> {
  const { newest } = ORDERS[status];
  const { at, outboxId } = after ?? (newest ? FIRST.newest : FIRST.next);
  const { results } = await db
    .prepare(listStatement(status))
    .bind(tenantId ?? null, destinationId ?? null, limit + 1, at, outboxId)
    .all<ListedDelivery>();
  const deliveries = results.slice(0, limit);
  const last = deliveries.at(-1);
  const lastAt = status === "pending" ? last?.dueAt : last?.settledAt;
  const more = results.length > limit && last !== undefined && lastAt != null;
  return { deliveries, next: more ? { at: lastAt, outboxId: last.outboxId } : null };
}

const MAX_OF_REQUEST = 500;

/**
 * Every delivery of one request's events, in the order of the ledger, whatever became of them: at most MAX_OF_REQUEST. Found by the
 * ledger's index of the subject.
 * @param chainId as event ids begin.
 */
export async function deliveriesOfRequest(
  db: D1Database,
  {
    ledgerId,
    chainId,
    requestIdHash,
  }: { readonly ledgerId: string; readonly chainId: number; readonly requestIdHash: string },
  { tenantId, destinationId }: DeliveryFilter,
): Promise<readonly ListedDelivery[]> {
  const { results } = await db
    .prepare(
      `SELECT ${LISTED} FROM ledger_entries AS e CROSS JOIN outbox AS o
         ON o.event_id >= ?3 || ':0x' || e.entry_hash || ':' AND o.event_id < ?3 || ':0x' || e.entry_hash || ';'
       WHERE e.ledger_id = ?4 AND e.subject = ?5
         AND (?1 IS NULL OR o.tenant_id = ?1) AND (?2 IS NULL OR o.destination_id = ?2)
       ORDER BY e.seq, o.outbox_id LIMIT ${MAX_OF_REQUEST}`,
    )
    .bind(tenantId ?? null, destinationId ?? null, String(chainId), ledgerId, requestIdHash)
    .all<ListedDelivery>();
  return results;
}
