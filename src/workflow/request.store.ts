/** Reads of workflow requests. */
import { type AnchorRow, entryAnchorFromRow, selectAnchorFor } from "../anchor/anchor.store.ts";
import type { EntryAnchor } from "../anchor/anchor-view.ts";
import { firstSeqOf } from "../ledger/subject.store.ts";
import type { SealedValue } from "../platform/keyring.ts";
import { rowsOf } from "../platform/rows.store.ts";
import { type Current, currentOf, MAX_SUCCESSORS } from "./correction.ts";
import { type RequestRow, requestFromRow } from "./projection-rows.ts";
import type { RequestState } from "./request.ts";
import {
  type EntryRow,
  type KeyColumns,
  type LedgerEvent,
  ledgerEventFromRow,
  type StoredPart,
  wrappedKeyFrom,
} from "./subject-rows.ts";

export interface FoundRequest {
  readonly request: RequestState;
  /** Undefined when the request was erased. */
  readonly wrappedKey: SealedValue | undefined;
  /** Of the REQUEST_SUBMITTED entry. */
  readonly submittedHash: string;
}

type FoundRow = RequestRow & KeyColumns & { readonly submitted_hash: string };

const SELECT_FOUND = `SELECT r.*, k.master_key_id, k.wrapped,
    (SELECT entry_hash FROM ledger_entries WHERE ledger_id = r.ledger_id AND seq = r.submitted_seq) AS submitted_hash
  FROM requests AS r LEFT JOIN payload_keys AS k ON k.ledger_id = r.ledger_id AND k.subject_seq = r.submitted_seq`;

const REQUEST_ID_HASH = /^0x[0-9a-f]{64}$/;

/** Of ledger ?1, tenant ?2 and id or hash ?3. */
const whereRequest = (idOrHash: string): string =>
  REQUEST_ID_HASH.test(idOrHash)
    ? `r.ledger_id = ?1 AND r.submitted_seq = ${firstSeqOf("?1", "?3")} AND r.request_id_hash = ?3 AND r.tenant_id = ?2`
    : "r.ledger_id = ?1 AND r.tenant_id = ?2 AND r.request_id = ?3";

const foundFromRow = (row: FoundRow): FoundRequest => ({
  request: requestFromRow(row),
  wrappedKey: wrappedKeyFrom(row),
  submittedHash: row.submitted_hash,
});

/** @param idOrHash the request's id or its requestIdHash; an insurer knows only the hash. */
export async function findRequest(
  db: D1Database,
  ledgerId: string,
  tenantId: string,
  idOrHash: string,
): Promise<FoundRequest | undefined> {
  const row = await db
    .prepare(`${SELECT_FOUND} WHERE ${whereRequest(idOrHash)}`)
    .bind(ledgerId, tenantId, idOrHash)
    .first<FoundRow>();
  return row === null ? undefined : foundFromRow(row);
}

/** A request with everything that is shown of it, as it was at one moment. */
export interface RequestRecord extends FoundRequest, SubjectHistory {
  /** Of its newest acknowledgement or decision, else of its submission. */
  readonly anchor: EntryAnchor;
}

/** One round trip, whatever there is to read. @param idOrHash as for `findRequest`. */
export async function readRequestRecord(
  db: D1Database,
  ledgerId: string,
  tenantId: string,
  idOrHash: string,
): Promise<RequestRecord | undefined> {
  const where = whereRequest(idOrHash);
  const ofRequest = (column: string): string => `(SELECT ${column} FROM requests AS r WHERE ${where})`;
  const subject = ofRequest("r.request_id_hash");
  const newestSeq = ofRequest("COALESCE(r.adjudicated_seq, r.acknowledged_seq, r.submitted_seq)");
  const [found, entries, parts, anchors] = await db.batch(
    [
      `${SELECT_FOUND} WHERE ${where}`,
      selectEntriesOf(subject),
      selectPartsOf(ofRequest("r.submitted_seq")),
      selectAnchorFor(newestSeq),
    ].map((sql) => db.prepare(sql).bind(ledgerId, tenantId, idOrHash)),
  );
  const [row] = rowsOf<FoundRow>(found);
  if (row === undefined) return undefined;
  return {
    ...foundFromRow(row),
    ...historyFromRows(rowsOf<EntryRow>(entries), rowsOf<PartRow>(parts)),
    anchor: entryAnchorFromRow(rowsOf<AnchorRow>(anchors)[0]),
  };
}

/** The newest successor of a request, by its requestIdHash; what a report counts in place of it. */
export async function currentHash(db: D1Database, ledgerId: string, requestIdHash: string): Promise<Current> {
  const { results } = await db
    .prepare(
      `WITH RECURSIVE chain (hash, next, steps) AS (
         SELECT request_id_hash, superseded_by, 0 FROM requests
           WHERE ledger_id = ?1 AND submitted_seq = ${firstSeqOf("?1", "?2")}
         UNION ALL SELECT r.request_id_hash, r.superseded_by, c.steps + 1 FROM chain AS c
           CROSS JOIN requests AS r ON r.ledger_id = ?1 AND r.submitted_seq = ${firstSeqOf("?1", "c.next")}
           WHERE c.steps < ?3)
       SELECT hash, next FROM chain WHERE next IS NOT NULL`,
    )
    .bind(ledgerId, requestIdHash, MAX_SUCCESSORS)
    .all<{ hash: string; next: string }>();
  return currentOf(requestIdHash, new Map(results.map(({ hash, next }) => [hash, next])));
}

export interface SubjectHistory {
  readonly events: readonly LedgerEvent[];
  readonly parts: readonly StoredPart[];
}

interface PartRow {
  readonly part: string;
  readonly ciphertext: string | null;
  readonly r2_key: string | null;
}

/** Left to itself the planner walks the primary key to save a sort. */
const selectEntriesOf = (subject: string): string =>
  `SELECT seq, entry_hash, body FROM ledger_entries INDEXED BY ledger_entries_subject
   WHERE ledger_id = ?1 AND subject = ${subject} ORDER BY seq LIMIT 200`;

const selectPartsOf = (subjectSeq: string): string =>
  `SELECT part, ciphertext, r2_key FROM payloads WHERE ledger_id = ?1 AND subject_seq = ${subjectSeq} LIMIT 200`;

const historyFromRows = (entries: readonly EntryRow[], parts: readonly PartRow[]): SubjectHistory => ({
  events: entries.map(ledgerEventFromRow),
  parts: parts.map((row) => ({ part: row.part, sealed: row.ciphertext ?? undefined, r2Key: row.r2_key ?? undefined })),
});

/** Every entry about a subject, oldest first, and its stored ciphertext. At most 200 of each. */
export async function subjectHistory(db: D1Database, ledgerId: string, subject: string): Promise<SubjectHistory> {
  const [entries, parts] = await db.batch(
    [selectEntriesOf("?2"), selectPartsOf(firstSeqOf("?1", "?2"))].map((sql) =>
      db.prepare(sql).bind(ledgerId, subject),
    ),
  );
  return historyFromRows(rowsOf<EntryRow>(entries), rowsOf<PartRow>(parts));
}

/** Positions of every entry about a subject, newest first, at most 200. */
export async function subjectSeqs(db: D1Database, ledgerId: string, subject: string): Promise<readonly number[]> {
  const { results } = await db
    .prepare(
      `SELECT seq FROM ledger_entries INDEXED BY ledger_entries_subject
       WHERE ledger_id = ? AND subject = ? ORDER BY seq DESC LIMIT 200`,
    )
    .bind(ledgerId, subject)
    .all<{ readonly seq: number }>();
  return results.map(({ seq }) => seq);
}
