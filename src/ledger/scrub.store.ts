/** What verification reads of the log's own tables: each call is one batch, which is one moment. */
import type { AnchorEventRow, AnchorRow } from "./check-anchors.ts";
import type { StoredEntry } from "./check-entry.ts";
import type { StoredHead } from "./check-log.ts";
import type { CheckpointRow, LogSlice, OrphanTable, Owner } from "./scrub-port.ts";
import { firstSeqOf } from "./subject.store.ts";
import type { NewestSlice } from "./verify.ts";

const SELECT_HEAD =
  "SELECT version, size, head_hash, root_hash, frontier, last_at FROM ledger_heads WHERE ledger_id = ?1";

interface HeadRow {
  readonly version: number;
  readonly size: number;
  readonly head_hash: string;
  readonly root_hash: string;
  readonly frontier: string;
  readonly last_at: string;
}

const headFromRow = (row: HeadRow): StoredHead => ({
  version: row.version,
  size: row.size,
  headHash: row.head_hash,
  rootHash: row.root_hash,
  frontier: row.frontier,
  lastAt: row.last_at,
});

interface EntryRow {
  readonly seq: number;
  readonly entry_hash: string;
  readonly prev?: string;
  readonly subject?: string;
  readonly body: string;
}

const entryFromRow = (row: EntryRow): StoredEntry => ({
  seq: row.seq,
  entryHash: row.entry_hash,
  prev: row.prev,
  subject: row.subject,
  body: row.body,
});

/** Checkpoints or anchors that are out of every slice: of no tree, or of one larger than the head's. */
const outside = "size < 1 OR size > COALESCE((SELECT size FROM ledger_heads WHERE ledger_id = ?1), 0)";
const MAX_OUTSIDE = 100;

/** Entries `from` up to `to`, without columns that only repeat what the body says, and what is said of their sizes. @throws when the database can not be read. */
export async function readLogSlice(db: D1Database, ledgerId: string, from: number, to: number): Promise<LogSlice> {
  const first = from === 0 ? Number.MIN_SAFE_INTEGER : from;
  const results = await db.batch<unknown>([
    db.prepare(SELECT_HEAD).bind(ledgerId),
    db.prepare("SELECT MAX(seq) + 1 AS size FROM ledger_entries WHERE ledger_id = ?1").bind(ledgerId),
    db
      .prepare(
        `SELECT seq, entry_hash, body FROM ledger_entries WHERE ledger_id = ?1 AND seq >= ?2 AND seq < ?3 ORDER BY seq`,
      )
      .bind(ledgerId, first, to),
    db
      .prepare(
        `SELECT * FROM (SELECT size, root_hash, note, signed_at FROM checkpoints
           WHERE ledger_id = ?1 AND size > ?2 AND size <= ?3)
         UNION SELECT * FROM (SELECT size, root_hash, note, signed_at FROM checkpoints
           WHERE ledger_id = ?1 AND (${outside}) ORDER BY size LIMIT ${MAX_OUTSIDE})
         ORDER BY size`,
      )
      .bind(ledgerId, from, to),
    db
      .prepare(
        `SELECT * FROM (SELECT size, root_hash FROM anchors WHERE ledger_id = ?1 AND size > ?2 AND size <= ?3)
         UNION SELECT * FROM (SELECT size, root_hash FROM anchors
           WHERE ledger_id = ?1 AND (${outside}) ORDER BY size LIMIT ${MAX_OUTSIDE})
         ORDER BY size`,
      )
      .bind(ledgerId, from, to),
    db.prepare("SELECT MAX(size) AS size FROM checkpoints WHERE ledger_id = ?1").bind(ledgerId),
  ]);
  if (results.length !== 6) throw new Error("the database answered fewer statements than were asked");
  // The rows are those of the statements above, in their order.
  const rowsOf = <Row>(i: number): readonly Row[] => (results[i]?.results ?? []) as readonly Row[];
  const head = rowsOf<HeadRow>(0)[0];
  return {
    head: head && headFromRow(head),
    storedSize: rowsOf<{ size: number | null }>(1)[0]?.size ?? 0,
    entries: rowsOf<EntryRow>(2).map(entryFromRow),
    checkpoints: rowsOf<CheckpointDbRow>(3).map(checkpointFromRow),
    anchors: rowsOf<{ size: number; root_hash: string }>(4).map((row) => ({ size: row.size, rootHash: row.root_hash })),
    newestCheckpoint: rowsOf<{ size: number | null }>(5)[0]?.size ?? undefined,
  };
}

interface CheckpointDbRow {
  readonly size: number;
  readonly root_hash: string;
  readonly note: string;
  readonly signed_at: number;
}

const checkpointFromRow = (row: CheckpointDbRow): CheckpointRow => ({
  size: row.size,
  rootHash: row.root_hash,
  note: row.note,
  signedAt: row.signed_at,
});

/** Columns with the seq by which a row is kept, and with the subject it names. */
const OWNER: Readonly<Record<OrphanTable, readonly [seq: string, subject: string]>> = {
  requests: ["submitted_seq", "request_id_hash"],
  claims: ["created_seq", "claim_id_hash"],
  payloads: ["subject_seq", "subject"],
  payload_keys: ["subject_seq", "subject"],
  settlements: ["created_seq", "subject"],
  operator_actions: ["seq", "subject"],
};

/** A settlement begins anywhere in its subject's life; anything else is kept by where the subject begins. */
const isKnown = (table: OrphanTable, seq: string, subject: string): string =>
  table === "settlements"
    ? `EXISTS (SELECT 1 FROM ledger_entries AS e WHERE e.ledger_id = ?1 AND e.seq = ${seq} AND e.subject = ${subject})`
    : `${seq} IS ${firstSeqOf("?1", subject)}`;

/** At least `limit` rows, unless they are the last: rows of one seq are never torn apart. */
export async function readOwners(
  db: D1Database,
  ledgerId: string,
  table: OrphanTable,
  after: number,
  limit: number,
): Promise<readonly Owner[]> {
  const [seq, subject] = OWNER[table];
  const { results } = await db
    .prepare(
      `SELECT owner.${seq} AS seq, owner.${subject} AS subject,
         ${isKnown(table, `owner.${seq}`, `owner.${subject}`)} AS known
       FROM ${table} AS owner WHERE owner.ledger_id = ?1 AND owner.${seq} > ?2 AND COALESCE(owner.${seq} <= (
         SELECT ${seq} FROM ${table} WHERE ledger_id = ?1 AND ${seq} > ?2 ORDER BY ${seq} LIMIT 1 OFFSET ?3 - 1), 1)
       ORDER BY owner.${seq}`,
    )
    .bind(ledgerId, after, limit)
    .all<{ seq: number; subject: string; known: number }>();
  return results.map((row) => ({ seq: row.seq, subject: row.subject, known: row.known === 1 }));
}

const ANCHOR_COLUMNS = `size, root_hash AS rootHash, previous_size AS previousSize, state, reason, chain_id AS chainId,
  contract_address AS contractAddress, nonce, tx_hash AS txHash, block_number AS blockNumber, block_hash AS blockHash,
  log_index AS logIndex, submitted_at AS submittedAt, confirmed_at AS confirmedAt`;

const EVENT_COLUMNS = `event_id AS eventId, event_key AS eventKey, size, root_hash AS rootHash, type, reason, at,
  chain_id AS chainId, contract_address AS contractAddress, tx_hash AS txHash, nonce, fee_per_gas_wei AS feePerGasWei,
  block_number AS blockNumber, block_hash AS blockHash, actor`;

/** Anchors larger than `after`, smallest first, and the events of all sizes that they span. */
export async function readAnchorPage(
  db: D1Database,
  ledgerId: string,
  after: number,
  limit: number,
): Promise<{ readonly anchors: readonly AnchorRow[]; readonly events: readonly AnchorEventRow[] }> {
  const page = `SELECT ${ANCHOR_COLUMNS} FROM anchors WHERE ledger_id = ?1 AND size > ?2 ORDER BY size LIMIT ?3`;
  const results = await db.batch<unknown>([
    db.prepare(page).bind(ledgerId, after, limit),
    // A page that is not full is the last: then whatever is larger has no row.
    db
      .prepare(
        `SELECT ${EVENT_COLUMNS} FROM anchor_events WHERE ledger_id = ?1 AND size > ?2
           AND ((SELECT COUNT(*) FROM (${page})) < ?3 OR size <= (SELECT MAX(size) FROM (${page})))
         ORDER BY event_id`,
      )
      .bind(ledgerId, after, limit),
  ]);
  const rowsOf = <Row>(i: number): readonly Row[] => (results[i]?.results ?? []) as readonly Row[];
  return { anchors: rowsOf<AnchorRow>(0), events: rowsOf<AnchorEventRow>(1) };
}

export async function readAnchorEvents(
  db: D1Database,
  ledgerId: string,
  afterId: number,
  limit: number,
): Promise<readonly AnchorEventRow[]> {
  const { results } = await db
    .prepare(
      `SELECT ${EVENT_COLUMNS} FROM anchor_events WHERE ledger_id = ?1 AND event_id > ?2 ORDER BY event_id LIMIT ?3`,
    )
    .bind(ledgerId, afterId, limit)
    .all<AnchorEventRow>();
  return results;
}

/**
 * The newest entries, about `length` of them, from a multiple of 256 on: the first ones when there are no more than that.
 * @throws when the database can not be read: that is "unverified", never "invalid".
 */
export async function readNewestSlice(db: D1Database, ledgerId: string, length: number): Promise<NewestSlice> {
  const size =
    "COALESCE((SELECT size FROM ledger_heads WHERE ledger_id = ?1), (SELECT MAX(seq) + 1 FROM ledger_entries WHERE ledger_id = ?1), 0)";
  // D1 binds numbers as doubles: without the cast the division leaves a fraction.
  const from = `(SELECT CASE WHEN ${size} <= ?2 THEN 0 ELSE ((${size} - CAST(?2 AS INTEGER) + 255) / 256) * 256 END)`;
  const results = await db.batch<unknown>([
    db.prepare(SELECT_HEAD).bind(ledgerId),
    db
      .prepare(`SELECT ${from} AS first, (SELECT MAX(seq) + 1 FROM ledger_entries WHERE ledger_id = ?1) AS stored`)
      .bind(ledgerId, length),
    // One more than asked for: the row before the segment tells what its first entry must name. And none below 0.
    db
      .prepare(
        `SELECT seq, entry_hash, prev, subject, body FROM ledger_entries
         WHERE ledger_id = ?1 AND seq >= CASE ${from} WHEN 0 THEN -9007199254740991 ELSE ${from} - 1 END
         ORDER BY seq LIMIT ?2 + 257`,
      )
      .bind(ledgerId, length),
    db
      .prepare(
        "SELECT size, root_hash, note, signed_at FROM checkpoints WHERE ledger_id = ?1 ORDER BY size DESC LIMIT 1",
      )
      .bind(ledgerId),
    db
      .prepare(
        `SELECT size, root_hash FROM anchors WHERE ledger_id = ?1 AND state = 'confirmed' ORDER BY size DESC LIMIT 1`,
      )
      .bind(ledgerId),
  ]);
  if (results.length !== 5) throw new Error("the database answered fewer statements than were asked");
  // The rows are those of the statements above, in their order.
  const rowsOf = <Row>(i: number): readonly Row[] => (results[i]?.results ?? []) as readonly Row[];
  const head = rowsOf<HeadRow>(0)[0];
  const bounds = rowsOf<{ first: number; stored: number | null }>(1)[0];
  const first = bounds?.first ?? 0;
  const entries = rowsOf<EntryRow>(2).map(entryFromRow);
  const checkpoint = rowsOf<CheckpointDbRow>(3)[0];
  const anchor = rowsOf<{ size: number; root_hash: string }>(4)[0];
  return {
    head: head && headFromRow(head),
    storedSize: bounds?.stored ?? 0,
    from: first,
    before: entries.find(({ seq }) => seq === first - 1)?.entryHash,
    entries: first === 0 ? entries : entries.filter(({ seq }) => seq >= first),
    newestCheckpoint: checkpoint && checkpointFromRow(checkpoint),
    newestAnchor: anchor && { size: anchor.size, rootHash: anchor.root_hash },
  };
}

/** The newest committed size; 0 before the first commit. */
export async function ledgerSize(db: D1Database, ledgerId: string): Promise<number> {
  const size = await db
    .prepare("SELECT size FROM ledger_heads WHERE ledger_id = ?")
    .bind(ledgerId)
    .first<number>("size");
  return size ?? 0;
}
