/** Deliveries: rows of the outbox, with every attempt. */

import { and, count, desc, eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { deliveryAttempts, outbox } from "../core/schema.ts";
import { type DeadLetter, summary } from "./dead-letters.store.ts";

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
