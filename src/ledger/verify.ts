/** Checking stored rows against what they must be. Every finding is listed, never only the first. */
import { toHex, utf8 } from "../platform/encoding.ts";
import { decodeEntry } from "./entry.ts";
import { appendLeaf, EMPTY_FRONTIER, type Frontier, parseFrontier, rootOf } from "./frontier.ts";
import { leafHash, NO_ENTRY_HASH } from "./hash.ts";

export interface StoredHead {
  readonly size: number;
  readonly headHash: string;
  readonly rootHash: string;
  readonly frontier: string;
}

export interface StoredEntry {
  readonly seq: number;
  readonly entryHash: string;
  readonly prev: string;
  readonly subject: string;
  readonly body: string;
}

export const FINDING_TYPES = [
  "seq-gap",
  "entry-unreadable",
  "entry-hash-mismatch",
  "prev-mismatch",
  "column-mismatch",
  "head-mismatch",
  "root-mismatch",
  "truncated",
] as const;

export interface Finding {
  readonly type: (typeof FINDING_TYPES)[number];
  /** The entry concerned; undefined for the head. */
  readonly seq?: number;
  readonly detail: string;
}

export interface Verification {
  readonly findings: readonly Finding[];
  /** `full`: every entry, and the tree from the first leaf. `newest-segment`: the newest entries and the head. */
  readonly method: "full" | "newest-segment";
  readonly from: number;
}

/**
 * @param entries in order of seq, the newest ones of the ledger; all of them when the ledger is that small.
 * @param before the stored hash of the entry before the first; undefined when nothing is stored before it.
 */
export function verifyNewest(
  head: StoredHead,
  entries: readonly StoredEntry[],
  before: string | undefined,
): Verification {
  const findings: Finding[] = [];
  // With nothing stored before the first entry it ought to be entry 0, whatever it says: a missing beginning is a gap.
  const full = before === undefined;
  const from = full ? 0 : (entries[0]?.seq ?? 0);
  let expectedSeq = from;
  let prev = from === 0 ? NO_ENTRY_HASH : before;
  let frontier: Frontier = EMPTY_FRONTIER;
  for (const stored of entries) {
    if (stored.seq !== expectedSeq) {
      findings.push({
        type: "seq-gap",
        seq: expectedSeq,
        detail: `entry ${expectedSeq} is missing before ${stored.seq}`,
      });
    }
    const hash = leafHash(utf8(stored.body));
    findings.push(...entryFindings(stored, toHex(hash), prev));
    if (full) frontier = appendLeaf(frontier, hash);
    prev = stored.entryHash;
    expectedSeq = stored.seq + 1;
  }
  findings.push(...headFindings(head, expectedSeq, prev ?? NO_ENTRY_HASH, full ? frontier : undefined));
  return { findings, method: full ? "full" : "newest-segment", from };
}

function entryFindings(stored: StoredEntry, hashHex: string, prev: string | undefined): readonly Finding[] {
  const { seq } = stored;
  const findings: Finding[] = [];
  if (hashHex !== stored.entryHash) {
    findings.push({ type: "entry-hash-mismatch", seq, detail: `entry ${seq} does not hash to its stored hash` });
  }
  const entry = decodeEntry(utf8(stored.body));
  if (entry === undefined) {
    findings.push({ type: "entry-unreadable", seq, detail: `entry ${seq} is not in canonical form` });
    return findings;
  }
  if (entry.prev !== prev) {
    findings.push({ type: "prev-mismatch", seq, detail: `entry ${seq} does not name its predecessor's hash` });
  }
  if (entry.seq !== seq || entry.prev !== stored.prev || entry.subject !== stored.subject) {
    findings.push({ type: "column-mismatch", seq, detail: `a column of entry ${seq} differs from the entry` });
  }
  return findings;
}

function headFindings(
  head: StoredHead,
  size: number,
  lastHash: string,
  frontier: Frontier | undefined,
): readonly Finding[] {
  const findings: Finding[] = [];
  if (size < head.size) {
    findings.push({
      type: "truncated",
      seq: size,
      detail: `the head promises ${head.size} entries, ${size} are there`,
    });
  }
  if (size > head.size || (size === head.size && lastHash !== head.headHash)) {
    findings.push({ type: "head-mismatch", detail: "the stored head is not that of the last entry" });
  }
  const stored = storedRoot(head);
  if (stored === undefined || stored !== head.rootHash) {
    findings.push({ type: "head-mismatch", detail: "the stored frontier does not give the stored root" });
  }
  if (frontier !== undefined && toHex(rootOf(frontier)) !== head.rootHash) {
    findings.push({ type: "root-mismatch", detail: "the tree over the entries has another root than the stored head" });
  }
  return findings;
}

function storedRoot(head: StoredHead): string | undefined {
  try {
    return toHex(rootOf(parseFrontier(head.size, head.frontier)));
  } catch {
    return undefined;
  }
}
