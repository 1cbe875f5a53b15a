/** Rows kept by subject (a request or a claim), and what they stand for. */
import { decodeEntry, type EntryData, type EntryType } from "../ledger/entry.ts";
import { utf8 } from "../platform/encoding.ts";
import type { SealedValue } from "../platform/keyring.ts";

export interface KeyColumns {
  readonly master_key_id: string | null;
  readonly wrapped: string | null;
}

export const wrappedKeyFrom = (row: KeyColumns): SealedValue | undefined =>
  row.master_key_id === null || row.wrapped === null ? undefined : { keyId: row.master_key_id, sealed: row.wrapped };

export interface EntryRow {
  readonly seq: number;
  readonly entry_hash: string;
  readonly body: string;
}

/** One step in a subject's history, as the API shows it. */
export interface LedgerEvent {
  readonly type: EntryType;
  readonly at: string;
  readonly seq: number;
  readonly entryHash: string;
  readonly data: EntryData;
}

/** @throws Error when the stored body is no entry: the database was changed from outside. */
export function ledgerEventFromRow(row: EntryRow): LedgerEvent {
  const entry = decodeEntry(utf8(row.body));
  if (entry === undefined) throw new Error(`entry ${row.seq} does not read as an entry`);
  return { type: entry.type, at: entry.at, seq: row.seq, entryHash: row.entry_hash, data: entry.data };
}

export interface StoredPart {
  readonly part: string;
  readonly sealed: string | undefined;
  readonly r2Key: string | undefined;
}
