import { describe, expect, it } from "vitest";
import { classifyBroadcastError } from "../../../src/anchor/broadcast.ts";
import { evolveAnchor } from "../../../src/anchor/evolve.ts";
import { feeCeiling, replacementFees, suggestFees } from "../../../src/anchor/fees.ts";
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
    expect(reopened).toEqual({ pending: { nonce: 7, transactions: [transaction(2)] } });
    expect(changes.map(({ type }) => type)).toEqual(["failed", "submitted"]);
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
