/** The simulated operator's books: a database file of its own, written before anything is answered. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";

export const TYPES = ["payment", "reversal", "adjustment"] as const;
export const STATUSES = ["ACCEPTED", "COMPLETED", "REJECTED"] as const;

export const transactionSchema = z.object({
  transactionId: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  operatorTransactionId: z.string(),
  type: z.enum(TYPES),
  amountCents: z.int().refine((amount) => amount !== 0, "is 0"),
  currency: z.string().regex(/^[A-Z]{3}$/),
  reverses: z.string().nullable(),
  status: z.enum(STATUSES),
  reason: z.string().nullable(),
  createdAt: z.int(),
  updatedAt: z.int(),
});

export type Transaction = z.output<typeof transactionSchema>;

const rowSchema = transactionSchema.extend({ completesAt: z.int().nullable() });

const COLUMNS = `transaction_id AS transactionId, operator_transaction_id AS operatorTransactionId, type,
  amount_cents AS amountCents, currency, reverses, status, reason, created_at AS createdAt, updated_at AS updatedAt,
  completes_at AS completesAt`;

export interface NewTransaction extends Pick<Transaction, "transactionId" | "type" | "amountCents" | "currency"> {
  readonly reverses: string | null;
}

export interface Books {
  /** As it stands at `now`: what was to be completed by then is. */
  find(transactionId: string, now: number): Transaction | undefined;
  /** On disk when it returns. */
  add(
    made: NewTransaction,
    fate: {
      readonly status: Transaction["status"];
      readonly reason: string | null;
      readonly completesAt: number | null;
    },
    now: number,
  ): Transaction;
  page(
    range: { readonly from: number; readonly until: number; readonly after: string },
    limit: number,
    now: number,
  ): readonly Transaction[];
  change(
    transactionId: string,
    fields: Partial<Pick<Transaction, "amountCents" | "currency" | "status" | "type">>,
  ): boolean;
  drop(transactionId: string): boolean;
  count(): number;
  close(): void;
}

/** @param path of the database file; `:memory:` keeps nothing. */
export function openBooks(path: string): Books {
  if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true });
  const database = new DatabaseSync(path);
  // FULL: what was answered is on the disk, whatever happens to this process or the machine.
  database.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS transactions (
      number INTEGER PRIMARY KEY AUTOINCREMENT,
      transaction_id TEXT NOT NULL UNIQUE,
      operator_transaction_id TEXT,
      type TEXT NOT NULL,
      amount_cents INTEGER NOT NULL,
      currency TEXT NOT NULL,
      reverses TEXT,
      status TEXT NOT NULL,
      reason TEXT,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      completes_at INTEGER
    );
    CREATE INDEX IF NOT EXISTS transactions_created ON transactions (created_at, transaction_id);
  `);
  const select = database.prepare(`SELECT ${COLUMNS} FROM transactions WHERE transaction_id = ?`);
  const insert = database.prepare(`
    INSERT INTO transactions (transaction_id, type, amount_cents, currency, reverses, status, reason, created_at, updated_at,
      completes_at, operator_transaction_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9,
      'op_' || printf('%016d', (SELECT coalesce(max(number), 0) + 1 FROM transactions)))`);
  const complete = database.prepare(`
    UPDATE transactions SET status = 'COMPLETED', updated_at = completes_at, completes_at = NULL
    WHERE status = 'ACCEPTED' AND completes_at <= ?`);
  const list = database.prepare(`
    SELECT ${COLUMNS} FROM transactions WHERE created_at >= ? AND created_at < ? AND transaction_id > ?
    ORDER BY transaction_id LIMIT ?`);
  const alter = database.prepare(`
    UPDATE transactions SET amount_cents = coalesce(?2, amount_cents), currency = coalesce(?3, currency),
      status = coalesce(?4, status), type = coalesce(?5, type), completes_at = CASE WHEN ?4 IS NULL THEN completes_at END
    WHERE transaction_id = ?1`);
  const remove = database.prepare("DELETE FROM transactions WHERE transaction_id = ?");
  const counted = database.prepare("SELECT count(*) AS n FROM transactions");

  const find = (transactionId: string, now: number): Transaction | undefined => {
    complete.run(now);
    const row = select.get(transactionId);
    return row === undefined ? undefined : transactionSchema.parse(rowSchema.parse({ ...row }));
  };
  return {
    find,
    add(made, fate, now) {
      insert.run(
        made.transactionId,
        made.type,
        made.amountCents,
        made.currency,
        made.reverses,
        fate.status,
        fate.reason,
        now,
        fate.completesAt,
      );
      const stored = find(made.transactionId, now);
      if (stored === undefined) throw new Error("what was stored is not there");
      return stored;
    },
    page({ from, until, after }, limit, now) {
      complete.run(now);
      return list.all(from, until, after, limit).map((row) => transactionSchema.parse({ ...row }));
    },
    change(transactionId, { amountCents = null, currency = null, status = null, type = null }) {
      return alter.run(transactionId, amountCents, currency, status, type).changes > 0;
    },
    drop: (transactionId) => remove.run(transactionId).changes > 0,
    count: () => Number(counted.get()?.n ?? 0),
    close: () => database.close(),
  };
}
