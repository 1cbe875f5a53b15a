/**
 * Entry 0 of a ledger that follows one which was lost in part: it names the old ledger, what that had last promised in public, and how
 * much of it there still is. Whoever holds the old checkpoint finds in the new log that the gap is admitted, and where it begins.
 */
import type { ReadEntry } from "./check-entry.ts";
import { type EncodedEntry, encodeEntry } from "./entry.ts";
import { NO_ENTRY_HASH } from "./hash.ts";

export interface Continued {
  /** The old ledger's id. */
  readonly ledger: string;
  /** Of its newest checkpoint or anchor; the root as lower-case hex. */
  readonly size: number;
  readonly rootHash: string;
  /** Of what was restored of it. */
  readonly restoredSize: number;
  readonly restoredRootHash: string;
}

export const CONTINUED_TYPE = "LEDGER_CONTINUED";

/** Of what the old ledger promised: nobody's secret. */
const subjectOf = (rootHash: string): string => `0x${rootHash}`;

/** @param at RFC 3339 with milliseconds. */
export const continuedEntry = (continued: Continued, at: string): EncodedEntry =>
  encodeEntry({
    v: 1,
    seq: 0,
    prev: NO_ENTRY_HASH,
    at,
    type: CONTINUED_TYPE,
    subject: subjectOf(continued.rootHash),
    data: { ...continued },
  });

/** @returns what is wrong with such an entry; it is alone about its subject, and no other is entry 0. */
export function continuedFaults({ seq, subject, commitment, data }: ReadEntry): readonly string[] {
  const faults: string[] = [];
  const { ledger, size, rootHash, restoredSize, restoredRootHash } = data;
  if (seq !== 0) faults.push("it is not the first entry");
  if (commitment !== undefined) faults.push("it commits to something");
  if (typeof ledger !== "string" || !/^[a-z0-9-]{1,32}$/.test(ledger)) faults.push("it names no ledger");
  if (typeof rootHash !== "string" || subject !== subjectOf(rootHash)) faults.push("its subject is not the old root");
  if (typeof size !== "number" || typeof restoredSize !== "number" || restoredSize >= size)
    faults.push("it does not say what is lost");
  if (typeof restoredRootHash !== "string" || !/^[0-9a-f]{64}$/.test(restoredRootHash))
    faults.push("it does not name the root of what was restored");
  return faults;
}
