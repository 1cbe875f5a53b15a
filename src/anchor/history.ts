/** Each change of an anchor as the events that its history shows. */
import { feeCeiling } from "./fees.ts";
import type { AnchorChange, GiveUpReason } from "./state.ts";

export const ANCHOR_EVENT_TYPES = [
  "submitted",
  "bumped",
  "dropped",
  "reverted",
  "replaced",
  "confirmed",
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
export type AnchorEventType = (typeof ANCHOR_EVENT_TYPES)[number];

export interface HistoryEvent {
  readonly type: AnchorEventType;
  /** A code of ours, or an operator's. */
  readonly reason: string;
  /** Epoch ms. */
  readonly at: number;
  /** Of the anchor it is about; null: about the signer. */
  readonly size: number | null;
  readonly rootHash: string | null;
  readonly txHash: string | null;
  readonly nonce: number | null;
  /** The most it may pay for one unit of gas, decimal text. */
  readonly feePerGasWei: string | null;
  readonly blockNumber: number | null;
  readonly blockHash: string | null;
  /** Key id of the operator who asked for it. */
  readonly actor: string | null;
}

const NOTHING = {
  size: null,
  rootHash: null,
  txHash: null,
  nonce: null,
  feePerGasWei: null,
  blockNumber: null,
  blockHash: null,
  actor: null,
} as const;

/** How a transaction ended that was given up, unless it is the one that was mined and reverted. */
const GIVEN_UP: Readonly<Record<GiveUpReason, AnchorEventType>> = {
  reverted: "replaced",
  "nonce-used-elsewhere": "replaced",
  overtaken: "replaced",
  "nonce-gap": "dropped",
  reorganized: "reorganized",
};

export function historyOf(change: AnchorChange): readonly HistoryEvent[] {
  switch (change.type) {
    case "submitted": {
      const { nonce, transaction, reason, at, bump } = change;
      return [
        {
          ...NOTHING,
          type: bump === true ? "bumped" : "submitted",
          reason,
          at,
          size: transaction.size,
          rootHash: transaction.root,
          txHash: transaction.hash,
          nonce,
          feePerGasWei: feeCeiling(transaction.fees).toString(),
        },
      ];
    }
    case "confirmed": {
      const { anchor, lost = [] } = change;
      const { sent } = anchor;
      const at = anchor.confirmedAt;
      const nonce = sent?.nonce ?? null;
      return [
        {
          ...NOTHING,
          type: "confirmed",
          reason: sent === undefined ? "found-on-chain" : "final",
          at,
          size: anchor.size,
          rootHash: anchor.root,
          txHash: anchor.txHash,
          nonce,
          feePerGasWei: sent === undefined ? null : feeCeiling(sent.transaction.fees).toString(),
          blockNumber: anchor.blockNumber,
          blockHash: anchor.blockHash,
        },
        ...lost.map(
          ({ size, hash }): HistoryEvent => ({
            ...NOTHING,
            type: "replaced",
            reason: "another-was-mined",
            at,
            size,
            txHash: hash,
            nonce,
          }),
        ),
      ];
    }
    case "failed":
      return change.transactions.map(({ size, hash }) => {
        const block =
          change.mined?.hash === hash ? change.mined : change.lostBlocks?.find((anchor) => anchor.txHash === hash);
        return {
          ...NOTHING,
          type: change.mined?.hash === hash ? "reverted" : GIVEN_UP[change.reason],
          reason: change.reason === "reorganized" ? "after-confirmation" : change.reason,
          at: change.at,
          size,
          txHash: hash,
          nonce: change.nonce ?? null,
          blockNumber: block?.blockNumber ?? null,
          blockHash: block?.blockHash ?? null,
        };
      });
    case "noted":
      return [
        {
          ...NOTHING,
          type: change.note,
          reason: change.reason,
          at: change.at,
          size: change.size ?? null,
          rootHash: change.root ?? null,
          txHash: change.txHash ?? null,
          nonce: change.nonce ?? null,
          blockNumber: change.blockNumber ?? null,
          blockHash: change.blockHash ?? null,
          actor: change.actor ?? null,
        },
      ];
  }
}

/** The same for the same event, so that recording it twice is one row. */
export const eventKey = ({ type, at, size, txHash, reason }: HistoryEvent): string =>
  `${at}:${type}:${reason}:${size ?? ""}:${txHash ?? ""}`;
