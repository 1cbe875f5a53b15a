/** Dead letters: rows that were given up, each holding its lane. */
import { and, count, desc, eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { outbox } from "../core/schema.ts";
import type { EventType } from "./port.ts";

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
  /** Of all there are, not of those listed. */
  readonly count: number;
  readonly deadLetters: readonly DeadLetter[];
}

/**
 * The newest dead letters first.
 * @param tenantId undefined: of every tenant.
 */
export async function listDeadLetters(
  db: D1Database,
  tenantId: string | undefined,
  limit: number,
): Promise<DeadLetters> {
  const orm = drizzle(db);
  // Spelled out, not bound: only then does SQLite see that the partial index of dead letters covers it.
  const dead = and(sql`${outbox.state} = 'dead'`, tenantId === undefined ? undefined : eq(outbox.tenantId, tenantId));
  const [counted, deadLetters] = await orm.batch([
    orm.select({ count: count() }).from(outbox).where(dead),
    orm
      .select({
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
      })
      .from(outbox)
      .where(dead)
      .orderBy(desc(outbox.settledAt))
      .limit(limit),
  ]);
  return { count: counted[0]?.count ?? 0, deadLetters };
}
