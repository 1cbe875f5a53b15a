/** Operator actions as they are kept: behind their entries, and those whose entry is still to come. */
import type { OperatorActionCode, RecordOperatorAction } from "./operator-action.ts";

export interface ListedAction {
  readonly seq: number;
  readonly at: string;
  readonly action: string;
  readonly actor: string;
  readonly reason: string | null;
  readonly target: string | null;
  readonly correlationId: string | null;
  readonly entryHash: string;
}

/** Newest first. @param before a seq; undefined: from the newest. */
export async function listOperatorActions(
  db: D1Database,
  ledgerId: string,
  filter: { readonly action: string | undefined; readonly actor: string | undefined },
  before: number | undefined,
  limit: number,
): Promise<readonly ListedAction[]> {
  const { results } = await db
    .prepare(
      `SELECT a.seq, e.body ->> '$.at' AS at, a.action, a.actor, a.reason, a.details ->> '$.target' AS target,
         a.details ->> '$.correlationId' AS correlationId, e.entry_hash AS entryHash
       FROM operator_actions AS a INDEXED BY operator_actions_seq
       JOIN ledger_entries AS e ON e.ledger_id = a.ledger_id AND e.seq = a.seq
       WHERE a.ledger_id = ?1 AND a.seq < ?2 AND (?3 IS NULL OR a.action = ?3) AND (?4 IS NULL OR a.actor = ?4)
       ORDER BY a.seq DESC LIMIT ?5`,
    )
    .bind(ledgerId, before ?? Number.MAX_SAFE_INTEGER, filter.action ?? null, filter.actor ?? null, limit)
    .all<ListedAction>();
  return results;
}

export async function findRecordedAction(
  db: D1Database,
  ledgerId: string,
  subject: string,
): Promise<{ readonly action: string; readonly target: string | null } | undefined> {
  const row = await db
    .prepare(
      "SELECT action, details ->> '$.target' AS target FROM operator_actions WHERE ledger_id = ?1 AND subject = ?2",
    )
    .bind(ledgerId, subject)
    .first<{ action: string; target: string | null }>();
  return row ?? undefined;
}

/** Actions of all keys that are looked through, newest first. */
const LOOKED_THROUGH = 1_000;

/** Whether this key did this since then, by the trail or by what waits for it. @param since epoch ms. */
export async function wasRecordedSince(
  db: D1Database,
  ledgerId: string,
  action: OperatorActionCode,
  actor: string,
  since: number,
): Promise<boolean> {
  const row = await db
    .prepare(
      `WITH newest AS MATERIALIZED (
         SELECT seq, action, actor FROM operator_actions INDEXED BY operator_actions_seq
         WHERE ledger_id = ?1 ORDER BY seq DESC LIMIT ${LOOKED_THROUGH})
       SELECT EXISTS (
         SELECT 1 FROM newest AS a JOIN ledger_entries AS e ON e.ledger_id = ?1 AND e.seq = a.seq
         WHERE a.action = ?2 AND a.actor = ?3 AND e.body ->> '$.at' >= ?5
       ) OR EXISTS (
         SELECT 1 FROM operator_actions_waiting WHERE ledger_id = ?1 AND waiting_since >= CAST(?4 AS INTEGER)
           AND command ->> '$.action' = ?2 AND command ->> '$.actor' = ?3
       ) AS found`,
    )
    .bind(ledgerId, action, actor, since, new Date(since).toISOString())
    .first<{ found: number }>();
  return row?.found === 1;
}

export async function keepWaiting(
  db: D1Database,
  ledgerId: string,
  command: RecordOperatorAction,
  now: number,
): Promise<void> {
  await db
    .prepare(
      `INSERT INTO operator_actions_waiting (ledger_id, subject, command, waiting_since) VALUES (?1, ?2, ?3, ?4)
       ON CONFLICT DO NOTHING`,
    )
    .bind(ledgerId, command.subject, JSON.stringify(command), now)
    .run();
}

/** Those that wait longest, as JSON. */
export async function waitingActions(
  db: D1Database,
  ledgerId: string,
  limit: number,
): Promise<readonly { readonly subject: string; readonly command: string }[]> {
  const { results } = await db
    .prepare(
      "SELECT subject, command FROM operator_actions_waiting WHERE ledger_id = ?1 ORDER BY waiting_since, subject LIMIT ?2",
    )
    .bind(ledgerId, limit)
    .all<{ subject: string; command: string }>();
  return results;
}

export async function countWaitingActions(db: D1Database, ledgerId: string): Promise<number> {
  const row = await db
    .prepare("SELECT COUNT(*) AS n FROM operator_actions_waiting WHERE ledger_id = ?1")
    .bind(ledgerId)
    .first<{ n: number }>();
  return row?.n ?? 0;
}

export async function dropWaiting(db: D1Database, ledgerId: string, subject: string): Promise<void> {
  await db
    .prepare("DELETE FROM operator_actions_waiting WHERE ledger_id = ?1 AND subject = ?2")
    .bind(ledgerId, subject)
    .run();
}
