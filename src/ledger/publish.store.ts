/** What publishing reads from the database, and its record of every published checkpoint. */
import { type NoteSignature, withSignature } from "./note.ts";
import type { CommittedEntry, CommittedHead, SignedCheckpoint } from "./publish.ts";

/** The committed head, from the primary. */
export async function readCommittedHead(db: D1Database, ledgerId: string): Promise<CommittedHead | undefined> {
  const row = await db
    .prepare("SELECT size, root_hash, head_hash FROM ledger_heads WHERE ledger_id = ?")
    .bind(ledgerId)
    .first<{ size: number; root_hash: string; head_hash: string }>();
  return row === null ? undefined : { size: row.size, rootHash: row.root_hash, headHash: row.head_hash };
}

interface EntryRow {
  readonly seq: number;
  readonly entry_hash: string;
  readonly body: string;
}

const entryFromRow = (row: EntryRow): CommittedEntry => ({ seq: row.seq, entryHash: row.entry_hash, body: row.body });

/** Entries `from` up to `to`, in order. */
export async function readCommittedEntries(
  db: D1Database,
  ledgerId: string,
  from: number,
  to: number,
): Promise<readonly CommittedEntry[]> {
  const rows = await db
    .prepare(
      "SELECT seq, entry_hash, body FROM ledger_entries WHERE ledger_id = ? AND seq >= ? AND seq < ? ORDER BY seq",
    )
    .bind(ledgerId, from, to)
    .all<EntryRow>();
  return rows.results.map(entryFromRow);
}

export async function readCommittedEntry(
  db: D1Database,
  ledgerId: string,
  seq: number,
): Promise<CommittedEntry | undefined> {
  const row = await db
    .prepare("SELECT seq, entry_hash, body FROM ledger_entries WHERE ledger_id = ? AND seq = ?")
    .bind(ledgerId, seq)
    .first<EntryRow>();
  return row === null ? undefined : entryFromRow(row);
}

/** Once for each size; again it only takes the newer note over, which a rotation or a witness has signed as well. */
export async function recordCheckpoint(
  db: D1Database,
  ledgerId: string,
  { size, rootHash, note, signedAt }: Omit<SignedCheckpoint, "signedBy">,
): Promise<void> {
  await db.batch([
    db
      .prepare(
        `INSERT INTO checkpoints (ledger_id, size, root_hash, note, signed_at) SELECT ?1, ?2, ?3, ?4, ?5
         WHERE NOT EXISTS (SELECT 1 FROM checkpoints WHERE ledger_id = ?1 AND size = ?2 AND root_hash = ?3)`,
      )
      .bind(ledgerId, size, rootHash, note, signedAt),
    db
      .prepare("UPDATE checkpoints SET note = ?4 WHERE ledger_id = ?1 AND size = ?2 AND root_hash = ?3 AND note <> ?4")
      .bind(ledgerId, size, rootHash, note),
  ]);
}

/** Others may add theirs at the same moment: each attempt changes only the note that it read. */
const ADD_ATTEMPTS = 5;

/**
 * A cosignature of a checkpoint that a newer one has replaced: it stays evidence of what that witness saw.
 * @throws when it can not be written.
 */
export async function recordCosignature(
  db: D1Database,
  ledgerId: string,
  { size, rootHash }: { readonly size: number; readonly rootHash: string },
  signature: NoteSignature,
): Promise<void> {
  for (let attempt = 1; attempt <= ADD_ATTEMPTS; attempt++) {
    const stored = await db
      .prepare("SELECT note FROM checkpoints WHERE ledger_id = ? AND size = ? AND root_hash = ?")
      .bind(ledgerId, size, rootHash)
      .first<string>("note");
    const note = stored === null ? undefined : withSignature(stored, signature);
    if (stored === null || note === undefined) return;
    const { meta } = await db
      .prepare("UPDATE checkpoints SET note = ?4 WHERE ledger_id = ?1 AND size = ?2 AND root_hash = ?3 AND note = ?5")
      .bind(ledgerId, size, rootHash, note, stored)
      .run();
    if (meta.changes > 0) return;
  }
  throw new Error(`the note of the checkpoint of ${size} entries kept changing`);
}

export interface RecordedCheckpoint {
  readonly size: number;
  readonly rootHash: string;
  readonly note: string;
  readonly signedAt: number;
}

export async function newestCheckpoint(db: D1Database, ledgerId: string): Promise<RecordedCheckpoint | undefined> {
  const row = await db
    .prepare("SELECT size, root_hash, note, signed_at FROM checkpoints WHERE ledger_id = ? ORDER BY size DESC LIMIT 1")
    .bind(ledgerId)
    .first<{ size: number; root_hash: string; note: string; signed_at: number }>();
  return row === null
    ? undefined
    : { size: row.size, rootHash: row.root_hash, note: row.note, signedAt: row.signed_at };
}
