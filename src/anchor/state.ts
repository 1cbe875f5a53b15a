/**
 * What the signer's owner must remember: the anchor that is confirmed, the transactions in flight, and every change not yet
 * written to the database. It is stored as JSON; amounts of wei are decimal strings there.
 */
import * as z from "zod";

const hex = (digits: number, prefix = "") => z.string().regex(new RegExp(`^${prefix}[0-9a-f]{${digits}}$`));
const wei = z
  .string()
  .regex(/^\d{1,78}$/)
  .transform((digits) => BigInt(digits));
const count = z.number().int().nonnegative();

/** Fees in wei per unit of gas: EIP-1559 where blocks have a base fee, else legacy. */
export const feesSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("eip1559"), maxFeePerGas: wei, maxPriorityFeePerGas: wei }),
  z.object({ type: z.literal("legacy"), gasPrice: wei }),
]);
export type Fees = Readonly<z.output<typeof feesSchema>>;

export const BROADCAST_RESULTS = [
  "accepted",
  "already-known",
  "nonce-too-low",
  "underpriced",
  "insufficient-funds",
  "rejected",
  "unreachable",
] as const;
/** What the node said to a raw transaction. */
export type BroadcastResult = (typeof BROADCAST_RESULTS)[number];

const transactionSchema = z.object({
  hash: hex(64, "0x"),
  rawTx: z.string().regex(/^0x[0-9a-f]+$/),
  size: count,
  root: hex(64),
  previousSize: count,
  fees: feesSchema,
  signedAt: count,
  /** The last broadcast; absent between storing and the first one. */
  broadcast: z.object({ at: count, result: z.enum(BROADCAST_RESULTS) }).optional(),
});
/** A signed `anchor(previousSize, size, root)`. Roots are 64 hex digits without 0x, transaction hashes have it; times epoch ms. */
export type AnchorTransaction = Readonly<z.output<typeof transactionSchema>>;

const pendingSchema = z.object({
  nonce: count,
  /** Oldest first, never empty. All carry the same nonce, so at most one is mined; any may be. */
  transactions: z.array(transactionSchema).min(1),
});
export interface PendingAnchor {
  readonly nonce: number;
  readonly transactions: readonly AnchorTransaction[];
}

const confirmedSchema = z.object({
  size: count,
  root: hex(64),
  previousSize: count,
  txHash: hex(64, "0x"),
  blockNumber: count,
  blockHash: hex(64, "0x"),
  logIndex: count,
  confirmedAt: count,
  /** What was sent, kept to send again should the chain drop it; absent when the anchor was found on chain. */
  sent: z.object({ nonce: count, transaction: transactionSchema }).optional(),
});
export type ConfirmedAnchor = Readonly<z.output<typeof confirmedSchema>>;

export const DOUBTS = ["reorganized", "nonce-used", "nonce-gap", "stale-previous-size"] as const;
/** An observation that one lagging node could make as well: it is acted on only when it lasts. */
export type Doubt = (typeof DOUBTS)[number];

const stateSchema = z.object({
  confirmed: confirmedSchema.optional(),
  pending: pendingSchema.optional(),
  /** Attempts given up since the last confirmation, which space out the next ones. */
  failures: z.object({ count: count, lastAt: count }).optional(),
  doubt: z.object({ reason: z.enum(DOUBTS), since: count }).optional(),
});

export interface AnchorState {
  readonly confirmed?: ConfirmedAnchor | undefined;
  readonly pending?: PendingAnchor | undefined;
  readonly failures?: { readonly count: number; readonly lastAt: number } | undefined;
  readonly doubt?: { readonly reason: Doubt; readonly since: number } | undefined;
}

export const EMPTY_STATE: AnchorState = {};

export const GIVE_UP_REASONS = ["reverted", "nonce-used-elsewhere", "nonce-gap", "overtaken", "reorganized"] as const;
export type GiveUpReason = (typeof GIVE_UP_REASONS)[number];

const changeSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("submitted"),
    nonce: count,
    transaction: transactionSchema,
    reason: z.string(),
    at: count,
  }),
  z.object({ type: z.literal("confirmed"), anchor: confirmedSchema }),
  z.object({
    type: z.literal("failed"),
    transactions: z.array(z.object({ size: count, hash: hex(64, "0x") })),
    reason: z.enum(GIVE_UP_REASONS),
    at: count,
  }),
]);
/** A change of state as the database records it. */
export type AnchorChange = Readonly<z.output<typeof changeSchema>>;

const toJson = (value: unknown): string =>
  JSON.stringify(value, (_key, member: unknown) => (typeof member === "bigint" ? member.toString() : member));

export const serializeState = (state: AnchorState): string => toJson(state);
export const serializeChange = (change: AnchorChange): string => toJson(change);

/** @throws ZodError on anything this code did not write: state that cannot be read is never taken for empty. */
export const parseState = (json: string): AnchorState => stateSchema.parse(JSON.parse(json));

/** @throws ZodError as `parseState`. */
export const parseChange = (json: string): AnchorChange => changeSchema.parse(JSON.parse(json));

/** Every transaction whose fate matters now; the client looks each of them up. */
export function watchedHashes(state: AnchorState): readonly string[] {
  const pending = state.pending?.transactions.map((transaction) => transaction.hash) ?? [];
  return state.confirmed === undefined ? pending : [...pending, state.confirmed.txHash];
}
