/** Reads of settlements. */
import { firstSeqOf } from "../ledger/subject.store.ts";

import type { SettlementState, SettlementStatus, SettlementType } from "./settlement.ts";
import { type SettlementRow, settlementFromRow } from "./settlement-row.ts";

/** Of one subject, in the order in which they were asked for. */
export async function settlementsOf(
  db: D1Database,
  ledgerId: string,
  subject: string,
): Promise<readonly SettlementState[]> {
  const { results } = await db
    .prepare("SELECT * FROM settlements WHERE ledger_id = ? AND subject = ? ORDER BY created_seq LIMIT 100")
    .bind(ledgerId, subject)
    .all<SettlementRow>();
  return results.map(settlementFromRow);
}

/** A settlement with the id of the claim or request that it is about; its hash where that was erased. */
export interface ListedSettlement {
  readonly settlement: SettlementState;
  readonly claimId: string;
}

const BEGINNING = firstSeqOf("s.ledger_id", "s.subject");

const SELECT_LISTED = `SELECT s.*, COALESCE(
    (SELECT c.claim_id FROM claims AS c WHERE c.ledger_id = s.ledger_id AND c.created_seq = ${BEGINNING}),
    (SELECT r.request_id FROM requests AS r WHERE r.ledger_id = s.ledger_id AND r.submitted_seq = ${BEGINNING}),
    s.subject) AS claim_id FROM settlements AS s`;

type ListedRow = SettlementRow & { readonly claim_id: string };
const listedFromRow = (row: ListedRow): ListedSettlement => ({
  settlement: settlementFromRow(row),
  claimId: row.claim_id,
});

/** @param tenantId undefined: of any tenant. */
export async function findSettlement(
  db: D1Database,
  ledgerId: string,
  refId: string,
  tenantId: string | undefined,
): Promise<ListedSettlement | undefined> {
  const row = await db
    .prepare(`${SELECT_LISTED} WHERE s.ledger_id = ?1 AND s.ref_id = ?2 AND (?3 IS NULL OR s.tenant_id = ?3)`)
    .bind(ledgerId, refId, tenantId ?? null)
    .first<ListedRow>();
  return row === null ? undefined : listedFromRow(row);
}

export interface SettlementFilter {
  readonly tenantId?: string | undefined;
  readonly subject?: string | undefined;
  readonly status?: SettlementStatus | undefined;
  readonly type?: SettlementType | undefined;
  readonly currency?: string | undefined;
  /** Epoch ms, inclusive. */
  readonly from?: number | undefined;
  /** Epoch ms, exclusive. */
  readonly to?: number | undefined;
  /** createdSeq of the last one seen: older ones follow. */
  readonly before?: number | undefined;
}

/** Newest first. */
export async function listSettlements(
  db: D1Database,
  ledgerId: string,
  filter: SettlementFilter,
  limit: number,
): Promise<readonly ListedSettlement[]> {
  const conditions: readonly (readonly [string, string | number | undefined])[] = [
    ["s.tenant_id = ", filter.tenantId],
    ["s.subject = ", filter.subject],
    ["s.status = ", filter.status],
    ["s.type = ", filter.type],
    ["s.currency = ", filter.currency],
    ["s.created_at >= ", filter.from],
    ["s.created_at < ", filter.to],
    ["s.created_seq < ", filter.before],
  ];
  const given = conditions.flatMap(([sql, value]) => (value === undefined ? [] : [{ sql, value }]));
  const where = given.map(({ sql }, i) => ` AND ${sql}?${i + 3}`).join("");
  const { results } = await db
    .prepare(`${SELECT_LISTED} WHERE s.ledger_id = ?1${where} ORDER BY s.created_seq DESC LIMIT ?2`)
    .bind(ledgerId, limit, ...given.map(({ value }) => value))
    .all<ListedRow>();
  return results.map(listedFromRow);
}

/** Entries of one settlement: those of its subject that name it. */
export async function settlementEntries(
  db: D1Database,
  ledgerId: string,
  { subject, refId }: Pick<SettlementState, "subject" | "refId">,
): Promise<readonly { readonly seq: number; readonly entry_hash: string; readonly body: string }[]> {
  const { results } = await db
    .prepare(
      `SELECT seq, entry_hash, body FROM ledger_entries INDEXED BY ledger_entries_subject
       WHERE ledger_id = ? AND subject = ? AND body ->> '$.data.refId' = ? ORDER BY seq LIMIT 100`,
    )
    .bind(ledgerId, subject, refId)
    .all<{ seq: number; entry_hash: string; body: string }>();
  return results;
}

/** Whether the ledger has the first entry of a command: what an effect that nobody heard of really came to. */
export async function isInLedger(db: D1Database, ledgerId: string, commandId: string): Promise<boolean> {
  const row = await db
    .prepare("SELECT 1 AS found FROM ledger_entries WHERE ledger_id = ? AND command_id = ? AND command_index = 0")
    .bind(ledgerId, commandId)
    .first();
  return row !== null;
}
