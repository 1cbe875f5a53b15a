/** How each executed action changes what is stored, and what the database is to be told of it. */
import type { AnchoredEvent } from "./chain-view.ts";
import type { MinedAnchor } from "./next-action.ts";
import {
  type AnchorChange,
  type AnchorState,
  type AnchorTransaction,
  type BroadcastResult,
  type ConfirmedAnchor,
  type Doubt,
  EMPTY_STATE,
  type GiveUpReason,
} from "./state.ts";

export type AnchorEvent =
  | { readonly type: "doubted"; readonly reason: Doubt }
  | { readonly type: "doubt-lifted" }
  | {
      readonly type: "signed";
      readonly nonce: number;
      readonly transaction: AnchorTransaction;
      readonly reason: string;
    }
  | { readonly type: "broadcast"; readonly hash: string; readonly result: BroadcastResult }
  | {
      readonly type: "confirmed";
      readonly transaction: AnchorTransaction;
      readonly nonce: number;
      readonly mined: MinedAnchor;
    }
  | { readonly type: "adopted"; readonly event: AnchoredEvent }
  | { readonly type: "given-up"; readonly reason: GiveUpReason }
  | { readonly type: "reopened" };

export interface Evolved {
  readonly state: AnchorState;
  readonly changes: readonly AnchorChange[];
}

/** @param now epoch ms. */
export function evolveAnchor(state: AnchorState, event: AnchorEvent, now: number): Evolved {
  switch (event.type) {
    case "doubted":
      return { state: { ...state, doubt: { reason: event.reason, since: now } }, changes: [] };
    case "doubt-lifted":
      return { state: { ...state, doubt: undefined }, changes: [] };
    case "signed": {
      const before = state.pending?.nonce === event.nonce ? state.pending.transactions : [];
      return {
        state: {
          ...state,
          doubt: undefined,
          pending: { nonce: event.nonce, transactions: [...before, event.transaction] },
        },
        changes: [
          { type: "submitted", nonce: event.nonce, transaction: event.transaction, reason: event.reason, at: now },
        ],
      };
    }
    case "broadcast": {
      if (state.pending === undefined) return { state, changes: [] };
      const transactions = state.pending.transactions.map((transaction) =>
        transaction.hash === event.hash
          ? { ...transaction, broadcast: { at: now, result: event.result } }
          : transaction,
      );
      return { state: { ...state, pending: { ...state.pending, transactions } }, changes: [] };
    }
    case "confirmed": {
      const { transaction, nonce, mined } = event;
      return withConfirmed({
        size: transaction.size,
        root: transaction.root,
        previousSize: transaction.previousSize,
        txHash: transaction.hash,
        ...mined,
        confirmedAt: now,
        sent: { nonce, transaction },
      });
    }
    case "adopted":
      return withConfirmed({ ...event.event, confirmedAt: now });
    case "given-up": {
      const count = (state.failures?.count ?? 0) + 1;
      const transactions = (state.pending?.transactions ?? []).map(({ size, hash }) => ({ size, hash }));
      return {
        state: { confirmed: state.confirmed, failures: { count, lastAt: now } },
        changes: [{ type: "failed", transactions, reason: event.reason, at: now }],
      };
    }
    case "reopened": {
      const lost = state.confirmed;
      if (lost === undefined) return { state, changes: [] };
      const failed: AnchorChange = {
        type: "failed",
        transactions: [{ size: lost.size, hash: lost.txHash }],
        reason: "reorganized",
        at: now,
      };
      if (lost.sent === undefined) return { state: EMPTY_STATE, changes: [failed] };
      const { nonce, transaction } = lost.sent;
      return {
        state: { pending: { nonce, transactions: [transaction] } },
        changes: [failed, { type: "submitted", nonce, transaction, reason: "reorganized", at: now }],
      };
    }
  }
}

const withConfirmed = (anchor: ConfirmedAnchor): Evolved => ({
  state: { confirmed: anchor },
  changes: [{ type: "confirmed", anchor }],
});
