/** What operators did to the hub: waiting for core's ledger, and for a day after it got there. */
import { asc, isNull } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { operatorActions } from "../schema.ts";
import type { OperatorAction } from "./trail.ts";

/** Those of the same action and actor since ?9, which may be null: since never. */
const SAME_SINCE = `EXISTS (SELECT 1 FROM operator_actions
  WHERE action = ?3 AND actor = ?5 AND at > CAST(?9 AS INTEGER) AND action_id <> ?1)`;

/**
 * @param since epoch ms; undefined: each action has a row of its own.
 * @returns `known` where the actor did the same since then, `full` where `maxWaiting` wait already: no row was written.
 */
export async function keepAction(
  db: D1Database,
  { actionId, salt, action, target, actor, correlationId, at }: OperatorAction,
  maxWaiting: number,
  since: number | undefined,
): Promise<"kept" | "known" | "full"> {
  const bound = [actionId, salt, action, target, actor, correlationId, at, maxWaiting, since ?? null];
  const [written, known] = await db.batch<{ readonly known: number }>([
    db
      .prepare(
        `INSERT INTO operator_actions (action_id, salt, action, target, actor, correlation_id, at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, CAST(?7 AS INTEGER)
         WHERE (SELECT COUNT(*) FROM operator_actions WHERE sent_at IS NULL) < CAST(?8 AS INTEGER) AND NOT ${SAME_SINCE}`,
      )
      .bind(...bound),
    db.prepare(`SELECT ${SAME_SINCE} AS known`).bind(...bound),
  ]);
  if (written?.meta.changes === 1) return "kept";
  return known?.results[0]?.known === 1 ? "known" : "full";
}

export async function markSent(db: D1Database, actionId: string, now: number): Promise<void> {
  await db
    .prepare("UPDATE operator_actions SET sent_at = CAST(?2 AS INTEGER) WHERE action_id = ?1 AND sent_at IS NULL")
    .bind(actionId, now)
    .run();
}

/** Oldest first. */
export async function waitingActions(db: D1Database, limit: number): Promise<readonly OperatorAction[]> {
  return drizzle(db)
    .select()
    .from(operatorActions)
    .where(isNull(operatorActions.sentAt))
    .orderBy(asc(operatorActions.at), asc(operatorActions.actionId))
    .limit(limit)
    .all();
}

export async function countWaitingActions(db: D1Database): Promise<number> {
  const row = await db
    .prepare("SELECT COUNT(*) AS count FROM operator_actions WHERE sent_at IS NULL")
    .first<{ readonly count: number }>();
  return row?.count ?? 0;
}

/** Removes what core has had since before `before`. */
export async function pruneSentActions(db: D1Database, before: number, limit: number): Promise<void> {
  await db
    .prepare(
      `DELETE FROM operator_actions WHERE action_id IN
       (SELECT action_id FROM operator_actions WHERE sent_at < CAST(?1 AS INTEGER) LIMIT ?2)`,
    )
    .bind(before, limit)
    .run();
}
