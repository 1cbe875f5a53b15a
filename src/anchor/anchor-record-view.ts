/** The record of anchors as callers see it: each anchor with its history, and the signer. */
import { z } from "@hono/zod-openapi";
import { ANCHOR_EVENT_TYPES, type HistoryEvent } from "./history.ts";

const time = (epochMs: number | null): string | null => (epochMs === null ? null : new Date(epochMs).toISOString());

export const anchorEventSchema = z
  .object({
    type: z.enum(ANCHOR_EVENT_TYPES),
    reason: z.string().openapi({ description: "A code of ours, or the one that an operator gave." }),
    at: z.string(),
    size: z.number().int().nullable().openapi({ description: "Null: about the signer, with nothing in flight." }),
    rootHash: z.string().nullable(),
    txHash: z.string().nullable(),
    nonce: z.number().int().nullable(),
    feePerGasWei: z.string().nullable().openapi({ description: "The most it may pay for one unit of gas." }),
    blockNumber: z.number().int().nullable(),
    blockHash: z.string().nullable(),
    actor: z.string().nullable().openapi({ description: "Key id of the operator who asked for it." }),
  })
  .openapi("AnchorEvent");

export const anchorRecordSchema = z
  .object({
    size: z.number().int().openapi({ description: "Entries of the ledger that the anchor covers." }),
    rootHash: z.string(),
    previousSize: z.number().int(),
    state: z.enum(["submitted", "confirmed", "failed"]),
    reason: z.string().nullable(),
    chainId: z.number().int(),
    contractAddress: z.string(),
    nonce: z.number().int().nullable().openapi({ description: "Null: found on chain, not sent by this signer." }),
    txHash: z.string(),
    blockNumber: z.number().int().nullable(),
    blockHash: z.string().nullable(),
    logIndex: z.number().int().nullable(),
    submittedAt: z.string(),
    confirmedAt: z.string().nullable(),
    events: z.array(anchorEventSchema).openapi({ description: "In the order in which they happened; the last 50." }),
  })
  .openapi("AnchorRecord");

const signerSchema = z.discriminatedUnion("state", [
  z.object({ state: z.literal("disabled"), reason: z.string() }),
  z.object({ state: z.literal("unknown"), reason: z.string() }),
  z.object({
    state: z.enum(["starting", "idle", "pending", "halted", "failing"]),
    reason: z.string().nullable(),
    chainId: z.number().int(),
    contractAddress: z.string(),
    address: z.string().nullable(),
    balanceWei: z.string().nullable(),
    minBalanceWei: z.string().nullable(),
    balanceLow: z.boolean(),
    ledgerSize: z.number().int().nullable(),
    latestBlock: z.number().int().nullable(),
    pending: z
      .object({
        size: z.number().int(),
        nonce: z.number().int(),
        txHash: z.string(),
        transactions: z.number().int(),
        since: z.string().nullable(),
      })
      .nullable(),
    urged: z.enum(["retry", "supersede"]).nullable(),
    superseded: z.object({ size: z.number().int(), root: z.string(), reason: z.string() }).nullable(),
    unrecorded: z.number().int().openapi({ description: "Changes that this history does not show yet." }),
    lastTickAt: z.string().nullable(),
  }),
]);

export const signerViewSchema = signerSchema.openapi("AnchorSigner");

export type AnchorEventView = z.output<typeof anchorEventSchema>;
export type AnchorRecordView = z.output<typeof anchorRecordSchema>;
export type SignerView = z.output<typeof signerViewSchema>;

/** What the signer's owner says of itself; times epoch ms. */
export type SignerStatus =
  | { readonly state: "disabled"; readonly reason: string }
  | (Omit<Extract<SignerView, { balanceLow: boolean }>, "address" | "pending" | "lastTickAt"> & {
      readonly signer: string | null;
      readonly lastTickAt: number | null;
      readonly pending: {
        readonly size: number;
        readonly nonce: number;
        readonly txHash: string;
        readonly transactions: number;
        readonly since: number;
      } | null;
    });

export function signerView(status: SignerStatus): SignerView {
  if (status.state === "disabled") return { state: "disabled", reason: status.reason };
  const { state, reason, chainId, contractAddress, signer, balanceWei, minBalanceWei, balanceLow, ledgerSize } = status;
  const { latestBlock, pending, urged, superseded, unrecorded, lastTickAt } = status;
  return {
    state,
    reason,
    chainId,
    contractAddress,
    address: signer,
    balanceWei,
    minBalanceWei,
    balanceLow,
    ledgerSize,
    latestBlock,
    pending: pending === null ? null : { ...pending, since: time(pending.since) },
    urged,
    superseded,
    unrecorded,
    lastTickAt: time(lastTickAt),
  };
}

export const eventView = (event: HistoryEvent): AnchorEventView => ({
  ...event,
  at: new Date(event.at).toISOString(),
});

/** A row of the record; times epoch ms. */
interface RecordedAnchor extends Omit<AnchorRecordView, "nonce" | "submittedAt" | "confirmedAt" | "events"> {
  readonly nonce: number;
  readonly submittedAt: number;
  readonly confirmedAt: number | null;
  readonly events: readonly HistoryEvent[];
}

export const recordView = (anchor: RecordedAnchor): AnchorRecordView => ({
  size: anchor.size,
  rootHash: anchor.rootHash,
  previousSize: anchor.previousSize,
  state: anchor.state,
  reason: anchor.reason,
  chainId: anchor.chainId,
  contractAddress: anchor.contractAddress,
  nonce: anchor.nonce < 0 ? null : anchor.nonce,
  txHash: anchor.txHash,
  blockNumber: anchor.blockNumber,
  blockHash: anchor.blockHash,
  logIndex: anchor.logIndex,
  submittedAt: new Date(anchor.submittedAt).toISOString(),
  confirmedAt: time(anchor.confirmedAt),
  events: anchor.events.map(eventView),
});
