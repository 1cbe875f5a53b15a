import { describe, expect, it } from "vitest";
import { classifyBroadcastError } from "../../../src/anchor/broadcast.ts";
import type { ReachableChain, TransactionView } from "../../../src/anchor/chain-view.ts";
import { evolveAnchor, observedIn } from "../../../src/anchor/evolve.ts";
import { feeCeiling, replacementFees, suggestFees } from "../../../src/anchor/fees.ts";
import { eventKey, historyOf } from "../../../src/anchor/history.ts";
import {
  type AnchorState,
  type AnchorTransaction,
  EMPTY_STATE,
  type Fees,
  parseChange,
  parseState,
  serializeChange,
  serializeState,
  watchedHashes,
} from "../../../src/anchor/state.ts";

const r = (n: number): string => n.toString(16).padStart(64, "0");
const transaction = (n: number, over: Partial<AnchorTransaction> = {}): AnchorTransaction => ({
  hash: `0x${r(n)}`,
  rawTx: "0x02aa",
  size: n,
  root: r(n),
  previousSize: 0,
  fees: { type: "eip1559", maxFeePerGas: 2n ** 70n, maxPriorityFeePerGas: 3n },
  signedAt: 100,
  ...over,
});
const signed = (state: AnchorState, n: number, nonce: number): AnchorState =>
  evolveAnchor(state, { type: "signed", nonce, transaction: transaction(n), reason: "grown" }, 100).state;
const mined = { blockNumber: 4, blockHash: `0x${r(4)}`, logIndex: 0 };

describe("the signer's memory", () => {
  it("reads back what it wrote, wei past 2^53 included", () => {
    const sent = signed(EMPTY_STATE, 5, 0);
    const state = evolveAnchor(
      sent,
      { type: "confirmed", transaction: transaction(5), nonce: 0, mined, gone: [] },
      200,
    ).state;
    const next = signed(state, 9, 1);
    expect(parseState(serializeState(next))).toEqual(next);
  });

  it("reads back changes as well", () => {
    const evolved = evolveAnchor(
      EMPTY_STATE,
      { type: "signed", nonce: 0, transaction: transaction(5), reason: "grown" },
      1,
    );
    for (const change of evolved.changes) expect(parseChange(serializeChange(change))).toEqual(change);
  });

  it.each(["", "{", "null", '{"pending":{"nonce":1,"transactions":[]}}', '{"confirmed":{}}'])(
    "refuses %j rather than take it for empty",
    (json) => {
      expect(() => parseState(json)).toThrow();
    },
  );

  it("watches every replacement and the confirmed anchor", () => {
    const first = evolveAnchor(
      EMPTY_STATE,
      { type: "confirmed", transaction: transaction(1), nonce: 0, mined, gone: [] },
      1,
    ).state;
    const two = signed(signed(first, 2, 1), 3, 1);
    expect(watchedHashes(two)).toEqual([`0x${r(2)}`, `0x${r(3)}`, `0x${r(1)}`]);
  });

  it("adds a replacement behind the transactions of its nonce", () => {
    const two = signed(signed(EMPTY_STATE, 2, 7), 3, 7);
    expect(two.pending?.transactions.map(({ size }) => size)).toEqual([2, 3]);
  });

  it("forgets failures and the transactions in flight when an anchor is confirmed", () => {
    const state = { ...signed(EMPTY_STATE, 2, 7), failures: { count: 3, lastAt: 5 } };
    const after = evolveAnchor(state, { type: "confirmed", transaction: transaction(2), nonce: 7, mined, gone: [] }, 9);
    expect(after.state.pending).toBeUndefined();
    expect(after.state.failures).toBeUndefined();
    expect(after.changes).toMatchObject([{ type: "confirmed", anchor: { size: 2, blockNumber: 4, confirmedAt: 9 } }]);
  });

  it("counts what it gives up and names every transaction of it", () => {
    const state = signed(signed(EMPTY_STATE, 2, 7), 3, 7);
    const once = evolveAnchor(state, { type: "given-up", reason: "reverted" }, 9);
    expect(once.state).toEqual({ confirmed: undefined, failures: { count: 1, lastAt: 9 } });
    expect(once.changes).toMatchObject([
      { type: "failed", reason: "reverted", transactions: [{ size: 2 }, { size: 3 }] },
    ]);
    expect(evolveAnchor(once.state, { type: "given-up", reason: "reverted" }, 10).state.failures?.count).toBe(2);
  });

  it("puts a confirmed anchor that is gone back in flight under its own nonce", () => {
    const state = evolveAnchor(
      EMPTY_STATE,
      { type: "confirmed", transaction: transaction(2), nonce: 7, mined, gone: [] },
      9,
    ).state;
    const { state: reopened, changes } = evolveAnchor(state, { type: "reopened", gone: [] }, 10);
    expect(reopened.confirmed).toBeUndefined();
    expect(reopened.pending).toEqual({ nonce: 7, transactions: [transaction(2)] });
    expect(changes.map(({ type }) => type)).toEqual(["failed", "submitted"]);
  });
});

describe("what a view shows that is remembered", () => {
  const seenView = (over: Partial<ReachableChain> = {}): ReachableChain => ({
    type: "reachable",
    chainId: 1,
    latestBlock: 10,
    finalizedBlock: undefined,
    nonce: 7,
    balanceWei: 100n,
    suggestedFees: { type: "legacy", gasPrice: 1n },
    contract: { type: "present", size: 0, root: r(0), blockNumber: 0, anchorer: "" },
    transactions: new Map(),
    newestEvent: undefined,
    blocks: new Map(),
    contradicted: new Set(),
    ...over,
  });
  const block = { blockNumber: 4, blockHash: `0x${r(4)}` };
  const inBlock: TransactionView = { type: "mined", succeeded: true, logIndex: 0, canonical: true, ...block };
  const flying = signed(EMPTY_STATE, 2, 7);
  const hash = `0x${r(2)}`;
  const wasMined = evolveAnchor(flying, { type: "seen-mined", hash, block }, 1).state;

  it("is a transaction that came into a block, once", () => {
    const view = seenView({ transactions: new Map([[hash, inBlock]]) });
    expect(observedIn(flying, view, undefined)).toEqual([{ type: "seen-mined", hash, block }]);
    expect(observedIn(wasMined, view, undefined)).toEqual([]);
  });

  it("is a transaction that fell out of its block, and it is sent again as if never sent", () => {
    const [event, ...others] = observedIn(wasMined, seenView({ blocks: new Map([[4, `0x${r(44)}`]]) }), undefined);
    if (event === undefined) throw new Error("nothing observed");
    expect(others).toEqual([]);
    const { state, changes } = evolveAnchor(wasMined, event, 9);
    expect(changes).toMatchObject([{ note: "reorganized", reason: "before-confirmation", txHash: hash, ...block }]);
    expect(state.pending?.transactions[0]).toMatchObject({ minedIn: undefined, broadcast: undefined, drops: 1 });
  });

  it.each([
    ["the node has not reached its block", { latestBlock: 3 }],
    ["the node still has its block", { blocks: new Map([[4, block.blockHash]]) }],
    ["another node has another block there", { contradicted: new Set([4]) }],
    ["the contract holds it", { contract: { type: "present", size: 2, root: r(2), blockNumber: 4, anchorer: "" } }],
  ] as const)("is no reorganization while %s", (_why, over) => {
    expect(observedIn(wasMined, seenView(over), undefined)).toEqual([]);
  });

  it("is a balance that crosses the minimum, told once in each direction", () => {
    const low = observedIn(EMPTY_STATE, seenView(), 101n);
    expect(low).toEqual([{ type: "balance", low: true }]);
    const poor = evolveAnchor(EMPTY_STATE, { type: "balance", low: true }, 1);
    expect(poor.changes).toMatchObject([{ note: "balance-low" }]);
    expect(observedIn(poor.state, seenView(), 101n)).toEqual([]);
    expect(observedIn(poor.state, seenView(), 100n)).toEqual([{ type: "balance", low: false }]);
    expect(observedIn(poor.state, seenView(), undefined)).toEqual([]);
  });

  it("records a transaction that is dropped again and again ten times at most", () => {
    let state = flying;
    let recorded = 0;
    for (let i = 0; i < 100; i++) {
      const evolved = evolveAnchor(state, { type: "dropped", hash }, i);
      state = evolved.state;
      recorded += evolved.changes.length;
    }
    expect(recorded).toBe(10);
  });
});

describe("halts", () => {
  const halted = (state: AnchorState, now: number) =>
    evolveAnchor(state, { type: "halted", reason: "node-unreachable" }, now);

  it("are recorded when they begin and when they end, not at each look", () => {
    const first = halted(EMPTY_STATE, 0);
    expect(first.changes).toMatchObject([{ note: "halted", reason: "node-unreachable" }]);
    expect(halted(first.state, 1_000_000).changes).toEqual([]);
    const over = evolveAnchor(first.state, { type: "resumed" }, 5);
    expect(over.changes).toMatchObject([{ note: "resumed", reason: "node-unreachable" }]);
    expect(evolveAnchor(over.state, { type: "resumed" }, 6).changes).toEqual([]);
  });

  it("of a node that comes and goes are recorded once in ten minutes", () => {
    const over = evolveAnchor(halted(EMPTY_STATE, 0).state, { type: "resumed" }, 5).state;
    const again = halted(over, 599_999);
    expect(again.changes).toEqual([]);
    expect(evolveAnchor(again.state, { type: "resumed" }, 599_999).changes).toEqual([]);
    expect(halted(over, 600_000).changes).toHaveLength(1);
  });
});

describe("what holds an anchor up", () => {
  const held = (state: AnchorState, reason: "fee-cap" | "nodes-disagree", now: number) =>
    evolveAnchor(state, { type: "held", reason }, now);

  it("is recorded when it begins, not at each look, and once in ten minutes when it comes and goes", () => {
    const first = held(signed(EMPTY_STATE, 2, 7), "fee-cap", 0);
    expect(first.changes).toMatchObject([{ note: "held", reason: "fee-cap", size: 2, nonce: 7 }]);
    expect(held(parseState(serializeState(first.state)), "fee-cap", 1_000_000).changes).toEqual([]);
    const other = held(first.state, "nodes-disagree", 5);
    expect(other.changes).toMatchObject([{ note: "held", reason: "nodes-disagree" }]);
    expect(held(other.state, "fee-cap", 599_999).changes).toEqual([]);
    const over = evolveAnchor(other.state, { type: "hold-over" }, 6);
    expect(over.changes).toEqual([]);
    expect(held(over.state, "fee-cap", 600_000).changes).toHaveLength(1);
  });

  it("is a refusal by the nodes, recorded with what they said when they say something else", () => {
    const hash = `0x${r(2)}`;
    const sent = (state: AnchorState, result: "underpriced" | "rejected" | "accepted" | "unreachable") =>
      evolveAnchor(state, { type: "broadcast", hash, result }, 9);
    const flying = signed(EMPTY_STATE, 2, 7);
    expect(sent(flying, "accepted").changes).toEqual([]);
    expect(sent(flying, "unreachable").changes).toEqual([]);
    const refused = sent(flying, "underpriced");
    expect(refused.changes.flatMap(historyOf)).toMatchObject([
      { type: "broadcast-refused", reason: "underpriced", size: 2, txHash: hash, nonce: 7 },
    ]);
    expect(sent(refused.state, "underpriced").changes).toEqual([]);
    expect(sent(refused.state, "rejected").changes).toHaveLength(1);
    let state = flying;
    let recorded = 0;
    for (let i = 0; i < 50; i++) {
      const evolved = sent(state, i % 2 === 0 ? "underpriced" : "unreachable");
      recorded += evolved.changes.length;
      state = evolved.state;
    }
    expect(recorded).toBe(10);
  });
});

describe("the history of a change", () => {
  it("names the transaction that was mined, and those of its nonce that lost", () => {
    const two = signed(signed(EMPTY_STATE, 2, 7), 3, 7);
    const { changes } = evolveAnchor(
      two,
      { type: "confirmed", transaction: transaction(2), nonce: 7, mined, gone: [] },
      9,
    );
    expect(changes.flatMap(historyOf)).toMatchObject([
      { type: "confirmed", size: 2, nonce: 7, blockNumber: 4, reason: "final" },
      { type: "replaced", size: 3, nonce: 7, reason: "another-was-mined" },
    ]);
  });

  it("tells the transaction that reverted from those that it replaced", () => {
    const two = signed(signed(EMPTY_STATE, 2, 7), 3, 7);
    const reverted = { hash: `0x${r(3)}`, blockNumber: 4, blockHash: `0x${r(4)}` };
    const { changes } = evolveAnchor(two, { type: "given-up", reason: "reverted", mined: reverted }, 9);
    expect(changes.flatMap(historyOf)).toMatchObject([
      { type: "replaced", size: 2, blockNumber: null },
      { type: "reverted", size: 3, blockNumber: 4, nonce: 7 },
    ]);
  });

  it("names every anchor that a reorganization took, where it was, and what was in flight behind it", () => {
    const one = evolveAnchor(
      EMPTY_STATE,
      { type: "confirmed", transaction: transaction(1), nonce: 0, mined, gone: [] },
      1,
    );
    const later = { blockNumber: 6, blockHash: `0x${r(6)}`, logIndex: 0 };
    const two = evolveAnchor(
      one.state,
      { type: "confirmed", transaction: transaction(2), nonce: 1, mined: later, gone: [] },
      2,
    );
    expect(two.state.earlier).toMatchObject([{ size: 1, blockNumber: 4 }]);
    const flying = signed(two.state, 3, 2);
    const gone = [{ size: 2, txHash: `0x${r(2)}`, ...later }, ...(two.state.earlier ?? [])];
    const { state, changes } = evolveAnchor(flying, { type: "reopened", gone }, 10);
    expect(state.earlier).toEqual([]);
    expect(changes.flatMap(historyOf)).toMatchObject([
      { type: "dropped", size: 3, reason: "nonce-gap" },
      { type: "reorganized", size: 2, blockNumber: 6, reason: "after-confirmation" },
      { type: "reorganized", size: 1, blockNumber: 4 },
      { type: "submitted", size: 2, reason: "reorganized" },
    ]);
  });

  it("remembers sixteen anchors before the newest", () => {
    let state: AnchorState = EMPTY_STATE;
    for (let n = 1; n <= 40; n++) {
      state = evolveAnchor(
        state,
        { type: "confirmed", transaction: transaction(n), nonce: n, mined: { ...mined, blockNumber: n }, gone: [] },
        n,
      ).state;
    }
    expect(state.earlier?.map(({ size }) => size)).toEqual(Array.from({ length: 16 }, (_, i) => 39 - i));
    expect(parseState(serializeState(state))).toEqual(parseState(serializeState(parseState(serializeState(state)))));
  });

  it("has one key for the same event and another for another", () => {
    const [event] = historyOf({ type: "noted", note: "retried", reason: "operator", at: 5, actor: "operator" });
    if (event === undefined) throw new Error("no event");
    expect(eventKey(event)).toBe(eventKey({ ...event }));
    expect(eventKey({ ...event, at: 6 })).not.toBe(eventKey(event));
  });
});

describe("an operator's supersede", () => {
  const target = { size: 2, root: r(2), txHash: `0x${r(2)}`, ours: true };
  const asked = { type: "supersede-asked", actor: "operator", reason: "INC-1", target } as const;

  it("is recorded once for the same anchor and reason, and holds until a larger anchor is confirmed", () => {
    const first = evolveAnchor(EMPTY_STATE, asked, 1);
    expect(first.changes).toMatchObject([{ note: "superseded", reason: "INC-1", size: 2, actor: "operator" }]);
    expect(evolveAnchor(first.state, asked, 2).changes).toEqual([]);
    expect(evolveAnchor(first.state, { ...asked, reason: "INC-2" }, 2).changes).toHaveLength(1);
    const confirm = (n: number) =>
      evolveAnchor(first.state, { type: "confirmed", transaction: transaction(n), nonce: 1, mined, gone: [] }, 3).state;
    expect(confirm(2).superseded).toMatchObject({ size: 2, reason: "INC-1" });
    expect(confirm(3).superseded).toBeUndefined();
    expect(signed(first.state, 3, 1).urge).toBeUndefined();
  });

  it("of an anchor that this signer did not send is about the signer's chain, not about a row of ours", () => {
    const { changes } = evolveAnchor(EMPTY_STATE, { ...asked, target: { ...target, ours: false } }, 1);
    expect(changes.flatMap(historyOf)).toMatchObject([{ type: "superseded", size: null, rootHash: r(2) }]);
  });
});

describe("fees", () => {
  const legacy = (gasPrice: bigint): Fees => ({ type: "legacy", gasPrice });
  const dynamic = (maxFeePerGas: bigint, maxPriorityFeePerGas: bigint): Fees => ({
    type: "eip1559",
    maxFeePerGas,
    maxPriorityFeePerGas,
  });

  it("are legacy where blocks have no base fee", () => {
    expect(suggestFees(undefined, 5n, 9n)).toEqual(legacy(9n));
  });

  it("leave room for a base fee that doubles", () => {
    expect(suggestFees(10n, 3n, 13n)).toEqual(dynamic(23n, 3n));
  });

  it("take the tip from the gas price where the node suggests none", () => {
    expect(suggestFees(10n, undefined, 14n)).toEqual(dynamic(24n, 4n));
    expect(suggestFees(10n, undefined, 9n)).toEqual(dynamic(20n, 0n));
  });

  it.each([0n, 1n, 7n, 8n, 1_000_000_007n])("rise by more than 12.5 %% in every field, from %d too", (fee) => {
    const bumped = replacementFees(dynamic(fee, fee), dynamic(0n, 0n));
    if (bumped.type !== "eip1559") throw new Error("kind changed");
    expect(bumped.maxFeePerGas * 1_000n).toBeGreaterThan(fee * 1_125n);
    expect(bumped.maxPriorityFeePerGas * 1_000n).toBeGreaterThan(fee * 1_125n);
    expect(feeCeiling(replacementFees(legacy(fee), legacy(0n))) * 1_000n).toBeGreaterThan(fee * 1_125n);
  });

  it("never put the tip above the ceiling", () => {
    expect(replacementFees(dynamic(10n, 10n), dynamic(0n, 50n))).toEqual(dynamic(50n, 50n));
  });
});

describe("classifyBroadcastError", () => {
  it.each([
    ["already known", "already-known"],
    ["transaction already imported", "already-known"],
    ["nonce too low: next nonce 5, tx nonce 4", "nonce-too-low"],
    ["replacement transaction underpriced", "underpriced"],
    ["max fee per gas less than block base fee", "underpriced"],
    ["insufficient funds for gas * price + value", "insufficient-funds"],
    ["Insufficient funds for gas", "insufficient-funds"],
    ["something new", "rejected"],
  ] as const)("takes %j as %s", (message, result) => {
    expect(classifyBroadcastError(message)).toBe(result);
  });

  it("tells silence from a refusal", () => {
    expect(classifyBroadcastError(undefined)).toBe("unreachable");
  });
});
