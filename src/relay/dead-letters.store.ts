/** Dead letters: rows that were given up, each holding its lane. */

import { and, count, desc, eq, gte, lt, or, type SQL, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { outbox } from "../core/schema.ts";
import { type ErrorClass, errorRange } from "./dead-letters.ts";
import type { EventType } from "./event-type.ts";

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

export function matching({ tenantId, destinationId, since, until, errorClass }: DeadLetterFilter): SQL | undefined {
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

/** The columns that tell a row from others. */
export const summary = {
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
