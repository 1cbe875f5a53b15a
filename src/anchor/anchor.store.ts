/** The record of anchors in D1, and the ledger head that the next anchor takes. */
import type { EntryAnchor } from "./anchor-view.ts";
import { eventKey, historyOf } from "./history.ts";
import type { LedgerHead } from "./next-action.ts";
import type { AnchorChange } from "./state.ts";

/** Which ledger on which contract the rows are about. */
export interface AnchorTarget {
  readonly ledgerId: string;
  readonly chainId: number;
  /** Lower-case address. */
  readonly contractAddress: string;
}

/** The committed head, from the primary; undefined when the ledger has no head or no entry yet. */
export async function readLedgerHead(db: D1Database, ledgerId: string): Promise<LedgerHead | undefined> {
  const row = await db
    .prepare(`SELECT size, root_hash FROM ledger_heads WHERE ledger_id = ?`)
    .bind(ledgerId)
    .first<{ size: number; root_hash: string }>();
  return row === null || row.size === 0 ? undefined : { size: row.size, root: row.root_hash };
}

type Submitted = Extract<AnchorChange, { type: "submitted" }>;
type Confirmed = Extract<AnchorChange, { type: "confirmed" }>;
type Failed = Extract<AnchorChange, { type: "failed" }>;

/** A confirmed row stays confirmed: a late record of an earlier step must not undo it. */
export function recordSubmittedStatement(
  db: D1Database,
  target: AnchorTarget,
  { transaction, nonce, reason, at }: Submitted,
): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO anchors (ledger_id, size, root_hash, previous_size, state, reason, chain_id, contract_address, nonce,
         tx_hash, submitted_at)
       VALUES (?1, ?2, ?3, ?4, 'submitted', ?5, ?6, ?7, ?8, ?9, ?10)
       ON CONFLICT (ledger_id, size) DO UPDATE SET root_hash = excluded.root_hash, previous_size = excluded.previous_size,
         state = 'submitted', reason = excluded.reason, chain_id = excluded.chain_id,
         contract_address = excluded.contract_address, nonce = excluded.nonce, tx_hash = excluded.tx_hash,
         submitted_at = excluded.submitted_at
       WHERE anchors.state <> 'confirmed'`,
    )
    .bind(
      target.ledgerId,
      transaction.size,
      transaction.root,
      transaction.previousSize,
      reason,
      target.chainId,
      target.contractAddress,
      nonce,
      transaction.hash,
      at,
    );
}

/**
 * Everything that a confirmation means, for one batch: the row, and the replacements that lost. Rows of the outbox that waited for it
 * are due with that.
 */
export function recordConfirmedStatements(
  db: D1Database,
  target: AnchorTarget,
  { anchor }: Confirmed,
): readonly D1PreparedStatement[] {
  const { ledgerId, chainId, contractAddress } = target;
  const { size, root, previousSize, txHash, blockNumber, blockHash, logIndex, confirmedAt, sent } = anchor;
  return [
    db
      .prepare(
        `INSERT INTO anchors (ledger_id, size, root_hash, previous_size, state, reason, chain_id, contract_address, nonce,
           tx_hash, block_number, block_hash, log_index, submitted_at, confirmed_at)
         VALUES (?1, ?2, ?3, ?4, 'confirmed', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (ledger_id, size) DO UPDATE SET root_hash = excluded.root_hash,
           previous_size = excluded.previous_size, state = 'confirmed', reason = excluded.reason,
           chain_id = excluded.chain_id, contract_address = excluded.contract_address, nonce = excluded.nonce,
           tx_hash = excluded.tx_hash, block_number = excluded.block_number, block_hash = excluded.block_hash,
           log_index = excluded.log_index, confirmed_at = excluded.confirmed_at`,
      )
      .bind(
        ledgerId,
        size,
        root,
        previousSize,
        sent === undefined ? "found-on-chain" : null,
        chainId,
        contractAddress,
        sent?.nonce ?? -1, // an anchor that was found on chain has no nonce of ours
        txHash,
        blockNumber,
        blockHash,
        logIndex,
        sent?.transaction.signedAt ?? confirmedAt,
        confirmedAt,
      ),
    db
      .prepare(
        `UPDATE anchors SET state = 'failed', reason = 'replaced'
         WHERE ledger_id = ?1 AND state = 'submitted' AND chain_id = ?2 AND contract_address = ?3 AND nonce = ?4`,
      )
      .bind(ledgerId, chainId, contractAddress, sent?.nonce ?? -1),
  ];
}

/** A row whose transaction has changed since is about another attempt and stays as it is. */
export function recordFailedStatements(
  db: D1Database,
  target: AnchorTarget,
  { transactions, reason }: Failed,
): readonly D1PreparedStatement[] {
  return transactions.map(({ size, hash }) =>
    db
      .prepare(
        `UPDATE anchors SET state = 'failed', reason = ?1, block_number = NULL, block_hash = NULL, log_index = NULL,
           confirmed_at = NULL
         WHERE ledger_id = ?2 AND size = ?3 AND tx_hash = ?4 AND (state = 'submitted' OR ?1 = 'reorganized')`,
      )
      .bind(reason, target.ledgerId, size, hash),
  );
}

/** The events of a change: a row that is there already stays as it is. */
function recordHistoryStatement(db: D1Database, target: AnchorTarget, change: AnchorChange): D1PreparedStatement {
  const events = historyOf(change).map((event) => ({ ...event, key: eventKey(event) }));
  return db
    .prepare(
      `INSERT INTO anchor_events (ledger_id, event_key, size, root_hash, type, reason, at, chain_id, contract_address,
         tx_hash, nonce, fee_per_gas_wei, block_number, block_hash, actor)
       SELECT ?1, value ->> 'key', value ->> 'size', value ->> 'rootHash', value ->> 'type', value ->> 'reason',
         value ->> 'at', ?2, ?3, value ->> 'txHash', value ->> 'nonce', value ->> 'feePerGasWei',
         value ->> 'blockNumber', value ->> 'blockHash', value ->> 'actor'
       FROM json_each(?4)
       WHERE NOT EXISTS (SELECT 1 FROM anchor_events WHERE ledger_id = ?1 AND event_key = value ->> 'key')
       ORDER BY key`,
    )
    .bind(target.ledgerId, target.chainId, target.contractAddress, JSON.stringify(events));
}

function recordAnchorStatements(
  db: D1Database,
  target: AnchorTarget,
  change: AnchorChange,
): readonly D1PreparedStatement[] {
  switch (change.type) {
    case "submitted":
      return [recordSubmittedStatement(db, target, change)];
    case "confirmed":
      return recordConfirmedStatements(db, target, change);
    case "failed":
      return recordFailedStatements(db, target, change);
    case "noted":
      return [];
  }
}

/** Everything that one change means to the database. May run twice, in the order in which the changes happened. */
export const recordStatements = (
  db: D1Database,
  target: AnchorTarget,
  change: AnchorChange,
): readonly D1PreparedStatement[] => [
  ...recordAnchorStatements(db, target, change),
  recordHistoryStatement(db, target, change),
];

export interface AnchorRow {
  readonly state: string;
  readonly size: number;
  readonly root_hash: string;
  readonly tx_hash: string;
  readonly block_number: number | null;
  readonly block_hash: string | null;
  readonly log_index: number | null;
  readonly contract_address: string;
  readonly chain_id: number;
  readonly submitted_at: number;
  readonly confirmed_at: number | null;
}

const ANCHOR_COLUMNS = `state, size, root_hash, tx_hash, block_number, block_hash, log_index, contract_address, chain_id,
  submitted_at, confirmed_at`;

/**
 * Selects the anchor that covers an entry: the first confirmed one, else the one in flight.
 * @param seq the entry's, in SQL: a parameter or a subselect. The ledger's id is ?1.
 */
export const selectAnchorFor = (seq: string): string =>
  `SELECT * FROM (SELECT ${ANCHOR_COLUMNS} FROM anchors WHERE ledger_id = ?1 AND state = 'confirmed' AND size > ${seq}
     ORDER BY size LIMIT 1)
   UNION ALL
   SELECT * FROM (SELECT ${ANCHOR_COLUMNS} FROM anchors WHERE ledger_id = ?1 AND state = 'submitted' AND size > ${seq}
     ORDER BY size DESC LIMIT 1)
   ORDER BY state LIMIT 1`; // 'confirmed' sorts before 'submitted'

/** What is known of the anchor that covers entry `seq`. */
export async function anchorFor(db: D1Database, ledgerId: string, seq: number): Promise<EntryAnchor> {
  return entryAnchorFromRow(await db.prepare(selectAnchorFor("?2")).bind(ledgerId, seq).first<AnchorRow>());
}

/** @param row of `selectAnchorFor`; nothing when no anchor covers the entry. */
export function entryAnchorFromRow(row: AnchorRow | null | undefined): EntryAnchor {
  if (row === null || row === undefined) return { state: "none" };
  const sent = {
    size: row.size,
    rootHash: row.root_hash,
    txHash: row.tx_hash,
    contractAddress: row.contract_address,
    chainId: row.chain_id,
    submittedAt: row.submitted_at,
  };
  const { block_number: blockNumber, block_hash: blockHash, log_index: logIndex, confirmed_at: confirmedAt } = row;
  if (blockNumber === null || blockHash === null || logIndex === null || confirmedAt === null) {
    return { state: "submitted", ...sent };
  }
  return { state: "confirmed", ...sent, blockNumber, blockHash, logIndex, confirmedAt };
}
