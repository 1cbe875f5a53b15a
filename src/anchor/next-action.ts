/**
 * What to do next about the anchor, from what is stored and what one node shows. Nothing here sends or stores: the loop
 * (loop.ts) executes the action and asks again.
 *
 * Rules that everything rests on:
 * - One nonce is in flight at a time. A replacement has the same nonce, so however many were signed, at most one is mined.
 * - `previousSize` comes from the chain. The contract compares and sets, so a wrong view costs a revert, never a wrong anchor.
 * - What a lagging node could show as well (a nonce already used, an anchor gone) is acted on only after it has lasted.
 */
import type { AnchoredEvent, ChainView, MinedTransaction, ReachableChain } from "./chain-view.ts";
import { feeCeiling, replacementFees } from "./fees.ts";
import type {
  AnchorState,
  AnchorTransaction,
  ConfirmedAnchor,
  Doubt,
  Fees,
  GiveUpReason,
  PendingAnchor,
} from "./state.ts";

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
  readonly retryBaseMs: number;
  readonly retryMaxMs: number;
  /** Transactions signed for one nonce, the first included. */
  readonly maxTransactions: number;
  readonly maxFeePerGasWei: bigint;
  readonly gasLimit: bigint;
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
  | "replacement-limit";

/** A person has to act, or a node has to come back; asked again at every tick. */
export type HaltReason =
  | "node-unreachable"
  | "wrong-chain"
  | "contract-missing"
  | "not-the-anchorer"
  | "out-of-funds"
  | "ledger-behind-anchor"
  | "anchored-root-differs";

export type ReplaceReason = "stuck" | "underpriced" | "stale-previous-size";

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
    }
  | { readonly type: "adopt"; readonly event: AnchoredEvent }
  | { readonly type: "give-up"; readonly reason: GiveUpReason }
  /** The confirmed anchor is gone from the chain: it is in flight again. */
  | { readonly type: "reopen" };

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
  if (state.confirmed !== undefined && view.latestBlock < state.confirmed.blockNumber) return wait("node-behind");
  if (view.contract.type === "missing") return halt("contract-missing");
  const situation: Situation = { state, head, view, contract: view.contract, policy, now };
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
    if (!seen.canonical) return wait("nodes-disagree");
    const mined = minedAnchor(seen);
    if (mined === undefined) return { type: "give-up", reason: "reverted" };
    if (!isFinal(seen.blockNumber, situation)) return wait("mined-not-final");
    return { type: "confirm", transaction, nonce: pending.nonce, mined };
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
      ? onceItLasts(situation, "reorganized", { type: "reopen" })
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
  if (newest.broadcast?.result === "underpriced") {
    return replace(situation, pending.nonce, newest, pending.transactions.length, "underpriced");
  }
  const seen = view.transactions.get(newest.hash);
  if (seen?.type !== "in-mempool") {
    if (newest.broadcast?.result === "insufficient-funds" && !affords(situation, newest.fees))
      return halt("out-of-funds");
    const last = newest.broadcast?.at;
    return last === undefined || now - last >= policy.rebroadcastAfterMs
      ? { type: "rebroadcast", transaction: newest }
      : wait("broadcast-again-later");
  }
  if (now - newest.signedAt < policy.stuckAfterMs) return wait("in-mempool");
  return replace(situation, pending.nonce, newest, pending.transactions.length, "stuck");
}

/** What a confirmed anchor calls for before anything new; undefined when it stands. */
function afterConfirmed(situation: Situation, confirmed: ConfirmedAnchor): AnchorAction | undefined {
  const { view, contract } = situation;
  if (contract.size < confirmed.size) return onceItLasts(situation, "reorganized", { type: "reopen" });
  if (contract.size === confirmed.size && contract.root !== confirmed.root) return halt("anchored-root-differs");
  const seen = view.transactions.get(confirmed.txHash);
  if (seen?.type !== "mined" || seen.blockHash === confirmed.blockHash) return undefined;
  // The chain was reorganized and took the same transaction again, in another block.
  const mined = minedAnchor(seen);
  if (!seen.canonical || mined === undefined || confirmed.sent === undefined) return undefined;
  if (!isFinal(seen.blockNumber, situation)) return wait("mined-not-final");
  return { type: "confirm", transaction: confirmed.sent.transaction, nonce: confirmed.sent.nonce, mined };
}

/** Nothing in flight, nothing undone: is there something to anchor? */
function whenFree(situation: Situation): AnchorAction {
  const { state, head, view, contract, policy, now } = situation;
  const headSize = head?.size ?? 0;
  if (contract.size > headSize) return halt("ledger-behind-anchor");
  if (head === undefined || headSize === 0) return { type: "idle", reason: "empty-ledger" };
  if (contract.size === headSize) {
    if (contract.root !== head.root) return halt("anchored-root-differs");
    if (state.confirmed?.size === contract.size) return { type: "idle", reason: "nothing-new" };
    return adopt(situation);
  }
  if (state.failures !== undefined) {
    const backoffMs = Math.min(policy.retryMaxMs, policy.retryBaseMs * 2 ** Math.min(state.failures.count - 1, 30));
    if (now - state.failures.lastAt < backoffMs) return wait("retry-later");
  } else if (state.confirmed !== undefined && now - state.confirmed.confirmedAt < policy.intervalMs) {
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
  if (signed >= policy.maxTransactions) return wait("replacement-limit");
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

const minedAnchor = (seen: MinedTransaction): MinedAnchor | undefined =>
  seen.succeeded && seen.logIndex !== undefined
    ? { blockNumber: seen.blockNumber, blockHash: seen.blockHash, logIndex: seen.logIndex }
    : undefined;

function onceItLasts({ state, policy, now }: Situation, reason: Doubt, action: AnchorAction): AnchorAction {
  if (state.doubt?.reason !== reason) return { type: "doubt", reason };
  return now - state.doubt.since >= policy.doubtMs ? action : wait("in-doubt");
}
