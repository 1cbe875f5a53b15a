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
  "underpriced",
  "nonce-too-low",
  "insufficient-funds",
  "rejected",
  "unreachable",
] as const;
/** What a node said to a raw transaction, the best first. */
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
  /** How often nodes that had taken it did not know it any more; counted as far as it is recorded. */
  drops: count.optional(),
  /** How often a node refused it otherwise than the time before; counted as far as it is recorded. */
  refusals: count.optional(),
  /** The block it was seen in, not final yet. */
  minedIn: z.object({ blockNumber: count, blockHash: hex(64, "0x") }).optional(),
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

const earlierSchema = z.object({
  size: count,
  txHash: hex(64, "0x"),
  blockNumber: count,
  blockHash: hex(64, "0x"),
});
/** An anchor confirmed before the newest one: enough to see that a reorganization took it as well. */
export type EarlierAnchor = Readonly<z.output<typeof earlierSchema>>;

/** A reorganization that reaches past this many anchors leaves the records of those before them as they are. */
export const MAX_EARLIER = 16;

/** A closed-form code for why an operator acts: no free text, so nothing personal. */
export const OPERATOR_REASON = /^[A-Z0-9-]{1,40}$/;

const urgeSchema = z.object({ type: z.enum(["retry", "supersede"]), at: count });
/** What an operator asked for and no transaction answers yet: waits, doubts and backoff are over. */
export type Urge = Readonly<z.output<typeof urgeSchema>>;

const supersededSchema = z.object({ size: count, root: hex(64), reason: z.string().regex(OPERATOR_REASON) });
/** The anchor on chain that an operator called wrong: it is built upon, not halted at, until a larger one is confirmed. */
export type SupersededAnchor = Readonly<z.output<typeof supersededSchema>>;

export const HALT_REASONS = [
  "node-unreachable",
  "wrong-chain",
  "contract-missing",
  "not-the-anchorer",
  "out-of-funds",
  "ledger-behind-anchor",
  "anchored-root-differs",
] as const;
/** A person has to act, or a node has to come back; asked again at every tick. */
export type HaltReason = (typeof HALT_REASONS)[number];

const haltSchema = z.object({ reason: z.enum(HALT_REASONS), recordedAt: count, over: z.boolean() });
/** The last halt that was recorded: the same one again within HALT_QUIET_MS is not news. */
export type RecordedHalt = Readonly<z.output<typeof haltSchema>>;
/** A node that comes and goes must not fill the history. */
export const HALT_QUIET_MS = 600_000;

export const HOLD_REASONS = ["fee-cap", "replacement-limit", "nodes-disagree"] as const;
/** Something that keeps a transaction from being sent, or from being taken for final, until it passes by itself. */
export type HoldReason = (typeof HOLD_REASONS)[number];

const heldSchema = z.object({
  /** What holds now; absent: nothing does. */
  now: z.enum(HOLD_REASONS).optional(),
  /** When each was recorded last: again within HALT_QUIET_MS it is not news. */
  recordedAt: z.partialRecord(z.enum(HOLD_REASONS), count),
});
export type RecordedHold = Readonly<z.output<typeof heldSchema>>;

export const DOUBTS = ["reorganized", "nonce-used", "nonce-gap", "stale-previous-size", "node-behind"] as const;
/** An observation that one lagging node could make as well: it is acted on only when it lasts. */
export type Doubt = (typeof DOUBTS)[number];

const stateSchema = z.object({
  confirmed: confirmedSchema.optional(),
  pending: pendingSchema.optional(),
  /** Attempts given up since the last confirmation, which space out the next ones. */
  failures: z.object({ count: count, lastAt: count }).optional(),
  doubt: z.object({ reason: z.enum(DOUBTS), since: count }).optional(),
  /** Newest first, at most MAX_EARLIER. */
  earlier: z.array(earlierSchema).max(MAX_EARLIER).optional(),
  urge: urgeSchema.optional(),
  superseded: supersededSchema.optional(),
  halt: haltSchema.optional(),
  held: heldSchema.optional(),
  /** The balance was below the minimum when last seen. */
  balanceLow: z.boolean().optional(),
});

export interface AnchorState {
  readonly confirmed?: ConfirmedAnchor | undefined;
  readonly pending?: PendingAnchor | undefined;
  readonly failures?: { readonly count: number; readonly lastAt: number } | undefined;
  readonly doubt?: { readonly reason: Doubt; readonly since: number } | undefined;
  readonly earlier?: readonly EarlierAnchor[] | undefined;
  readonly urge?: Urge | undefined;
  readonly superseded?: SupersededAnchor | undefined;
  readonly halt?: RecordedHalt | undefined;
  readonly held?: RecordedHold | undefined;
  readonly balanceLow?: boolean | undefined;
}

export const EMPTY_STATE: AnchorState = {};

export const GIVE_UP_REASONS = ["reverted", "nonce-used-elsewhere", "nonce-gap", "overtaken", "reorganized"] as const;
export type GiveUpReason = (typeof GIVE_UP_REASONS)[number];

export const NOTE_TYPES = [
  "dropped",
  "reorganized",
  "broadcast-refused",
  "held",
  "halted",
  "resumed",
  "retried",
  "superseded",
  "balance-low",
  "balance-restored",
] as const;
/** What happens to an anchor, or to the signer, without changing which anchor is the newest. */
export type NoteType = (typeof NOTE_TYPES)[number];

const lostSchema = z.array(z.object({ size: count, hash: hex(64, "0x") }));

const changeSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("submitted"),
    nonce: count,
    transaction: transactionSchema,
    reason: z.string(),
    at: count,
    /** It takes the place of an earlier transaction of this nonce. */
    bump: z.boolean().optional(),
  }),
  z.object({
    type: z.literal("confirmed"),
    anchor: confirmedSchema,
    /** The other transactions of its nonce. */
    lost: lostSchema.optional(),
  }),
  z.object({
    type: z.literal("failed"),
    transactions: lostSchema,
    reason: z.enum(GIVE_UP_REASONS),
    at: count,
    nonce: count.optional(),
    /** The one that was mined and reverted. */
    mined: z.object({ hash: hex(64, "0x"), blockNumber: count, blockHash: hex(64, "0x") }).optional(),
    /** Where the anchors were that a reorganization took. */
    lostBlocks: z
      .array(earlierSchema)
      .max(MAX_EARLIER + 1)
      .optional(),
  }),
  z.object({
    type: z.literal("noted"),
    note: z.enum(NOTE_TYPES),
    reason: z.string(),
    at: count,
    /** Of the anchor it is about; absent when it is about the signer alone. */
    size: count.optional(),
    root: hex(64).optional(),
    txHash: hex(64, "0x").optional(),
    nonce: count.optional(),
    blockNumber: count.optional(),
    blockHash: hex(64, "0x").optional(),
    /** Key id of the operator who asked for it. */
    actor: z.string().max(100).optional(),
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

/** Heights whose blocks tell whether what was seen mined still stands; those of earlier anchors are asked for when it does not. */
export function watchedBlocks(state: AnchorState): readonly number[] {
  const seen = state.pending?.transactions.flatMap((one) => one.minedIn?.blockNumber ?? []) ?? [];
  return [...new Set(state.confirmed === undefined ? seen : [...seen, state.confirmed.blockNumber])];
}

/** Every transaction whose fate matters now; the client looks each of them up. */
export function watchedHashes(state: AnchorState): readonly string[] {
  const pending = state.pending?.transactions.map((transaction) => transaction.hash) ?? [];
  return state.confirmed === undefined ? pending : [...pending, state.confirmed.txHash];
}
