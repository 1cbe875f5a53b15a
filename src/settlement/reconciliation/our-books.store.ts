/** Our settlements as reconciliation reads them: a day at a time, in order of refId. */
import type { OurSettlement, OurStatus } from "./compare.ts";
import type { Span } from "./days.ts";

interface Row {
  readonly ref_id: string;
  readonly tenant_id: string;
  readonly type: string;
  readonly amount_cents: number;
  readonly currency: string;
  readonly status: OurStatus;
  readonly reverses: string | null;
  readonly operator_transaction_id: string | null;
  readonly created_at: number;
  readonly updated_at: number;
}

const COLUMNS =
  "ref_id, tenant_id, type, amount_cents, currency, status, reverses, operator_transaction_id, created_at, updated_at";

const settlementOf = (row: Row): OurSettlement => ({
  refId: row.ref_id,
  tenantId: row.tenant_id,
  type: row.type,
  amountCents: row.amount_cents,
  currency: row.currency,
  status: row.status,
  reverses: row.reverses,
  operatorTransactionId: row.operator_transaction_id,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

/** Asked for once for each page of a day: the index on (ledger_id, created_at, ref_id) has the day together. */
export async function ourPage(
  db: D1Database,
  ledgerId: string,
  { from, to }: Span,
  after: string,
  limit: number,
): Promise<readonly OurSettlement[]> {
  const { results } = await db
    .prepare(
      `SELECT ${COLUMNS} FROM settlements
       WHERE ledger_id = ? AND created_at >= ? AND created_at < ? AND ref_id > ? ORDER BY ref_id LIMIT ?`,
    )
    .bind(ledgerId, from, to, after, limit)
    .all<Row>();
  return results.map(settlementOf);
}

export async function ourOne(db: D1Database, ledgerId: string, refId: string): Promise<OurSettlement | undefined> {
  const row = await db
    .prepare(`SELECT ${COLUMNS} FROM settlements WHERE ledger_id = ? AND ref_id = ?`)
    .bind(ledgerId, refId)
    .first<Row>();
  return row === null ? undefined : settlementOf(row);
}

/** Those of these that we have, of whatever day. */
export async function knownRefIds(
  db: D1Database,
  ledgerId: string,
  refIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const { results } = await db
    .prepare(
      `SELECT s.ref_id FROM json_each(?2) AS asked
       JOIN settlements AS s ON s.ledger_id = ?1 AND s.ref_id = asked.value`,
    )
    .bind(ledgerId, JSON.stringify(refIds))
    .all<{ ref_id: string }>();
  return new Set(results.map(({ ref_id }) => ref_id));
}

export async function countOurs(db: D1Database, ledgerId: string, { from, to }: Span): Promise<number> {
  const count = await db
    .prepare("SELECT COUNT(*) AS n FROM settlements WHERE ledger_id = ? AND created_at >= ? AND created_at < ?")
    .bind(ledgerId, from, to)
    .first<number>("n");
  return count ?? 0;
}
