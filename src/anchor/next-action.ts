/**
 * What to do next about the anchor, from what is stored and what the nodes show. Nothing here sends or stores: the loop
 * (loop.ts) executes the action and asks again.
 *
 * Rules that everything rests on:
 * - One nonce is in flight at a time. A replacement has the same nonce, so however many were signed, at most one is mined.
 * - `previousSize` comes from the chain. The contract compares and sets, so a wrong view costs a revert, never a wrong anchor.
 * - What a lagging node could show as well (a nonce already used, an anchor gone) is acted on only after it has lasted.
 * - Nothing is final, and nothing gone, at a height where two nodes show different blocks.
 * - What an operator asks for (`state.urge`) ends waits and doubts; it never lifts the fee cap or a halt.
 */
import type { AnchoredEvent, ChainView, MinedTransaction, ReachableChain } from "./chain-view.ts";
import { feeCeiling, replacementFees } from "./fees.ts";
import type {
  AnchorState,
  AnchorTransaction,
  ConfirmedAnchor,
  Doubt,
  EarlierAnchor,
  Fees,
  GiveUpReason,
  HaltReason,
  PendingAnchor,
} from "./state.ts";

export type { HaltReason } from "./state.ts";

export interface LedgerHead {
  readonly size: number;
  /** 64 lower-case hex digits. */
  readonly root: string;
}

export interface AnchorPolicy {
  readonly chainId: number;
  /** Lower-case address of the signer. */
  readonly signer: string;
  /** 0: final by the node's `finalized` tag; else this many blocks, the one it is in included. */
  readonly confirmations: number;
  /** Used in place of the tag on a node that has none. */
  readonly confirmationsWithoutTag: number;
  /** At least this long between a confirmation and the next submission. */
  readonly intervalMs: number;
  /** Not mined this long after signing: raise the fee. */
  readonly stuckAfterMs: number;
  readonly rebroadcastAfterMs: number;
  /** How long an observation must last that a lagging node could make as well. */
  readonly doubtMs: number;
  /** How long a node may stay below the confirmed anchor's block before the chain itself is taken to be shorter. */
  readonly behindMs: number;
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  /** Transactions signed for one nonce, the first included. */
  readonly maxTransactions: number;
  readonly maxFeePerGasWei: bigint;
  readonly gasLimit: bigint;
  /** Undefined: the balance is not watched. */
  readonly minBalanceWei: bigint | undefined;
}

export type WaitReason =
  | "in-mempool"
  | "broadcast-again-later"
  | "mined-not-final"
  | "receipt-not-seen"
  | "event-not-seen"
  | "nodes-disagree"
  | "node-behind"
  | "in-doubt"
  | "interval"
  | "retry-later"
  | "fee-cap"
  | "nothing-newer"
  | "replacement-limit";

export type ReplaceReason = "stuck" | "underpriced" | "stale-previous-size" | "retry" | "supersede";

/** A transaction to make: fees, and the arguments of `anchor`. */
export interface AnchorDraft {
  readonly nonce: number;
  readonly fees: Fees;
  readonly previousSize: number;
  readonly size: number;
  readonly root: string;
}

export type AnchorAction =
  | { readonly type: "idle"; readonly reason: "empty-ledger" | "nothing-new" }
  | { readonly type: "wait"; readonly reason: WaitReason }
  | { readonly type: "halt"; readonly reason: HaltReason }
  | { readonly type: "doubt"; readonly reason: Doubt }
  | { readonly type: "submit"; readonly draft: AnchorDraft }
  | { readonly type: "replace"; readonly reason: ReplaceReason; readonly draft: AnchorDraft }
  | { readonly type: "rebroadcast"; readonly transaction: AnchorTransaction }
  | {
      readonly type: "confirm";
      readonly transaction: AnchorTransaction;
      readonly nonce: number;
      readonly mined: MinedAnchor;
      readonly gone: readonly EarlierAnchor[];
    }
  | { readonly type: "adopt"; readonly event: AnchoredEvent }
  | {
      readonly type: "give-up";
      readonly reason: GiveUpReason;
      readonly mined?: { readonly hash: string; readonly blockNumber: number; readonly blockHash: string };
    }
  /** The confirmed anchor is gone from the chain, and `gone` with it: it is in flight again. */
  | { readonly type: "reopen"; readonly gone: readonly EarlierAnchor[] };

export interface MinedAnchor {
  readonly blockNumber: number;
  readonly blockHash: string;
  readonly logIndex: number;
}

const wait = (reason: WaitReason): AnchorAction => ({ type: "wait", reason });
const halt = (reason: HaltReason): AnchorAction => ({ type: "halt", reason });

type Contract = Extract<ReachableChain["contract"], { type: "present" }>;

/** What every rule below looks at. */
interface Situation {
  readonly state: AnchorState;
  readonly head: LedgerHead | undefined;
  readonly view: ReachableChain;
  readonly contract: Contract;
  readonly policy: AnchorPolicy;
  readonly now: number;
}

/**
 * @param head the committed ledger, read before `view`; undefined while the ledger has no head.
 * @param now epoch ms.
 */
export function nextAnchorAction(
  state: AnchorState,
  head: LedgerHead | undefined,
  view: ChainView,
  policy: AnchorPolicy,
  now: number,
): AnchorAction {
  if (view.type === "unreachable") return halt("node-unreachable");
  if (view.chainId !== policy.chainId) return halt("wrong-chain");
  const behind = state.confirmed !== undefined && view.latestBlock < state.confirmed.blockNumber;
  if (view.contract.type === "missing") return behind ? wait("node-behind") : halt("contract-missing");
  const situation: Situation = { state, head, view, contract: view.contract, policy, now };
  if (behind) {
    const gone = goneAnchors(situation);
    return onceItLasts(situation, "node-behind", { type: "reopen", gone }, policy.behindMs, wait("node-behind"));
  }
  if (state.pending !== undefined) return whilePending(situation, state.pending);
  return (
    (state.confirmed === undefined ? undefined : afterConfirmed(situation, state.confirmed)) ?? whenFree(situation)
  );
}

function whilePending(situation: Situation, pending: PendingAnchor): AnchorAction {
  const { view, contract, state, policy, now } = situation;
  for (const transaction of pending.transactions) {
    const seen = view.transactions.get(transaction.hash);
    if (seen?.type !== "mined") continue;
    const { blockNumber, blockHash } = seen;
    if (!seen.canonical || view.contradicted.has(blockNumber)) return wait("nodes-disagree");
    const mined = minedAnchor(seen);
    if (mined === undefined) {
      return { type: "give-up", reason: "reverted", mined: { hash: transaction.hash, blockNumber, blockHash } };
    }
    if (!isFinal(blockNumber, situation)) return wait("mined-not-final");
    return { type: "confirm", transaction, nonce: pending.nonce, mined, gone: goneAnchors(situation) };
  }

  if (pending.transactions.some((one) => one.size === contract.size && one.root === contract.root)) {
    return wait("receipt-not-seen"); // mined between two reads of this view
  }
  if (view.nonce > pending.nonce) {
    return onceItLasts(situation, "nonce-used", { type: "give-up", reason: "nonce-used-elsewhere" });
  }
  if (view.nonce < pending.nonce) {
    const sentBefore = state.confirmed?.sent;
    const reopened = state.confirmed !== undefined && contract.size < state.confirmed.size && sentBefore !== undefined;
    return reopened
      ? onceUncontradicted(situation, state.confirmed.blockNumber, {
          type: "reopen",
          gone: goneAnchors(situation),
        })
      : onceItLasts(situation, "nonce-gap", { type: "give-up", reason: "nonce-gap" });
  }

  const newest = pending.transactions.at(-1);
  if (newest === undefined) return { type: "give-up", reason: "nonce-gap" };
  if (newest.previousSize !== contract.size) {
    return onceItLasts(
      situation,
      "stale-previous-size",
      situation.head !== undefined && situation.head.size > contract.size
        ? replace(situation, pending.nonce, newest, pending.transactions.length, "stale-previous-size")
        : { type: "give-up", reason: "overtaken" },
    );
  }
  if (state.urge !== undefined) {
    const urged = replace(situation, pending.nonce, newest, pending.transactions.length, state.urge.type);
    if (urged.type === "replace") return urged; // else what is in flight is looked after as ever
  }
  if (newest.broadcast?.result === "underpriced") {
    return replace(situation, pending.nonce, newest, pending.transactions.length, "underpriced");
  }
  const seen = view.transactions.get(newest.hash);
  if (seen?.type !== "in-mempool") {
    if (newest.broadcast?.result === "insufficient-funds" && !affords(situation, newest.fees))
      return halt("out-of-funds");
    const last = newest.broadcast;
    if (last !== undefined && now - last.at < policy.rebroadcastAfterMs) return wait("broadcast-again-later");
    // Taken and forgotten for this long: a full mempool evicts the cheapest, and sending it again would not help.
    if ((last?.result === "accepted" || last?.result === "already-known") && isStuck(situation, newest)) {
      const bumped = replace(situation, pending.nonce, newest, pending.transactions.length, "stuck");
      if (bumped.type === "replace") return bumped;
    }
    return { type: "rebroadcast", transaction: newest };
  }
  if (!isStuck(situation, newest)) return wait("in-mempool");
  return replace(situation, pending.nonce, newest, pending.transactions.length, "stuck");
}

const isStuck = ({ now, policy }: Situation, transaction: AnchorTransaction): boolean =>
  now - transaction.signedAt >= policy.stuckAfterMs;

/** What a confirmed anchor calls for before anything new; undefined when it stands. */
function afterConfirmed(situation: Situation, confirmed: ConfirmedAnchor): AnchorAction | undefined {
  const { view, contract } = situation;
  if (contract.size < confirmed.size) {
    return onceUncontradicted(situation, confirmed.blockNumber, { type: "reopen", gone: goneAnchors(situation) });
  }
  if (contract.size === confirmed.size && contract.root !== confirmed.root) {
    return isSuperseded(situation) ? undefined : halt("anchored-root-differs");
  }
  const seen = view.transactions.get(confirmed.txHash);
  if (seen?.type !== "mined" || seen.blockHash === confirmed.blockHash) return undefined;
  // The chain was reorganized and took the same transaction again, in another block.
  const mined = minedAnchor(seen);
  if (mined === undefined || confirmed.sent === undefined) return undefined;
  if (!seen.canonical || view.contradicted.has(seen.blockNumber)) return wait("nodes-disagree");
  if (!isFinal(seen.blockNumber, situation)) return wait("mined-not-final");
  const { nonce, transaction } = confirmed.sent;
  return { type: "confirm", transaction, nonce, mined, gone: goneAnchors(situation) };
}

/** Nothing in flight, nothing undone: is there something to anchor? */
function whenFree(situation: Situation): AnchorAction {
  const { state, head, view, contract, policy, now } = situation;
  const headSize = head?.size ?? 0;
  if (contract.size > headSize) return halt("ledger-behind-anchor");
  if (head === undefined || headSize === 0) return { type: "idle", reason: "empty-ledger" };
  if (contract.size === headSize) {
    if (contract.root !== head.root)
      return isSuperseded(situation) ? wait("nothing-newer") : halt("anchored-root-differs");
    // The contract takes only a larger tree: a correcting anchor has to wait for the next entry.
    if (state.urge?.type === "supersede") return wait("nothing-newer");
    if (state.confirmed?.size === contract.size) return { type: "idle", reason: "nothing-new" };
    return adopt(situation);
  }
  // What an operator asked for waits neither for the backoff nor for the interval.
  if (state.urge === undefined && state.failures !== undefined) {
    const backoffMs = Math.min(policy.retryMaxMs, policy.retryBaseMs * 2 ** Math.min(state.failures.count - 1, 30));
    if (now - state.failures.lastAt < backoffMs) return wait("retry-later");
  } else if (
    state.urge === undefined &&
    state.confirmed !== undefined &&
    now - state.confirmed.confirmedAt < policy.intervalMs
  ) {
    return wait("interval");
  }
  const refusal = refuses(situation, view.suggestedFees);
  if (refusal !== undefined) return refusal;
  return { type: "submit", draft: draftOf(head, contract, view.nonce, view.suggestedFees) };
}

/** The contract holds this very tree and we did not know: our storage is younger than the anchor. */
function adopt(situation: Situation): AnchorAction {
  const { view, contract } = situation;
  const event = view.newestEvent;
  if (event === undefined || event.size !== contract.size || event.root !== contract.root)
    return wait("event-not-seen");
  if (view.contradicted.has(event.blockNumber)) return wait("nodes-disagree");
  return isFinal(event.blockNumber, situation) ? { type: "adopt", event } : wait("mined-not-final");
}

function replace(
  situation: Situation,
  nonce: number,
  newest: AnchorTransaction,
  signed: number,
  reason: ReplaceReason,
): AnchorAction {
  const { head, contract, view, policy } = situation;
  if (head === undefined || head.size <= contract.size) return wait("in-mempool");
  const byHand = reason === "retry" || reason === "supersede";
  if (signed >= (byHand ? 2 : 1) * policy.maxTransactions) return wait("replacement-limit");
  const fees = replacementFees(newest.fees, view.suggestedFees);
  return refuses(situation, fees) ?? { type: "replace", reason, draft: draftOf(head, contract, nonce, fees) };
}

const draftOf = (head: LedgerHead, contract: Contract, nonce: number, fees: Fees): AnchorDraft => ({
  nonce,
  fees,
  previousSize: contract.size,
  size: head.size,
  root: head.root,
});

/** Why a transaction with these fees must not be signed now. */
function refuses(situation: Situation, fees: Fees): AnchorAction | undefined {
  if (situation.contract.anchorer !== situation.policy.signer) return halt("not-the-anchorer");
  if (feeCeiling(fees) > situation.policy.maxFeePerGasWei) return wait("fee-cap");
  if (!affords(situation, fees)) return halt("out-of-funds");
  return undefined;
}

const affords = ({ view, policy }: Situation, fees: Fees): boolean =>
  view.balanceWei >= policy.gasLimit * feeCeiling(fees);

function isFinal(blockNumber: number, { view, policy }: Situation): boolean {
  if (policy.confirmations === 0 && view.finalizedBlock !== undefined) return blockNumber <= view.finalizedBlock;
  const needed = policy.confirmations === 0 ? policy.confirmationsWithoutTag : policy.confirmations;
  return view.latestBlock - blockNumber + 1 >= needed;
}

/** The contract's anchor is the one that an operator called wrong. */
const isSuperseded = ({ state, contract }: Situation): boolean =>
  state.superseded?.size === contract.size && state.superseded.root === contract.root;

/** Confirmed anchors, newest first, that the node's chain does not hold where they were. */
function goneAnchors({ state, view, contract }: Situation): readonly EarlierAnchor[] {
  const known: readonly EarlierAnchor[] = [
    ...(state.confirmed === undefined ? [] : [state.confirmed]),
    ...(state.earlier ?? []),
  ];
  return known
    .filter(({ size, blockNumber, blockHash }) => {
      if (size > contract.size) return true;
      return view.blocks.has(blockNumber) && view.blocks.get(blockNumber) !== blockHash;
    })
    .map(({ size, txHash, blockNumber, blockHash }) => ({ size, txHash, blockNumber, blockHash }));
}

/** A reorganization is believed when it lasts and no other node still has the block. */
function onceUncontradicted(situation: Situation, blockNumber: number, action: AnchorAction): AnchorAction {
  if (situation.view.contradicted.has(blockNumber)) return wait("nodes-disagree");
  return onceItLasts(situation, "reorganized", action);
}

const minedAnchor = (seen: MinedTransaction): MinedAnchor | undefined =>
  seen.succeeded && seen.logIndex !== undefined
    ? { blockNumber: seen.blockNumber, blockHash: seen.blockHash, logIndex: seen.logIndex }
    : undefined;

function onceItLasts(
  { state, policy, now }: Situation,
  reason: Doubt,
  action: AnchorAction,
  lastsMs = policy.doubtMs,
  meanwhile = wait("in-doubt"),
): AnchorAction {
  if (state.urge !== undefined) return action;
  if (state.doubt?.reason !== reason) return { type: "doubt", reason };
  return now - state.doubt.since >= lastsMs ? action : meanwhile;
}
