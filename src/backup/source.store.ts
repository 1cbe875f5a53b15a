/** What a snapshot reads of every other table. */
import { rowsOf } from "../platform/rows.store.ts";
import type { CopiedTable } from "./catalogue.ts";
import type { Range } from "./segments.ts";

/** What the ledger was when the run began, all of one moment. */
export interface LedgerFacts {
  readonly size: number;
  readonly headHash: string;
  readonly rootHash: string;
  readonly lastAt: string;
  readonly checkpoint: { readonly size: number; readonly rootHash: string; readonly note: string } | null;
  readonly anchor: {
    readonly size: number;
    readonly rootHash: string;
    readonly chainId: number;
    readonly contractAddress: string;
    readonly txHash: string;
    readonly blockNumber: number | null;
    readonly blockHash: string | null;
  } | null;
}

export async function readLedgerFacts(db: D1Database, ledgerId: string): Promise<LedgerFacts | undefined> {
  const size = "(SELECT size FROM ledger_heads WHERE ledger_id = ?1)";
  const [heads, checkpoints, anchors] = await db.batch<unknown>([
    db
      .prepare(
        `SELECT size, head_hash AS headHash, root_hash AS rootHash, last_at AS lastAt FROM ledger_heads WHERE ledger_id = ?1`,
      )
      .bind(ledgerId),
    db
      .prepare(
        `SELECT size, root_hash AS rootHash, note FROM checkpoints WHERE ledger_id = ?1 AND size <= ${size}
         ORDER BY size DESC LIMIT 1`,
      )
      .bind(ledgerId),
    db
      .prepare(
        `SELECT size, root_hash AS rootHash, chain_id AS chainId, contract_address AS contractAddress, tx_hash AS txHash,
           block_number AS blockNumber, block_hash AS blockHash
         FROM anchors WHERE ledger_id = ?1 AND state = 'confirmed' AND size <= ${size} ORDER BY size DESC LIMIT 1`,
      )
      .bind(ledgerId),
  ]);
  const [head] = rowsOf<Pick<LedgerFacts, "size" | "headHash" | "rootHash" | "lastAt">>(heads);
  if (head === undefined) return undefined;
  const [checkpoint = null] = rowsOf<NonNullable<LedgerFacts["checkpoint"]>>(checkpoints);
  const [anchor = null] = rowsOf<NonNullable<LedgerFacts["anchor"]>>(anchors);
  return { ...head, checkpoint, anchor };
}

/** Names of the migrations that were applied; none where that is not recorded. */
export async function appliedMigrations(db: D1Database): Promise<readonly string[]> {
  const table = await db.prepare("SELECT name FROM sqlite_schema WHERE name = 'd1_migrations'").first();
  if (table === null) return [];
  const { results } = await db.prepare("SELECT name FROM d1_migrations ORDER BY id").all<{ name: string }>();
  return results.map(({ name }) => name);
}

export interface EntryLine {
  readonly seq: number;
  readonly hash: string;
  readonly commandId: string;
  readonly commandIndex: number;
  readonly body: string;
}

export async function readEntryLines(
  db: D1Database,
  ledgerId: string,
  { from, to }: Range,
): Promise<readonly EntryLine[]> {
  const { results } = await db
    .prepare(
      `SELECT seq, entry_hash AS hash, command_id AS commandId, command_index AS commandIndex, body
       FROM ledger_entries WHERE ledger_id = ? AND seq >= ? AND seq < ? ORDER BY seq`,
    )
    .bind(ledgerId, from, to)
    .all<EntryLine>();
  return results;
}

type Row = Readonly<Record<string, unknown>>;

export const PAYLOADS_OF_RANGE = `SELECT p.* FROM (SELECT DISTINCT subject FROM ledger_entries
    WHERE ledger_id = ?1 AND seq >= ?2 AND seq < ?3) AS e
  CROSS JOIN payloads AS p ON p.ledger_id = ?1 AND p.subject_seq = (SELECT MIN(seq) FROM ledger_entries AS f
    INDEXED BY ledger_entries_subject WHERE f.ledger_id = ?1 AND f.subject = e.subject)
  ORDER BY p.subject_seq, p.part`;

/**
 * Ciphertext of every subject that an entry of the range is about. A part is committed with an entry of its subject, so the
 * segments together hold every part; one whose entries are in two segments may be in both.
 */
export async function readPayloadRows(db: D1Database, ledgerId: string, { from, to }: Range): Promise<readonly Row[]> {
  const { results } = await db.prepare(PAYLOADS_OF_RANGE).bind(ledgerId, from, to).all<Row>();
  return results;
}

export interface KeyFacts {
  readonly kind: "request" | "claim" | null;
  readonly tenantId: string | null;
  readonly id: string | null;
  readonly amountMinor: number | null;
  readonly currency: string | null;
}

export const KEYS_OF_RANGE = `WITH begun (subject, seq) AS MATERIALIZED (
    SELECT subject, seq FROM ledger_entries AS e WHERE ledger_id = ?1 AND seq >= ?2 AND seq < ?3
      AND NOT EXISTS (SELECT 1 FROM ledger_entries AS earlier INDEXED BY ledger_entries_subject
        WHERE earlier.ledger_id = ?1 AND earlier.subject = e.subject AND earlier.seq < e.seq))
  SELECT k.*, CASE WHEN r.request_id IS NOT NULL THEN 'request' WHEN c.claim_id IS NOT NULL THEN 'claim' END AS x_kind,
    COALESCE(r.tenant_id, c.tenant_id) AS x_tenant, COALESCE(r.request_id, c.claim_id) AS x_id,
    COALESCE(r.amount_minor, c.amount_minor) AS x_amount, COALESCE(r.currency, c.currency) AS x_currency
  FROM begun CROSS JOIN payload_keys AS k ON k.ledger_id = ?1 AND k.subject_seq = begun.seq
  LEFT JOIN requests AS r ON r.ledger_id = ?1 AND r.submitted_seq = begun.seq
  LEFT JOIN claims AS c ON c.ledger_id = ?1 AND c.created_seq = begun.seq
  ORDER BY begun.seq`;

/** Wrapped keys of the subjects that begin in the range, and what their projections have that no entry says. */
export async function readKeyRows(
  db: D1Database,
  ledgerId: string,
  { from, to }: Range,
): Promise<readonly { readonly row: Row; readonly facts: KeyFacts }[]> {
  const { results } = await db.prepare(KEYS_OF_RANGE).bind(ledgerId, from, to).all<Row>();
  return results.map((result) => {
    const { x_kind, x_tenant, x_id, x_amount, x_currency, ...row } = result;
    return {
      row,
      facts: {
        kind: x_kind === "request" || x_kind === "claim" ? x_kind : null,
        tenantId: textOrNull(x_tenant),
        id: textOrNull(x_id),
        amountMinor: typeof x_amount === "number" ? x_amount : null,
        currency: textOrNull(x_currency),
      },
    };
  });
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);

export interface TableShape {
  readonly columns: readonly string[];
  readonly key: readonly string[];
}

const identifier = (name: string): string => {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new RangeError(`${name} is no name of ours`);
  return `"${name}"`;
};

/** Columns in their order and those of the primary key. @throws Error when there is no such table. */
export async function tableShape(db: D1Database, table: string): Promise<TableShape> {
  const { results } = await db
    .prepare("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid")
    .bind(table)
    .all<{ name: string; pk: number }>();
  const key = results.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
  if (results.length === 0 || key.length === 0) throw new Error(`there is no table ${table} with a key`);
  return { columns: results.map(({ name }) => name), key: key.map(({ name }) => name) };
}

/** Rows behind `after` in the order of the key; each as its values in the order of `columns`. */
export async function readTablePage(
  db: D1Database,
  table: CopiedTable,
  shape: TableShape,
  after: readonly unknown[] | null,
  size: number,
  limit: number,
): Promise<readonly (readonly unknown[])[]> {
  const key = shape.key.map(identifier);
  const conditions: string[] = [];
  const values: unknown[] = [];
  if (after !== null) {
    conditions.push(`(${key.join(", ")}) > (${key.map(() => "?").join(", ")})`);
    values.push(...after);
  }
  const { within } = table;
  if (within !== undefined) {
    const column = identifier(within.column);
    conditions.push(`(${column} IS NULL OR ${column} ${within.is === "seq" ? "<" : "<="} ?)`);
    values.push(size);
  }
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  const { results } = await db
    .prepare(
      `SELECT ${shape.columns.map(identifier).join(", ")} FROM ${identifier(table.name)} ${where}
       ORDER BY ${key.join(", ")} LIMIT ?`,
    )
    .bind(...values, limit)
    .all<Row>();
  return results.map((row) => shape.columns.map((column) => row[column]));
}

/** Deliveries of entries below `to` that come after this one, with the columns' names. Their ids rise with the ledger. */
export async function readOutboxAfter(
  db: D1Database,
  ledgerId: string,
  after: number,
  { from, to }: Range,
): Promise<readonly (Row & { readonly outbox_id: number })[]> {
  const { results } = await db
    .prepare(
      "SELECT * FROM outbox WHERE outbox_id > ? AND ledger_id = ? AND seq >= ? AND seq < ? ORDER BY outbox_id LIMIT 10000",
    )
    .bind(after, ledgerId, from, to)
    .all<Row & { outbox_id: number }>();
  return results;
}

/** Settlements that these entries made, as they stand: their amounts are in no entry. */
export const SETTLEMENTS_OF_RANGE =
  "SELECT * FROM settlements WHERE ledger_id = ?1 AND created_seq >= ?2 AND created_seq < ?3";

/** The idempotency keys that made them: who sends again after a restore must not be taken for somebody new. */
export const IDEMPOTENCY_KEYS_OF_RANGE = `SELECT k.* FROM settlements AS s
  CROSS JOIN idempotency_keys AS k INDEXED BY idempotency_keys_effect ON k.effect_id = s.ref_id
  WHERE s.ledger_id = ?1 AND s.created_seq >= ?2 AND s.created_seq < ?3`;

export async function readSettlementRows(
  db: D1Database,
  ledgerId: string,
  { from, to }: Range,
): Promise<{ readonly settlements: readonly Row[]; readonly idempotency: readonly Row[] }> {
  const [settlements, idempotency] = await db.batch<Row>(
    [SETTLEMENTS_OF_RANGE, IDEMPOTENCY_KEYS_OF_RANGE].map((sql) => db.prepare(sql).bind(ledgerId, from, to)),
  );
  return { settlements: settlements?.results ?? [], idempotency: idempotency?.results ?? [] };
}

/** What operators did in these entries: of their details the entries hold a commitment alone. */
export const OPERATOR_ACTIONS_OF_RANGE =
  "SELECT * FROM operator_actions INDEXED BY operator_actions_seq WHERE ledger_id = ?1 AND seq >= ?2 AND seq < ?3";

export async function readOperatorActionRows(
  db: D1Database,
  ledgerId: string,
  { from, to }: Range,
): Promise<readonly Row[]> {
  const { results } = await db.prepare(OPERATOR_ACTIONS_OF_RANGE).bind(ledgerId, from, to).all<Row>();
  return results;
}
