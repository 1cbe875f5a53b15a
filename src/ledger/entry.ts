/** The entry codec: what one record of the ledger says, and the exact bytes that are hashed. */
import * as z from "zod";
import { fromUtf8, toHex, utf8 } from "../platform/encoding.ts";
import { canonicalJson } from "./canonical.ts";
import { type Hash, leafHash } from "./hash.ts";

/** Every entry type there is. */
export const ENTRY_TYPES = [
  "REQUEST_SUBMITTED",
  "REQUEST_ACKNOWLEDGED",
  "REQUEST_ADJUDICATED",
  /** The subject is superseded; the data names its successor. */
  "REQUEST_CORRECTED",
  "CLAIM_CREATED",
  "CLAIM_FINALIZED",
  /** Money was asked for; the commitment is to its terms. */
  "SETTLEMENT_CREATED",
  /** Before anything was sent to the operator. */
  "SETTLEMENT_STARTED",
  /** The operator confirmed a payment, a reversal, an adjustment. */
  "CLAIM_SETTLED",
  "SETTLEMENT_REVERSED",
  "SETTLEMENT_ADJUSTED",
  "SETTLEMENT_REJECTED",
  "SETTLEMENT_FAILED",
  /** Asked for once more. */
  "SETTLEMENT_REPLAYED",
  /** Key and salt of the subject were destroyed. */
  "ERASED",
  /** Who operates the system did something to it. */
  "OPERATOR_ACTION",
  /** Entry 0 of a ledger that follows one which was lost in part. */
  "LEDGER_CONTINUED",
] as const;
export type EntryType = (typeof ENTRY_TYPES)[number];

export const MAX_ENTRY_BYTES = 65_535;

const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const prefixedHex64 = z.string().regex(/^0x[0-9a-f]{64}$/);

export const entrySchema = z.strictObject({
  v: z.literal(1),
  seq: z.number().int().nonnegative(),
  prev: hex64,
  at: z.iso.datetime({ precision: 3 }),
  type: z.enum(ENTRY_TYPES),
  subject: prefixedHex64,
  commitment: prefixedHex64.optional(),
  data: z.record(z.string(), z.union([z.string(), z.number().int(), z.boolean(), z.null()])),
});

/**
 * `seq` is 0-based and contiguous; `prev` the predecessor's hash (64 zeros for entry 0); `at` RFC 3339 UTC with
 * milliseconds, never earlier than the predecessor's; `subject` and `commitment` HMACs under the subject's own salt.
 */
export type Entry = z.output<typeof entrySchema>;
export type EntryData = Entry["data"];

export interface EncodedEntry {
  readonly entry: Entry;
  /** Canonical JSON (RFC 8785). */
  readonly body: string;
  readonly hash: Hash;
  readonly hashHex: string;
}

/** @throws RangeError when the entry is longer than an entry bundle can hold. */
export function encodeEntry(entry: Entry): EncodedEntry {
  const body = canonicalJson(entry);
  const bytes = utf8(body);
  if (bytes.length > MAX_ENTRY_BYTES) throw new RangeError(`an entry has at most ${MAX_ENTRY_BYTES} bytes`);
  const hash = leafHash(bytes);
  return { entry, body, hash, hashHex: toHex(hash) };
}

/** @returns undefined when the bytes are not the canonical form of an entry. */
export function decodeEntry(bytes: Uint8Array): Entry | undefined {
  try {
    const body = fromUtf8(bytes);
    const parsed = entrySchema.safeParse(JSON.parse(body));
    return parsed.success && canonicalJson(parsed.data) === body ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
