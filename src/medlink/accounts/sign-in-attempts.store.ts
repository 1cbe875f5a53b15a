/** Attempts at a password or a code, counted for the account and for the address they come from. */
import { ACCOUNT_FAILURES, ADDRESS_FAILURES, type Attempt, LOCKOUT_WINDOW_MS } from "./lockout.ts";

/** Both are keyed hashes. */
export interface AttemptKeys {
  readonly account: string;
  readonly address: string;
}

const newest = (db: D1Database, column: "account_hash" | "address_hash", key: string, since: number, limit: number) =>
  db
    .prepare(`SELECT state, at FROM sign_in_attempts WHERE ${column} = ? AND at > ? ORDER BY at DESC LIMIT ?`)
    .bind(key, since, limit);

/**
 * Writes an attempt down unless there are too many: one statement decides and writes, so attempts at the same moment do not
 * pass each other.
 * @returns its id, or the attempts that stand in its way.
 */
export async function reserveAttempt(
  db: D1Database,
  keys: AttemptKeys,
  now: number,
): Promise<
  | { readonly type: "reserved"; readonly attemptId: number }
  | { readonly type: "refused"; readonly account: readonly Attempt[]; readonly address: readonly Attempt[] }
> {
  const since = now - LOCKOUT_WINDOW_MS;
  const [reserved, account, address] = await db.batch<Attempt & { readonly attempt_id: number }>([
    db
      .prepare(
        `INSERT INTO sign_in_attempts (account_hash, address_hash, state, at) SELECT ?1, ?2, 'pending', ?3
         WHERE (SELECT COUNT(*) FROM sign_in_attempts WHERE account_hash = ?1 AND at > ?4) < ?5
           AND (SELECT COUNT(*) FROM sign_in_attempts WHERE address_hash = ?2 AND at > ?4) < ?6
         RETURNING attempt_id`,
      )
      .bind(keys.account, keys.address, now, since, ACCOUNT_FAILURES, ADDRESS_FAILURES),
    newest(db, "account_hash", keys.account, since, ACCOUNT_FAILURES),
    newest(db, "address_hash", keys.address, since, ADDRESS_FAILURES),
  ]);
  const attemptId = reserved?.results[0]?.attempt_id;
  return attemptId === undefined
    ? { type: "refused", account: account?.results ?? [], address: address?.results ?? [] }
    : { type: "reserved", attemptId };
}

export const attemptFailed = (db: D1Database, attemptId: number): D1PreparedStatement =>
  db.prepare("UPDATE sign_in_attempts SET state = 'failed' WHERE attempt_id = ?").bind(attemptId);

/** It was right: it counts for nothing. */
export const attemptDelete = (db: D1Database, attemptId: number): D1PreparedStatement =>
  db.prepare("DELETE FROM sign_in_attempts WHERE attempt_id = ?").bind(attemptId);

/** After a whole sign-in. Attempts under way stay: they are not known to be the owner's. */
export const failuresDelete = (db: D1Database, account: string): D1PreparedStatement =>
  db.prepare("DELETE FROM sign_in_attempts WHERE account_hash = ? AND state = 'failed'").bind(account);

/** @returns how many failed within the window. */
export async function countFailures(db: D1Database, account: string, now: number): Promise<number> {
  const count = await db
    .prepare("SELECT COUNT(*) AS n FROM sign_in_attempts WHERE account_hash = ? AND state = 'failed' AND at > ?")
    .bind(account, now - LOCKOUT_WINDOW_MS)
    .first<number>("n");
  return count ?? 0;
}

export const attemptsPrune = (db: D1Database, before: number, limit: number): D1PreparedStatement =>
  db
    .prepare(
      `DELETE FROM sign_in_attempts WHERE attempt_id IN
       (SELECT attempt_id FROM sign_in_attempts WHERE at < ? LIMIT ?)`,
    )
    .bind(before, limit);
