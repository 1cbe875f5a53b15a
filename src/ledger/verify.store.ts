/** Reads head and newest entries as of one moment: both in one batch, which is one transaction. */
import { EMPTY_HEAD, rootHexOf } from "./head.ts";
import type { StoredEntry, StoredHead } from "./verify.ts";

export interface NewestSegment {
  readonly head: StoredHead;
  readonly entries: readonly StoredEntry[];
  /** Stored hash of the entry before the first. */
  readonly before: string | undefined;
}

interface HeadRow {
  readonly size: number;
  readonly head_hash: string;
  readonly root_hash: string;
  readonly frontier: string;
}

interface EntryRow {
  readonly seq: number;
  readonly entry_hash: string;
  readonly prev: string;
  readonly subject: string;
  readonly body: string;
}

/** @throws when the database can not be read: that is "unverified", never "invalid". */
export async function readNewestSegment(db: D1Database, ledgerId: string, length: number): Promise<NewestSegment> {
  const [heads, rows] = await db.batch<HeadRow & EntryRow>([
    db.prepare("SELECT size, head_hash, root_hash, frontier FROM ledger_heads WHERE ledger_id = ?").bind(ledgerId),
    // One more than asked for: the row before the segment tells what its first entry must name.
    db
      .prepare(
        `SELECT seq, entry_hash, prev, subject, body FROM ledger_entries WHERE ledger_id = ? ORDER BY seq DESC LIMIT ?`,
      )
      .bind(ledgerId, length + 1),
  ]);
  if (heads === undefined || rows === undefined)
    throw new Error("the database answered fewer statements than were asked");
  const head = heads.results[0];
  const newest = rows.results.toReversed();
  const hasOlder = newest.length > length && (newest[0]?.seq ?? 0) > 0;
  const older = newest.length > length ? newest[0] : undefined;
  const segment = hasOlder ? newest.slice(1) : newest;
  return {
    head:
      head === undefined
        ? { size: 0, headHash: EMPTY_HEAD.headHash, rootHash: rootHexOf(EMPTY_HEAD), frontier: "[]" }
        : { size: head.size, headHash: head.head_hash, rootHash: head.root_hash, frontier: head.frontier },
    entries: segment.map((row) => ({
      seq: row.seq,
      entryHash: row.entry_hash,
      prev: row.prev,
      subject: row.subject,
      body: row.body,
    })),
    before: hasOlder ? older?.entry_hash : undefined,
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
