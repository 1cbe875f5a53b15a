/** The scrub against the chain. */
import { describe, expect, it } from "vitest";
import type { AnchorRow } from "../../../src/ledger/check-anchors.ts";
import type { Finding } from "../../../src/ledger/finding.ts";
import { chainOf } from "../../../src/ledger/scrub.edge.ts";
import { LedgerWorld } from "../../support/ledger-world.ts";
import { MemoryChain } from "../../support/memory-chain.ts";

const CONTRACT = `0x${"ab".repeat(20)}`;
const CHAIN_ID = 31_337;
const event = {
  size: 12,
  root: "cd".repeat(32),
  previousSize: 5,
  txHash: `0x${"01".repeat(32)}`,
  blockNumber: 40,
  blockHash: `0x${"02".repeat(32)}`,
  logIndex: 3,
};
const row: AnchorRow = {
  size: event.size,
  rootHash: event.root,
  previousSize: event.previousSize,
  state: "confirmed",
  reason: null,
  chainId: CHAIN_ID,
  contractAddress: CONTRACT,
  nonce: 1,
  txHash: event.txHash,
  blockNumber: event.blockNumber,
  blockHash: event.blockHash,
  logIndex: event.logIndex,
  submittedAt: 1,
  confirmedAt: 2,
};

describe("what the chain says of an anchor", () => {
  const chain = chainOf(new MemoryChain(CONTRACT, [event], 50), CHAIN_ID);

  it("is yes where it holds exactly that event", async () => {
    expect(await chain.isOnChain(row)).toBe(true);
  });

  it("is no when any part of the record differs", async () => {
    const others: readonly Partial<AnchorRow>[] = [
      { size: 13 },
      { rootHash: "ef".repeat(32) },
      { previousSize: 6 },
      { txHash: `0x${"03".repeat(32)}` },
      { blockHash: `0x${"04".repeat(32)}` },
      { logIndex: 4 },
      { logIndex: null },
      { blockNumber: 41 },
    ];
    for (const other of others) expect(await chain.isOnChain({ ...row, ...other })).toBe(false);
  });

  it("is nothing about another chain or contract, a record without a block, or a block it does not know", async () => {
    const others: readonly Partial<AnchorRow>[] = [
      { chainId: 1 },
      { contractAddress: `0x${"ba".repeat(20)}` },
      { blockNumber: null },
      { blockNumber: 51 },
    ];
    for (const other of others) expect(await chain.isOnChain({ ...row, ...other })).toBeUndefined();
  });

  it("is the newest anchor of the contract, which an empty contract has not", async () => {
    expect(await chain.readChain()).toEqual({ size: 12, rootHash: event.root });
    expect(await chainOf(new MemoryChain(CONTRACT), CHAIN_ID).readChain()).toBeUndefined();
  });
});

describe("a round of the scrub", () => {
  const chainFindings = (findings: readonly Finding[]) =>
    findings.flatMap(({ type, size }) => (type === "anchor-chain-mismatch" ? [size] : []));

  async function anchoredTwice() {
    const world = await LedgerWorld.make();
    for (const steps of [1, 2]) {
      await world.addSubject("request", steps);
      await world.publish();
      await world.anchor("confirmed");
    }
    const [first, second] = world.chain.anchors;
    if (first === undefined || second === undefined) throw new Error("there are two anchors");
    return { world, first, second };
  }

  it("finds nothing where the chain holds what the record says, and tells that the chain was asked", async () => {
    const { world } = await anchoredTwice();
    const { findings, state } = await world.check();
    expect(findings).toEqual([]);
    expect(state.chainChecked).toBe(true);
  });

  it("names an anchor that the chain does not hold", async () => {
    const { world, first, second } = await anchoredTwice();
    world.chain.anchors = [first];
    expect(chainFindings((await world.check()).findings)).toEqual([second.size]);
  });

  it("names an older anchor of which the chain holds another root", async () => {
    const { world, first, second } = await anchoredTwice();
    world.chain.anchors = [{ ...first, root: "ee".repeat(32) }, second];
    expect(chainFindings((await world.check()).findings)).toEqual([first.size]);
  });

  it("holds the log against the contract's newest anchor, also when nothing is on record of it", async () => {
    const { world, second } = await anchoredTwice();
    await world.addSubject("claim", 0);
    await world.publish();
    const size = world.promised?.size ?? 0;
    expect(size).toBeGreaterThan(second.size);
    world.chain.add({ ...second, size, previousSize: second.size, root: "ee".repeat(32), blockNumber: 900 });
    expect(chainFindings((await world.check()).findings)).toEqual([size]);
  });

  it("names a log that has fewer entries than the contract was given", async () => {
    const { world, second } = await anchoredTwice();
    const size = second.size + 1_000;
    world.chain.add({ ...second, size, previousSize: second.size, blockNumber: 900 });
    expect((await world.check()).findings).toContainEqual(
      expect.objectContaining({ type: "truncated", place: "chain", size }),
    );
  });
});
