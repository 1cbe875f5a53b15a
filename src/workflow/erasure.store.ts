/** What is left to do, and to say, of erased subjects. */
import type { PendingErasure } from "./erasure.ts";
import { type EntryRow, type LedgerEvent, ledgerEventFromRow } from "./subject-rows.ts";

/**
 * The ERASED entry.
 * @throws Error when there is none: the projection said there is.
 */
export async function readErasedEntry(db: D1Database, ledgerId: string, seq: number): Promise<LedgerEvent> {
  const row = await db
    .prepare("SELECT seq, entry_hash, body FROM ledger_entries WHERE ledger_id = ? AND seq = ?")
    .bind(ledgerId, seq)
    .first<EntryRow>();
  const event = row === null ? undefined : ledgerEventFromRow(row);
  if (event?.type !== "ERASED") throw new Error(`entry ${seq} is no erasure`);
  return event;
}

/** Erased subjects whose objects are to be looked for now, the longest waiting first. */
export async function dueErasures(
  db: D1Database,
  ledgerId: string,
  now: number,
  limit: number,
): Promise<readonly PendingErasure[]> {
  const { results } = await db
    .prepare(
      `SELECT subject, erased_at FROM pending_erasures WHERE ledger_id = ? AND due_at <= ? ORDER BY due_at LIMIT ?`,
    )
    .bind(ledgerId, now, limit)
    .all<{ subject: string; erased_at: number }>();
  return results.map((row) => ({ subject: row.subject, erasedAt: row.erased_at }));
}

/** @param dueAt undefined: nothing is left to delete. */
export async function settleErasure(
  db: D1Database,
  ledgerId: string,
  subject: string,
  dueAt: number | undefined,
): Promise<void> {
  await (dueAt === undefined
    ? db.prepare("DELETE FROM pending_erasures WHERE ledger_id = ? AND subject = ?").bind(ledgerId, subject)
    : db
        .prepare("UPDATE pending_erasures SET due_at = ?3 WHERE ledger_id = ?1 AND subject = ?2")
        .bind(ledgerId, subject, dueAt)
  ).run();
}
