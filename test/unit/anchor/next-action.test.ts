import { describe, expect, it } from "vitest";
import type { AnchoredEvent, ChainView, MinedTransaction, ReachableChain } from "../../../src/anchor/chain-view.ts";
import {
  type AnchorAction,
  type AnchorPolicy,
  type LedgerHead,
  nextAnchorAction,
} from "../../../src/anchor/next-action.ts";
import type { AnchorState, AnchorTransaction, ConfirmedAnchor, Fees } from "../../../src/anchor/state.ts";

const NOW = 1_800_000_000_000;
const GWEI = 1_000_000_000n;
const SIGNER = `0x${"aa".repeat(20)}`;
const r = (n: number): string => n.toString(16).padStart(64, "0");
const h = (n: number): string => `0x${r(n)}`;

const FEES: Fees = { type: "eip1559", maxFeePerGas: 20n * GWEI, maxPriorityFeePerGas: GWEI };
const BUMPED: Fees = { type: "eip1559", maxFeePerGas: 22_500_000_001n, maxPriorityFeePerGas: 1_125_000_001n };

const POLICY: AnchorPolicy = {
  chainId: 1,
  signer: SIGNER,
  confirmations: 0,
  confirmationsWithoutTag: 64,
  intervalMs: 0,
  stuckAfterMs: 60_000,
  rebroadcastAfterMs: 5_000,
  doubtMs: 15_000,
  behindMs: 100_000,
  retryBaseMs: 5_000,
  retryMaxMs: 600_000,
  maxTransactions: 3,
  maxFeePerGasWei: 500n * GWEI,
  gasLimit: 100_000n,
  minBalanceWei: undefined,
};

const HEAD: LedgerHead = { size: 20, root: r(20) };

const transaction = (over: Partial<AnchorTransaction> = {}): AnchorTransaction => ({
  hash: h(0xa1),
  rawTx: "0x02",
  size: 20,
  root: r(20),
  previousSize: 10,
  fees: FEES,
  signedAt: NOW - 10_000,
  broadcast: { at: NOW - 10_000, result: "accepted" },
  ...over,
});

const confirmed = (over: Partial<ConfirmedAnchor> = {}): ConfirmedAnchor => ({
  size: 10,
  root: r(10),
  previousSize: 5,
  txHash: h(0xc0),
  blockNumber: 90,
  blockHash: h(90),
  logIndex: 0,
  confirmedAt: NOW - 100_000,
  sent: { nonce: 6, transaction: transaction({ hash: h(0xc0), size: 10, root: r(10), previousSize: 5 }) },
  ...over,
});

const mined = (over: Partial<MinedTransaction> = {}): MinedTransaction => ({
  type: "mined",
  succeeded: true,
  blockNumber: 95,
  blockHash: h(95),
  logIndex: 3,
  canonical: true,
  ...over,
});

const EVENT: AnchoredEvent = {
  size: 20,
  root: r(20),
  previousSize: 10,
  txHash: h(0xee),
  blockNumber: 92,
  blockHash: h(92),
  logIndex: 1,
};

type Seen = Record<string, MinedTransaction | { type: "in-mempool" } | { type: "unknown" }>;
interface ViewOver extends Partial<Omit<ReachableChain, "contract" | "transactions">> {
  readonly anchored?: { readonly size: number; readonly root: string; readonly anchorer?: string };
  readonly contractMissing?: true;
  readonly seen?: Seen;
}

function view({ anchored, contractMissing, seen = {}, ...over }: ViewOver = {}): ChainView {
  return {
    type: "reachable",
    chainId: 1,
    latestBlock: 100,
    finalizedBlock: 96,
    nonce: 7,
    balanceWei: 10n ** 18n,
    suggestedFees: FEES,
    contract: contractMissing
      ? { type: "missing" }
      : { type: "present", size: 10, root: r(10), blockNumber: 90, anchorer: SIGNER, ...anchored },
    transactions: new Map(Object.entries(seen)),
    newestEvent: undefined,
    blocks: new Map([[90, h(90)]]),
    contradicted: new Set(),
    ...over,
  };
}

const pending = (...transactions: readonly AnchorTransaction[]): AnchorState => ({
  confirmed: confirmed(),
  pending: { nonce: 7, transactions: transactions.length === 0 ? [transaction()] : transactions },
});
const settled: AnchorState = { confirmed: confirmed() };
const doubting = (
  state: AnchorState,
  reason: NonNullable<AnchorState["doubt"]>["reason"],
  ageMs: number,
): AnchorState => ({
  ...state,
  doubt: { reason, since: NOW - ageMs },
});

const NEWEST_GONE = { size: 10, txHash: h(0xc0), blockNumber: 90, blockHash: h(90) };
const EARLIER = (size: number, blockNumber: number) => ({
  size,
  txHash: h(0xe00 + size),
  blockNumber,
  blockHash: h(blockNumber),
});
const urged = (state: AnchorState, type: "retry" | "supersede"): AnchorState => ({ ...state, urge: { type, at: NOW } });
const inMempool: Seen = { [h(0xa1)]: { type: "in-mempool" } };
const draft = (fees: Fees, over: object = {}) => ({ nonce: 7, fees, previousSize: 10, size: 20, root: r(20), ...over });
const replaced = transaction({ hash: h(0xa2), fees: BUMPED, signedAt: NOW - 1_000, size: 21, root: r(21) });

interface Row {
  readonly situation: string;
  readonly state: AnchorState;
  readonly view: ChainView;
  readonly head?: LedgerHead | null;
  readonly policy?: Partial<AnchorPolicy>;
  readonly action: AnchorAction;
}

const wait = (reason: Extract<AnchorAction, { type: "wait" }>["reason"]): AnchorAction => ({ type: "wait", reason });
const halt = (reason: Extract<AnchorAction, { type: "halt" }>["reason"]): AnchorAction => ({ type: "halt", reason });

const ROWS: readonly Row[] = [
  // Nothing to do
  {
    situation: "the ledger has no entry",
    state: {},
    head: null,
    view: view({ anchored: { size: 0, root: r(0) } }),
    action: { type: "idle", reason: "empty-ledger" },
  },
  {
    situation: "the newest root is anchored and confirmed",
    state: settled,
    head: { size: 10, root: r(10) },
    view: view(),
    action: { type: "idle", reason: "nothing-new" },
  },

  // Submitting
  { situation: "the ledger has grown", state: settled, view: view(), action: { type: "submit", draft: draft(FEES) } },
  {
    situation: "the first anchor of all",
    state: {},
    view: view({ anchored: { size: 0, root: r(0) }, nonce: 0 }),
    action: { type: "submit", draft: draft(FEES, { nonce: 0, previousSize: 0 }) },
  },
  {
    situation: "the chain has legacy fees",
    state: settled,
    view: view({ suggestedFees: { type: "legacy", gasPrice: 7n * GWEI } }),
    action: { type: "submit", draft: draft({ type: "legacy", gasPrice: 7n * GWEI }) },
  },
  {
    situation: "the chain holds an older anchor that storage has forgotten",
    state: {},
    view: view({ anchored: { size: 15, root: r(15) } }),
    action: { type: "submit", draft: draft(FEES, { previousSize: 15 }) },
  },
  {
    situation: "the interval since the last confirmation is not over",
    state: settled,
    policy: { intervalMs: 100_001 },
    view: view(),
    action: wait("interval"),
  },
  {
    situation: "the interval is over",
    state: settled,
    policy: { intervalMs: 100_000 },
    view: view(),
    action: { type: "submit", draft: draft(FEES) },
  },
  {
    situation: "an attempt failed a moment ago",
    state: { ...settled, failures: { count: 2, lastAt: NOW - 9_999 } },
    view: view(),
    action: wait("retry-later"),
  },
  {
    situation: "the wait after a failure is over, on a ledger that has not grown since",
    state: { ...settled, failures: { count: 2, lastAt: NOW - 10_000 } },
    view: view(),
    action: { type: "submit", draft: draft(FEES) },
  },
  {
    situation: "many failures: the wait has a ceiling",
    state: { ...settled, failures: { count: 1_000, lastAt: NOW - 600_000 } },
    view: view(),
    action: { type: "submit", draft: draft(FEES) },
  },
  {
    situation: "fees are above the cap",
    state: settled,
    policy: { maxFeePerGasWei: 20n * GWEI - 1n },
    view: view(),
    action: wait("fee-cap"),
  },
  {
    situation: "the account cannot pay for the gas limit",
    state: settled,
    view: view({ balanceWei: 100_000n * 20n * GWEI - 1n }),
    action: halt("out-of-funds"),
  },
  {
    situation: "the account can just pay",
    state: settled,
    view: view({ balanceWei: 100_000n * 20n * GWEI }),
    action: { type: "submit", draft: draft(FEES) },
  },

  // Something is wrong with the chain, the contract or the configuration
  {
    situation: "the node is down",
    state: settled,
    view: { type: "unreachable", reason: "no connection" },
    action: halt("node-unreachable"),
  },
  {
    situation: "the node is down with a transaction in flight",
    state: pending(),
    view: { type: "unreachable", reason: "no connection" },
    action: halt("node-unreachable"),
  },
  {
    situation: "the node is on another chain",
    state: settled,
    view: view({ chainId: 5 }),
    action: halt("wrong-chain"),
  },
  {
    situation: "there is no contract at the address",
    state: settled,
    view: view({ contractMissing: true }),
    action: halt("contract-missing"),
  },
  {
    situation: "there is no contract and a transaction in flight",
    state: pending(),
    view: view({ contractMissing: true }),
    action: halt("contract-missing"),
  },
  {
    situation: "the contract has another anchorer",
    state: settled,
    view: view({ anchored: { size: 10, root: r(10), anchorer: `0x${"bb".repeat(20)}` } }),
    action: halt("not-the-anchorer"),
  },
  {
    situation: "the node has not reached the confirmed anchor's block, first seen",
    state: settled,
    view: view({ latestBlock: 89, anchored: { size: 5, root: r(5) } }),
    action: { type: "doubt", reason: "node-behind" },
  },
  {
    situation: "the node has been below the confirmed anchor's block for as long as a reorganization is doubted",
    state: doubting(settled, "node-behind", 99_999),
    view: view({ latestBlock: 89, anchored: { size: 5, root: r(5) } }),
    action: wait("node-behind"),
  },
  {
    situation: "the chain itself has become shorter than the confirmed anchor's block",
    state: doubting(settled, "node-behind", 100_000),
    view: view({ latestBlock: 89, anchored: { size: 5, root: r(5) } }),
    action: { type: "reopen", gone: [NEWEST_GONE] },
  },
  {
    situation: "the node has not even reached the contract's deployment",
    state: settled,
    view: view({ latestBlock: 3, contractMissing: true }),
    action: wait("node-behind"),
  },
  {
    situation: "the contract holds more than the ledger",
    state: settled,
    head: { size: 9, root: r(9) },
    view: view(),
    action: halt("ledger-behind-anchor"),
  },
  {
    situation: "the contract holds an anchor and the ledger is empty",
    state: {},
    head: null,
    view: view(),
    action: halt("ledger-behind-anchor"),
  },
  {
    situation: "the contract holds another root of the same size",
    state: {},
    head: { size: 10, root: r(11) },
    view: view(),
    action: halt("anchored-root-differs"),
  },
  {
    situation: "the contract's root of the confirmed size has changed",
    state: settled,
    view: view({ anchored: { size: 10, root: r(11) } }),
    action: halt("anchored-root-differs"),
  },

  // In the mempool
  {
    situation: "signed and stored, never broadcast (a crash between)",
    state: pending(transaction({ broadcast: undefined })),
    view: view(),
    action: { type: "rebroadcast", transaction: transaction({ broadcast: undefined }) },
  },
  {
    situation: "in the mempool, not for long",
    state: pending(),
    view: view({ seen: inMempool }),
    action: wait("in-mempool"),
  },
  {
    situation: "in the mempool too long",
    state: pending(transaction({ signedAt: NOW - 60_000 })),
    view: view({ seen: inMempool }),
    action: { type: "replace", reason: "stuck", draft: draft(BUMPED) },
  },
  {
    situation: "stuck while the ledger grew: same nonce, newest root",
    state: pending(transaction({ signedAt: NOW - 60_000 })),
    head: { size: 33, root: r(33) },
    view: view({ seen: inMempool }),
    action: { type: "replace", reason: "stuck", draft: draft(BUMPED, { size: 33, root: r(33) }) },
  },
  {
    situation: "stuck in a fee spike: today's fees, where they are above the bump",
    state: pending(transaction({ signedAt: NOW - 60_000 })),
    view: view({
      seen: inMempool,
      suggestedFees: { type: "eip1559", maxFeePerGas: 90n * GWEI, maxPriorityFeePerGas: 2n * GWEI },
    }),
    action: {
      type: "replace",
      reason: "stuck",
      draft: draft({ type: "eip1559", maxFeePerGas: 90n * GWEI, maxPriorityFeePerGas: 2n * GWEI }),
    },
  },
  {
    situation: "stuck on a legacy chain",
    state: pending(transaction({ signedAt: NOW - 60_000, fees: { type: "legacy", gasPrice: 8n * GWEI } })),
    view: view({ seen: inMempool, suggestedFees: { type: "legacy", gasPrice: 7n * GWEI } }),
    action: { type: "replace", reason: "stuck", draft: draft({ type: "legacy", gasPrice: 9n * GWEI + 1n }) },
  },
  {
    situation: "stuck and the bump would pass the cap",
    state: pending(transaction({ signedAt: NOW - 60_000 })),
    policy: { maxFeePerGasWei: 22n * GWEI },
    view: view({ seen: inMempool }),
    action: wait("fee-cap"),
  },
  {
    situation: "stuck with as many replacements as there may be",
    state: pending(transaction(), transaction(), transaction({ signedAt: NOW - 60_000 })),
    view: view({ seen: inMempool }),
    action: wait("replacement-limit"),
  },
  {
    situation: "stuck and out of funds for the bump",
    state: pending(transaction({ signedAt: NOW - 60_000 })),
    view: view({ seen: inMempool, balanceWei: 100_000n * 22n * GWEI }),
    action: halt("out-of-funds"),
  },
  {
    situation: "dropped from the mempool",
    state: pending(),
    view: view(),
    action: { type: "rebroadcast", transaction: transaction() },
  },
  {
    situation: "dropped, but broadcast a moment ago",
    state: pending(transaction({ broadcast: { at: NOW - 4_999, result: "accepted" } })),
    view: view(),
    action: wait("broadcast-again-later"),
  },
  {
    situation: "taken and forgotten by the nodes until it counts as stuck",
    state: pending(transaction({ signedAt: NOW - 60_000 })),
    view: view(),
    action: { type: "replace", reason: "stuck", draft: draft(BUMPED) },
  },
  {
    situation: "never taken by a node, for as long: its fee is not the matter",
    state: pending(transaction({ signedAt: NOW - 60_000, broadcast: { at: NOW - 5_000, result: "unreachable" } })),
    view: view(),
    action: {
      type: "rebroadcast",
      transaction: transaction({ signedAt: NOW - 60_000, broadcast: { at: NOW - 5_000, result: "unreachable" } }),
    },
  },
  {
    situation: "the newest of two was dropped: that one is sent again",
    state: pending(transaction(), { ...replaced, broadcast: { at: NOW - 5_000, result: "accepted" } }),
    view: view({ seen: inMempool }),
    action: { type: "rebroadcast", transaction: { ...replaced, broadcast: { at: NOW - 5_000, result: "accepted" } } },
  },

  // What the node said to the broadcast
  {
    situation: "already known, and in the mempool",
    state: pending(transaction({ broadcast: { at: NOW, result: "already-known" } })),
    view: view({ seen: inMempool }),
    action: wait("in-mempool"),
  },
  {
    situation: "the node did not answer the broadcast",
    state: pending(transaction({ broadcast: { at: NOW - 5_000, result: "unreachable" } })),
    view: view(),
    action: {
      type: "rebroadcast",
      transaction: transaction({ broadcast: { at: NOW - 5_000, result: "unreachable" } }),
    },
  },
  {
    situation: "underpriced: replaced at once",
    state: pending(transaction({ broadcast: { at: NOW, result: "underpriced" } })),
    view: view(),
    action: { type: "replace", reason: "underpriced", draft: draft(BUMPED) },
  },
  {
    situation: "refused for want of funds, still poor",
    state: pending(transaction({ broadcast: { at: NOW - 5_000, result: "insufficient-funds" } })),
    view: view({ balanceWei: 0n }),
    action: halt("out-of-funds"),
  },
  {
    situation: "refused for want of funds, topped up since",
    state: pending(transaction({ broadcast: { at: NOW - 5_000, result: "insufficient-funds" } })),
    view: view(),
    action: {
      type: "rebroadcast",
      transaction: transaction({ broadcast: { at: NOW - 5_000, result: "insufficient-funds" } }),
    },
  },
  {
    situation: "refused for a reason we do not know",
    state: pending(transaction({ broadcast: { at: NOW - 1, result: "rejected" } })),
    view: view(),
    action: wait("broadcast-again-later"),
  },
  {
    situation: "nonce too low, first seen: it may be a lagging view",
    state: pending(transaction({ broadcast: { at: NOW, result: "nonce-too-low" } })),
    view: view({ nonce: 8 }),
    action: { type: "doubt", reason: "nonce-used" },
  },
  {
    situation: "nonce used, doubted a moment ago",
    state: doubting(pending(), "nonce-used", 14_999),
    view: view({ nonce: 8 }),
    action: wait("in-doubt"),
  },
  {
    situation: "nonce used by a transaction that is not ours",
    state: doubting(pending(), "nonce-used", 15_000),
    view: view({ nonce: 8 }),
    action: { type: "give-up", reason: "nonce-used-elsewhere" },
  },
  {
    situation: "nonces before ours have gone",
    state: doubting({ pending: { nonce: 7, transactions: [transaction()] } }, "nonce-gap", 15_000),
    view: view({ nonce: 6 }),
    action: { type: "give-up", reason: "nonce-gap" },
  },
  {
    situation: "another anchor came between, and the ledger is larger still",
    state: doubting(pending(), "stale-previous-size", 15_000),
    view: view({ anchored: { size: 15, root: r(15) }, seen: inMempool }),
    action: { type: "replace", reason: "stale-previous-size", draft: draft(BUMPED, { previousSize: 15 }) },
  },
  {
    situation: "another anchor of the whole ledger came between",
    state: doubting(pending(transaction({ size: 19, root: r(19) })), "stale-previous-size", 15_000),
    view: view({ anchored: { size: 20, root: r(20) }, seen: inMempool }),
    action: { type: "give-up", reason: "overtaken" },
  },

  // Mined
  {
    situation: "mined, not final by the node's tag",
    state: pending(),
    view: view({
      nonce: 8,
      anchored: { size: 20, root: r(20) },
      seen: { [h(0xa1)]: mined({ blockNumber: 97, blockHash: h(97) }) },
    }),
    action: wait("mined-not-final"),
  },
  {
    situation: "mined and final by the node's tag",
    state: pending(),
    view: view({ nonce: 8, anchored: { size: 20, root: r(20) }, seen: { [h(0xa1)]: mined() } }),
    action: {
      type: "confirm",
      transaction: transaction(),
      nonce: 7,
      mined: { blockNumber: 95, blockHash: h(95), logIndex: 3 },
      gone: [],
    },
  },
  {
    situation: "mined, one block short of the count",
    state: pending(),
    policy: { confirmations: 7 },
    view: view({ seen: { [h(0xa1)]: mined() } }),
    action: wait("mined-not-final"),
  },
  {
    situation: "mined, the count reached",
    state: pending(),
    policy: { confirmations: 6 },
    view: view({ finalizedBlock: undefined, seen: { [h(0xa1)]: mined() } }),
    action: {
      type: "confirm",
      transaction: transaction(),
      nonce: 7,
      mined: { blockNumber: 95, blockHash: h(95), logIndex: 3 },
      gone: [],
    },
  },
  {
    situation: "a node without the tag, one block short",
    state: pending(),
    view: view({ latestBlock: 157, finalizedBlock: undefined, seen: { [h(0xa1)]: mined() } }),
    action: wait("mined-not-final"),
  },
  {
    situation: "a node without the tag, deep enough",
    state: pending(),
    view: view({ latestBlock: 158, finalizedBlock: undefined, seen: { [h(0xa1)]: mined() } }),
    action: {
      type: "confirm",
      transaction: transaction(),
      nonce: 7,
      mined: { blockNumber: 95, blockHash: h(95), logIndex: 3 },
      gone: [],
    },
  },
  {
    situation: "an earlier replacement was mined",
    state: pending(transaction(), replaced),
    view: view({ nonce: 8, anchored: { size: 20, root: r(20) }, seen: { [h(0xa1)]: mined() } }),
    action: {
      type: "confirm",
      transaction: transaction(),
      nonce: 7,
      mined: { blockNumber: 95, blockHash: h(95), logIndex: 3 },
      gone: [],
    },
  },
  {
    situation: "mined but reverted",
    state: pending(),
    view: view({ nonce: 8, seen: { [h(0xa1)]: mined({ succeeded: false, logIndex: undefined }) } }),
    action: {
      type: "give-up",
      reason: "reverted",
      mined: { hash: h(0xa1), blockNumber: 95, blockHash: h(95) },
    },
  },
  {
    situation: "the receipt is of a block that the node does not have",
    state: pending(),
    view: view({ seen: { [h(0xa1)]: mined({ canonical: false }) } }),
    action: wait("nodes-disagree"),
  },
  {
    situation: "mined between two reads of the view",
    state: pending(),
    view: view({ nonce: 8, anchored: { size: 20, root: r(20) } }),
    action: wait("receipt-not-seen"),
  },

  // Reorganizations
  {
    situation: "mined, then reorganized away before confirmation: back in the mempool",
    state: pending(),
    view: view({ seen: inMempool }),
    action: wait("in-mempool"),
  },
  {
    situation: "mined, then reorganized away before confirmation: lost",
    state: pending(),
    view: view(),
    action: { type: "rebroadcast", transaction: transaction() },
  },
  {
    situation: "the confirmed anchor is gone, first seen",
    state: settled,
    view: view({ anchored: { size: 5, root: r(5) } }),
    action: { type: "doubt", reason: "reorganized" },
  },
  {
    situation: "the confirmed anchor is gone, doubted for another reason before",
    state: doubting(settled, "nonce-gap", 99_000),
    view: view({ anchored: { size: 5, root: r(5) } }),
    action: { type: "doubt", reason: "reorganized" },
  },
  {
    situation: "the confirmed anchor has been gone long enough",
    state: doubting(settled, "reorganized", 15_000),
    view: view({ anchored: { size: 5, root: r(5) } }),
    action: { type: "reopen", gone: [NEWEST_GONE] },
  },
  {
    situation: "the confirmed anchor is gone with the next one in flight",
    state: doubting(pending(), "reorganized", 15_000),
    view: view({ nonce: 6, anchored: { size: 5, root: r(5) } }),
    action: { type: "reopen", gone: [NEWEST_GONE] },
  },
  {
    situation: "the confirmed anchor was mined again in another block",
    state: settled,
    view: view({ seen: { [h(0xc0)]: mined() } }),
    action: {
      type: "confirm",
      transaction: transaction({ hash: h(0xc0), size: 10, root: r(10), previousSize: 5 }),
      nonce: 6,
      mined: { blockNumber: 95, blockHash: h(95), logIndex: 3 },
      gone: [],
    },
  },
  {
    situation: "mined again in another block that is not final",
    state: settled,
    view: view({ seen: { [h(0xc0)]: mined({ blockNumber: 99, blockHash: h(99) }) } }),
    action: wait("mined-not-final"),
  },
  {
    situation: "the confirmed anchor's receipt was pruned by the node",
    state: settled,
    head: { size: 10, root: r(10) },
    view: view({ seen: { [h(0xc0)]: { type: "unknown" } } }),
    action: { type: "idle", reason: "nothing-new" },
  },

  {
    situation: "the reorganization took the anchor before as well, and left the one before that",
    state: doubting({ ...settled, earlier: [EARLIER(5, 80), EARLIER(3, 70), EARLIER(2, 60)] }, "reorganized", 15_000),
    view: view({
      anchored: { size: 3, root: r(3) },
      blocks: new Map([
        [90, undefined],
        [80, h(0x80)],
        [70, h(0x70)],
        [60, h(60)],
      ]),
    }),
    action: { type: "reopen", gone: [NEWEST_GONE, EARLIER(5, 80), EARLIER(3, 70)] },
  },
  {
    situation: "the next anchor is confirmed on a chain that moved the one before",
    state: pending(),
    view: view({
      nonce: 8,
      anchored: { size: 20, root: r(20) },
      seen: { [h(0xa1)]: mined() },
      blocks: new Map([[90, h(0x90)]]),
    }),
    action: {
      type: "confirm",
      transaction: transaction(),
      nonce: 7,
      mined: { blockNumber: 95, blockHash: h(95), logIndex: 3 },
      gone: [NEWEST_GONE],
    },
  },

  // Several nodes
  {
    situation: "mined and final here, and another node has another block at that height",
    state: pending(),
    view: view({
      nonce: 8,
      anchored: { size: 20, root: r(20) },
      seen: { [h(0xa1)]: mined() },
      contradicted: new Set([95]),
    }),
    action: wait("nodes-disagree"),
  },
  {
    situation: "reverted here, and another node has another block at that height",
    state: pending(),
    view: view({
      nonce: 8,
      seen: { [h(0xa1)]: mined({ succeeded: false, logIndex: undefined }) },
      contradicted: new Set([95]),
    }),
    action: wait("nodes-disagree"),
  },
  {
    situation: "two nodes disagree about a height that nothing rests on",
    state: pending(),
    view: view({
      nonce: 8,
      anchored: { size: 20, root: r(20) },
      seen: { [h(0xa1)]: mined() },
      contradicted: new Set([94]),
    }),
    action: {
      type: "confirm",
      transaction: transaction(),
      nonce: 7,
      mined: { blockNumber: 95, blockHash: h(95), logIndex: 3 },
      gone: [],
    },
  },
  {
    situation: "the confirmed anchor is gone here, and another node still has its block",
    state: doubting(settled, "reorganized", 15_000),
    view: view({ anchored: { size: 5, root: r(5) }, contradicted: new Set([90]) }),
    action: wait("nodes-disagree"),
  },
  {
    situation: "the confirmed anchor moved to another block, and another node has a third one there",
    state: settled,
    view: view({ seen: { [h(0xc0)]: mined() }, contradicted: new Set([95]) }),
    action: wait("nodes-disagree"),
  },
  {
    situation: "an anchor found on chain, in a block that another node does not share",
    state: {},
    view: view({ anchored: { size: 20, root: r(20) }, newestEvent: EVENT, contradicted: new Set([92]) }),
    action: wait("nodes-disagree"),
  },

  // What an operator asks for
  {
    situation: "retry, with a transaction that is not stuck yet: same nonce, higher fee, newest root",
    state: urged(pending(), "retry"),
    head: { size: 33, root: r(33) },
    view: view({ seen: inMempool }),
    action: { type: "replace", reason: "retry", draft: draft(BUMPED, { size: 33, root: r(33) }) },
  },
  {
    situation: "retry, with a transaction that was dropped",
    state: urged(pending(), "retry"),
    view: view(),
    action: { type: "replace", reason: "retry", draft: draft(BUMPED) },
  },
  {
    situation: "retry at the limit of replacements: an operator has as many again",
    state: urged(pending(transaction(), transaction(), transaction()), "retry"),
    view: view({ seen: inMempool }),
    action: { type: "replace", reason: "retry", draft: draft(BUMPED) },
  },
  {
    situation: "retry beyond that as well: what is in flight is looked after as ever",
    state: urged(pending(...Array.from({ length: 6 }, () => transaction())), "retry"),
    view: view({ seen: inMempool }),
    action: wait("in-mempool"),
  },
  {
    situation: "retry when the bump would pass the cap: what was dropped is still sent again",
    state: urged(pending(), "retry"),
    policy: { maxFeePerGasWei: 22n * GWEI },
    view: view(),
    action: { type: "rebroadcast", transaction: transaction() },
  },
  {
    situation: "retry, already mined: there is nothing to replace",
    state: urged(pending(), "retry"),
    view: view({
      nonce: 8,
      anchored: { size: 20, root: r(20) },
      seen: { [h(0xa1)]: mined({ blockNumber: 97, blockHash: h(97) }) },
    }),
    action: wait("mined-not-final"),
  },
  {
    situation: "retry after a failure: no backoff",
    state: urged({ ...settled, failures: { count: 9, lastAt: NOW } }, "retry"),
    view: view(),
    action: { type: "submit", draft: draft(FEES) },
  },
  {
    situation: "retry within the interval",
    state: urged(settled, "retry"),
    policy: { intervalMs: 86_400_000 },
    view: view(),
    action: { type: "submit", draft: draft(FEES) },
  },
  {
    situation: "retry: what was in doubt is taken as it is",
    state: urged(settled, "retry"),
    view: view({ anchored: { size: 5, root: r(5) } }),
    action: { type: "reopen", gone: [NEWEST_GONE] },
  },
  {
    situation: "retry with nothing new",
    state: urged(settled, "retry"),
    head: { size: 10, root: r(10) },
    view: view(),
    action: { type: "idle", reason: "nothing-new" },
  },
  {
    situation: "retry while what halted is not mended",
    state: urged(settled, "retry"),
    view: view({ balanceWei: 0n }),
    action: halt("out-of-funds"),
  },
  {
    situation: "supersede, and the ledger has grown: the correcting anchor follows the wrong one",
    state: urged({ ...settled, superseded: { size: 10, root: r(10), reason: "INC-1" } }, "supersede"),
    policy: { intervalMs: 86_400_000 },
    view: view(),
    action: { type: "submit", draft: draft(FEES) },
  },
  {
    situation: "supersede with nothing newer: the contract would not take it",
    state: urged({ ...settled, superseded: { size: 10, root: r(10), reason: "INC-1" } }, "supersede"),
    head: { size: 10, root: r(10) },
    view: view(),
    action: wait("nothing-newer"),
  },
  {
    situation: "another root on chain, called wrong by an operator, and nothing newer",
    state: { ...settled, superseded: { size: 10, root: r(11), reason: "INC-1" } },
    head: { size: 10, root: r(10) },
    view: view({ anchored: { size: 10, root: r(11) } }),
    action: wait("nothing-newer"),
  },
  {
    situation: "another root on chain, called wrong by an operator, and the ledger has grown",
    state: { ...settled, superseded: { size: 10, root: r(11), reason: "INC-1" } },
    view: view({ anchored: { size: 10, root: r(11) } }),
    action: { type: "submit", draft: draft(FEES) },
  },
  {
    situation: "another root on chain than the one that was called wrong",
    state: { ...settled, superseded: { size: 10, root: r(12), reason: "INC-1" } },
    view: view({ anchored: { size: 10, root: r(11) } }),
    action: halt("anchored-root-differs"),
  },
  {
    situation: "more on chain than in the ledger, called wrong: the contract can not take less",
    state: { ...settled, superseded: { size: 30, root: r(30), reason: "INC-1" } },
    view: view({ anchored: { size: 30, root: r(30) } }),
    action: halt("ledger-behind-anchor"),
  },

  // Found on chain
  {
    situation: "the chain holds the newest root and storage does not know",
    state: {},
    view: view({ anchored: { size: 20, root: r(20) }, newestEvent: EVENT }),
    action: { type: "adopt", event: EVENT },
  },
  {
    situation: "found on chain, not final",
    state: {},
    view: view({ finalizedBlock: 91, anchored: { size: 20, root: r(20) }, newestEvent: EVENT }),
    action: wait("mined-not-final"),
  },
  {
    situation: "found on chain, its event not found",
    state: {},
    view: view({ anchored: { size: 20, root: r(20) } }),
    action: wait("event-not-seen"),
  },
];

describe("nextAnchorAction", () => {
  it.each(ROWS.map((row) => [row.situation, row] as const))("%s", (_situation, row) => {
    const head = row.head === undefined ? HEAD : (row.head ?? undefined);
    expect(nextAnchorAction(row.state, head, row.view, { ...POLICY, ...row.policy }, NOW)).toEqual(row.action);
  });

  it("never signs for a nonce other than the one in flight", () => {
    for (const row of ROWS) {
      if (row.state.pending === undefined) continue;
      const head = row.head === undefined ? HEAD : (row.head ?? undefined);
      const action = nextAnchorAction(row.state, head, row.view, { ...POLICY, ...row.policy }, NOW);
      expect(action.type).not.toBe("submit");
      if (action.type === "replace") expect(action.draft.nonce).toBe(row.state.pending.nonce);
    }
  });
});
