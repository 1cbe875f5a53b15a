import { createServer, type Server, type ServerResponse } from "node:http";
import { computeAddress, JsonRpcProvider, Wallet } from "ethers";
import { afterEach, describe, expect, it } from "vitest";
import { deployLedgerAnchor } from "../../../scripts/deploy-contract.ts";
import { ChainClient } from "../../../src/anchor/chain.client.ts";
import { LEDGER_ANCHOR } from "../../../src/anchor/contract.ts";
import type { AnchorCommand } from "../../../src/anchor/evolve.ts";
import { historyOf } from "../../../src/anchor/history.ts";
import { type AnchorPorts, type TickResult, tickAnchor } from "../../../src/anchor/loop.ts";
import type { AnchorPolicy, LedgerHead } from "../../../src/anchor/next-action.ts";
import {
  type AnchorChange,
  type AnchorState,
  parseChange,
  parseState,
  serializeChange,
  serializeState,
} from "../../../src/anchor/state.ts";
import { ANVIL_CHAIN_ID, ANVIL_KEYS, type Anvil, startAnvil } from "../../support/anvil.ts";

const [OWNER_KEY, SIGNER_KEY, STRANGER_KEY] = ANVIL_KEYS;
const root = (n: number): string => n.toString(16).padStart(64, "0");
const entries = (size: number): LedgerHead => ({ size, root: root(size) });

/** The loop over a real node, with storage that survives a crash and a clock set by hand. */
class Rig {
  now = 1_800_000_000_000;
  head: LedgerHead | undefined = undefined;
  readonly changes: AnchorChange[] = [];
  /** Set to make the process die at that point, once. */
  crashBefore: "broadcast" | "save-after-broadcast" | undefined;
  stored = "{}";
  readonly anvil: Anvil;
  readonly contractAddress: string;
  readonly policy: AnchorPolicy;
  #client: ChainClient;
  #broadcasts = 0;

  constructor(anvil: Anvil, contractAddress: string, policy: Partial<AnchorPolicy>, rpcUrl = anvil.url) {
    this.anvil = anvil;
    this.contractAddress = contractAddress;
    this.#client = this.#connect(rpcUrl);
    this.policy = {
      chainId: ANVIL_CHAIN_ID,
      signer: this.#client.signer,
      confirmations: 1,
      confirmationsWithoutTag: 64,
      intervalMs: 0,
      stuckAfterMs: 60_000,
      rebroadcastAfterMs: 1_000,
      doubtMs: 3_000,
      behindMs: 10_000,
      retryBaseMs: 1_000,
      retryMaxMs: 60_000,
      maxTransactions: 20,
      maxFeePerGasWei: 500_000_000_000n,
      gasLimit: 120_000n,
      minBalanceWei: undefined,
      ...policy,
    };
  }

  #connect(rpcUrl: string, timeoutMs = 5_000): ChainClient {
    return new ChainClient({
      rpcUrls: rpcUrl.split(","),
      chainId: ANVIL_CHAIN_ID,
      contractAddress: this.contractAddress,
      privateKey: SIGNER_KEY,
      gasLimit: 120_000n,
      timeoutMs,
    });
  }

  pointAt(rpcUrl: string, timeoutMs?: number): void {
    this.#client.destroy();
    this.#client = this.#connect(rpcUrl, timeoutMs);
  }

  close(): void {
    this.#client.destroy();
  }

  get state(): AnchorState {
    return parseState(this.stored);
  }

  /** Type and size of each event of the history so far. */
  get story(): readonly string[] {
    return this.changes.flatMap(historyOf).map(({ type, size }) => (size === null ? type : `${type} ${size}`));
  }

  get broadcasts(): number {
    return this.#broadcasts;
  }

  async tick(command?: AnchorCommand): Promise<TickResult> {
    let sent = false;
    const crash = (point: NonNullable<Rig["crashBefore"]>): void => {
      if (this.crashBefore !== point) return;
      this.crashBefore = undefined;
      throw new Error("the process died");
    };
    const ports: AnchorPorts = {
      load: () => parseState(this.stored),
      save: async (state, changes) => {
        if (sent) crash("save-after-broadcast");
        this.stored = serializeState(state);
        this.changes.push(...changes.map((change) => parseChange(serializeChange(change))));
      },
      readHead: async () => this.head,
      readChain: (state) => this.#client.read(state),
      sign: (draft) => this.#client.sign(draft),
      broadcast: async (rawTx) => {
        crash("broadcast");
        sent = true;
        this.#broadcasts++;
        return this.#client.broadcast(rawTx);
      },
      now: () => this.now,
    };
    return tickAnchor(ports, this.policy, command);
  }

  /** Ticks until the confirmed anchor of `size` is taken for lost. */
  async untilGone(size: number): Promise<void> {
    for (let i = 0; i < 40; i++) {
      await this.tick();
      if (this.story.includes(`reorganized ${size}`)) return;
      this.now += 1_500;
    }
    throw new Error(`not gone: ${this.stored}`);
  }

  /** Ticks, `stepMs` of the clock apart, until an anchor of `size` is confirmed. */
  async untilConfirmed(size: number, stepMs = 1_500, pauseMs = 0): Promise<void> {
    for (let i = 0; i < 40; i++) {
      await this.tick();
      if (this.state.confirmed?.size === size && this.state.pending === undefined) return;
      this.now += stepMs;
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    throw new Error(`not confirmed: ${this.stored}`);
  }
}

function urlOf(server: Server): string {
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return `http://127.0.0.1:${address.port}`;
}

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});

async function rig(options: readonly string[] = [], policy: Partial<AnchorPolicy> = {}): Promise<Rig> {
  const anvil = await startAnvil(options);
  open.push(anvil);
  const { contractAddress } = await deployLedgerAnchor({
    rpcUrl: anvil.url,
    chainId: ANVIL_CHAIN_ID,
    deployerKey: OWNER_KEY,
    anchorer: computeAddress(SIGNER_KEY),
  });
  const made = new Rig(anvil, contractAddress, policy);
  open.push({ stop: async () => made.close() });
  return made;
}

/** Another node with the same chain so far, its mempool empty: a peer, or the node itself after a restart. */
async function cloneOf(anvil: Anvil, options: readonly string[] = []): Promise<Anvil> {
  const clone = await startAnvil(options);
  open.push(clone);
  await clone.rpc("anvil_loadState", [await anvil.rpc("anvil_dumpState")]);
  return clone;
}

describe("the anchor on a real node", () => {
  it("submits, waits until the node calls it finalized, confirms, and anchors again when the ledger has grown", async () => {
    const chain = await rig(["--block-time", "1", "--slots-in-an-epoch", "1"], { confirmations: 0 });
    chain.head = entries(5);
    expect((await chain.tick()).action).toMatchObject({ type: "submit", draft: { previousSize: 0, size: 5 } });
    await chain.untilConfirmed(5, 100, 250);
    expect((await chain.tick()).action).toEqual({ type: "idle", reason: "nothing-new" });

    chain.head = entries(12);
    await chain.untilConfirmed(12, 100, 250);
    expect(chain.changes.map((change) => change.type)).toEqual(["submitted", "confirmed", "submitted", "confirmed"]);
    expect(chain.state.confirmed).toMatchObject({ size: 12, root: root(12), previousSize: 5 });
    expect(chain.broadcasts).toBe(2);
  });

  it.each([
    ["EIP-1559", []],
    ["legacy", ["--hardfork", "berlin"]],
  ])("raises the %s fee of a stuck transaction, with the same nonce and the newest root", async (_kind, options) => {
    const chain = await rig(options);
    await chain.anvil.rpc("evm_setAutomine", [false]);
    chain.head = entries(5);
    await chain.tick();
    expect((await chain.tick()).action).toEqual({ type: "wait", reason: "in-mempool" });
    chain.head = entries(9);
    chain.now += 60_000;
    expect((await chain.tick()).action).toMatchObject({ type: "replace", reason: "stuck", draft: { size: 9 } });
    const { pending } = chain.state;
    expect(pending?.transactions.map(({ size, broadcast }) => [size, broadcast?.result])).toEqual([
      [5, "accepted"],
      [9, "accepted"],
    ]);
    await chain.anvil.rpc("evm_mine");
    await chain.untilConfirmed(9);
  });

  it("confirms an earlier transaction when that one is mined, then anchors the rest", async () => {
    const chain = await rig();
    await chain.anvil.rpc("evm_setAutomine", [false]);
    chain.head = entries(5);
    await chain.tick();
    chain.head = entries(9);
    chain.now += 60_000;
    await chain.tick();
    const [first] = chain.state.pending?.transactions ?? [];
    if (first === undefined) throw new Error("nothing in flight");
    await chain.anvil.rpc("anvil_dropAllTransactions");
    await chain.anvil.rpc("eth_sendRawTransaction", [first.rawTx]);
    await chain.anvil.rpc("evm_mine");
    await chain.anvil.rpc("evm_setAutomine", [true]);
    await chain.tick();
    expect(chain.changes.at(2)).toMatchObject({ type: "confirmed", anchor: { size: 5, txHash: first.hash } });
    await chain.untilConfirmed(9);
  });

  it("sends a dropped transaction again", async () => {
    const chain = await rig();
    await chain.anvil.rpc("evm_setAutomine", [false]);
    chain.head = entries(5);
    await chain.tick();
    await chain.anvil.rpc("anvil_dropAllTransactions");
    chain.now += 1_000;
    expect((await chain.tick()).action.type).toBe("rebroadcast");
    await chain.anvil.rpc("evm_mine");
    await chain.untilConfirmed(5);
    expect(chain.state.failures).toBeUndefined();
  });

  it.each(["broadcast", "save-after-broadcast"] as const)(
    "goes on from storage when the process dies before the %s",
    async (point) => {
      const chain = await rig();
      chain.head = entries(5);
      chain.crashBefore = point;
      await expect(chain.tick()).rejects.toThrow("the process died");
      const signed = chain.state.pending?.transactions[0]?.hash;
      await chain.untilConfirmed(5);
      expect(chain.state.confirmed?.txHash).toBe(signed);
      expect(await chain.anvil.rpc("eth_getTransactionCount", [chain.policy.signer, "latest"])).toBe("0x1");
    },
  );

  it("anchors again when the chain is reorganized after confirmation", async () => {
    const chain = await rig();
    chain.head = entries(5);
    await chain.untilConfirmed(5);
    await chain.anvil.rpc("anvil_reorg", [1, []]);
    expect((await chain.tick()).action).toEqual({ type: "doubt", reason: "reorganized" });
    chain.now += 3_000;
    await chain.untilConfirmed(5);
    expect(chain.changes.map(({ type }) => type)).toEqual([
      "submitted",
      "confirmed",
      "failed",
      "submitted",
      "confirmed",
    ]);
    expect((await chain.tick()).action).toEqual({ type: "idle", reason: "nothing-new" });
  });

  it("sends again what a reorganization took before confirmation", async () => {
    const chain = await rig([], { confirmations: 3 });
    chain.head = entries(5);
    await chain.tick();
    expect((await chain.tick()).action).toEqual({ type: "wait", reason: "mined-not-final" });
    await chain.anvil.rpc("anvil_reorg", [1, []]);
    chain.now += 1_000;
    expect((await chain.tick()).action.type).toBe("rebroadcast");
    await chain.anvil.rpc("anvil_mine", ["0x3"]);
    await chain.untilConfirmed(5);
  });

  it("tells each step of a reorganization that took two anchors, and anchors the whole ledger again", async () => {
    const chain = await rig();
    chain.head = entries(5);
    await chain.untilConfirmed(5);
    chain.head = entries(9);
    await chain.untilConfirmed(9);
    await chain.anvil.rpc("anvil_reorg", [2, []]);
    await chain.untilGone(5);
    await chain.untilConfirmed(9);
    expect(chain.story).toEqual([
      "submitted 5",
      "confirmed 5",
      "submitted 9",
      "confirmed 9",
      "reorganized 9",
      "reorganized 5",
      "submitted 9",
      "dropped 9", // its nonce's predecessor is gone: a new transaction takes its place
      "submitted 9",
      "confirmed 9",
    ]);
    expect(chain.state).toMatchObject({ confirmed: { size: 9, previousSize: 0 }, earlier: [] });
  });

  it("anchors again on a chain that was set back below its anchor", async () => {
    const chain = await rig();
    await chain.anvil.rpc("anvil_mine", ["0x2"]);
    const snapshot = await chain.anvil.rpc("evm_snapshot");
    chain.head = entries(5);
    await chain.untilConfirmed(5);
    await chain.anvil.rpc("evm_revert", [snapshot]);
    expect((await chain.tick()).action).toEqual({ type: "doubt", reason: "node-behind" });
    await chain.untilGone(5);
    await chain.untilConfirmed(5);
    expect(chain.story.slice(2)).toEqual(["reorganized 5", "submitted 5", "confirmed 5"]);
  });

  it("drops what was in flight behind an anchor that a reorganization took", async () => {
    const chain = await rig();
    chain.head = entries(5);
    await chain.untilConfirmed(5);
    await chain.anvil.rpc("evm_setAutomine", [false]);
    chain.head = entries(9);
    await chain.tick();
    await chain.anvil.rpc("anvil_dropAllTransactions");
    await chain.anvil.rpc("anvil_reorg", [1, []]);
    await chain.untilGone(5);
    await chain.anvil.rpc("evm_setAutomine", [true]);
    await chain.untilConfirmed(9);
    expect(chain.story).toContain("dropped 9");
    expect(chain.story.slice(-3)).toEqual(["confirmed 5", "submitted 9", "confirmed 9"]);
  });

  it("pays today's fees when a spike has left its transaction behind", async () => {
    const chain = await rig();
    await chain.anvil.rpc("evm_setAutomine", [false]);
    chain.head = entries(5);
    await chain.tick();
    const before = chain.state.pending?.transactions[0]?.fees;
    await chain.anvil.rpc("anvil_setNextBlockBaseFeePerGas", [`0x${(40n * 10n ** 9n).toString(16)}`]);
    await chain.anvil.rpc("evm_mine");
    chain.now += 60_000;
    await chain.tick();
    const after = chain.state.pending?.transactions[1]?.fees;
    if (before?.type !== "eip1559" || after?.type !== "eip1559") throw new Error("not two EIP-1559 transactions");
    expect(after.maxFeePerGas).toBeGreaterThan((before.maxFeePerGas * 1_125n) / 1_000n);
    expect(after.maxFeePerGas).toBeGreaterThan(60n * 10n ** 9n);
    await chain.anvil.rpc("evm_mine");
    await chain.untilConfirmed(5);
    expect(chain.story).toEqual(["submitted 5", "bumped 5", "confirmed 5", "replaced 5"]);
  });

  it("waits out a spike above the cap", async () => {
    const chain = await rig([], { maxFeePerGasWei: 30n * 10n ** 9n });
    await chain.anvil.rpc("anvil_setNextBlockBaseFeePerGas", [`0x${(40n * 10n ** 9n).toString(16)}`]);
    await chain.anvil.rpc("evm_mine");
    chain.head = entries(5);
    expect((await chain.tick()).action).toEqual({ type: "wait", reason: "fee-cap" });
    await chain.tick();
    expect(chain.story).toEqual(["held"]);
    await chain.anvil.rpc("anvil_setNextBlockBaseFeePerGas", ["0x3b9aca00"]);
    await chain.anvil.rpc("evm_mine");
    await chain.untilConfirmed(5);
    expect(chain.broadcasts).toBe(1);
  });

  it("sends again what its node forgot in a restart", async () => {
    const chain = await rig();
    await chain.anvil.rpc("evm_setAutomine", [false]);
    chain.head = entries(5);
    await chain.tick();
    const restarted = await cloneOf(chain.anvil);
    await chain.anvil.stop();
    expect((await chain.tick()).action).toEqual({ type: "halt", reason: "node-unreachable" });
    chain.pointAt(restarted.url);
    await chain.untilConfirmed(5);
    expect(chain.story).toEqual(["submitted 5", "halted 5", "resumed 5", "dropped 5", "confirmed 5"]);
  });

  it("replaces a waiting transaction at once when an operator says so", async () => {
    const chain = await rig();
    await chain.anvil.rpc("evm_setAutomine", [false]);
    chain.head = entries(5);
    await chain.tick();
    chain.head = entries(9);
    const { action, command } = await chain.tick({ type: "retry", actor: "operator" });
    expect(command).toBe("taken");
    expect(action).toMatchObject({ type: "replace", reason: "retry", draft: { nonce: 0, size: 9 } });
    expect((await chain.tick()).action).toEqual({ type: "wait", reason: "in-mempool" }); // once
    await chain.anvil.rpc("evm_mine");
    await chain.untilConfirmed(9);
    expect(chain.story).toEqual(["submitted 5", "retried 5", "bumped 9", "confirmed 9", "replaced 5"]);
  });

  it("builds a correcting anchor upon a wrong one, and leaves the wrong one on the chain", async () => {
    const chain = await rig();
    chain.head = { size: 5, root: root(99) };
    await chain.untilConfirmed(5);
    chain.head = entries(5);
    expect((await chain.tick()).action).toEqual({ type: "halt", reason: "anchored-root-differs" });
    const supersede = { type: "supersede", actor: "operator", reason: "INC-7" } as const;
    expect((await chain.tick(supersede)).action).toEqual({ type: "wait", reason: "nothing-newer" });
    chain.head = entries(8);
    await chain.untilConfirmed(8);
    expect(chain.story).toEqual([
      "submitted 5",
      "confirmed 5",
      "halted",
      "superseded 5",
      "resumed",
      "submitted 8",
      "confirmed 8",
    ]);
    expect(chain.state.confirmed?.previousSize).toBe(5);
    expect([chain.state.superseded, chain.state.urge]).toEqual([undefined, undefined]);
  });

  it("has nothing to supersede before the first anchor, and does nothing while no node answers", async () => {
    const chain = await rig();
    const supersede = { type: "supersede", actor: "operator", reason: "INC-7" } as const;
    expect((await chain.tick(supersede)).command).toBe("nothing-to-supersede");
    chain.pointAt("http://127.0.0.1:9");
    expect((await chain.tick(supersede)).command).toBe("chain-out-of-reach");
    expect(chain.state).toMatchObject({ halt: { reason: "node-unreachable" } });
    expect(chain.state.urge).toBeUndefined();
  });

  it("tells once that the balance fell below the minimum", async () => {
    const chain = await rig([], { minBalanceWei: 10n ** 19n });
    chain.head = entries(5);
    await chain.untilConfirmed(5);
    await chain.anvil.rpc("anvil_setBalance", [chain.policy.signer, "0xde0b6b3a7640000"]);
    await chain.tick();
    await chain.tick();
    await chain.anvil.rpc("anvil_setBalance", [chain.policy.signer, "0x8ac7230489e80000"]);
    await chain.tick();
    expect(chain.story.slice(2)).toEqual(["balance-low", "balance-restored"]);
  });

  it("recovers when its nonce was used by another transaction", async () => {
    const chain = await rig();
    await chain.anvil.rpc("evm_setAutomine", [false]);
    chain.head = entries(5);
    await chain.tick();
    await chain.anvil.rpc("anvil_dropAllTransactions");
    const provider = new JsonRpcProvider(chain.anvil.url, ANVIL_CHAIN_ID, { staticNetwork: true });
    open.push({ stop: async () => provider.destroy() });
    await new Wallet(SIGNER_KEY, provider).sendTransaction({ to: computeAddress(STRANGER_KEY), value: 1n, nonce: 0 });
    await chain.anvil.rpc("evm_mine");
    await chain.anvil.rpc("evm_setAutomine", [true]);
    expect((await chain.tick()).action).toEqual({ type: "doubt", reason: "nonce-used" });
    await chain.untilConfirmed(5);
    expect(chain.changes).toContainEqual(expect.objectContaining({ type: "failed", reason: "nonce-used-elsewhere" }));
  });

  it("records a revert and tries again on a ledger that does not grow", async () => {
    const chain = await rig([], { gasLimit: 120_000n });
    chain.head = entries(5);
    await chain.anvil.rpc("evm_setAutomine", [false]);
    await chain.tick();
    // The owner takes the role away in the block before, and gives it back after.
    const provider = new JsonRpcProvider(chain.anvil.url, ANVIL_CHAIN_ID, { staticNetwork: true, cacheTimeout: -1 });
    open.push({ stop: async () => provider.destroy() });
    const owner = new Wallet(OWNER_KEY, provider);
    const setAnchorer = (key: string) =>
      owner.sendTransaction({
        to: chain.contractAddress,
        data: LEDGER_ANCHOR.encodeFunctionData("setAnchorer", [computeAddress(key)]),
        gasLimit: 100_000,
        maxFeePerGas: 100_000_000_000n,
        maxPriorityFeePerGas: 50_000_000_000n,
      });
    await setAnchorer(STRANGER_KEY);
    await chain.anvil.rpc("evm_mine");
    await chain.anvil.rpc("evm_setAutomine", [true]);
    expect((await chain.tick()).action).toEqual({ type: "wait", reason: "retry-later" });
    expect(chain.changes.at(-1)).toMatchObject({ type: "failed", reason: "reverted" });
    chain.now += 1_000;
    expect((await chain.tick()).action).toEqual({ type: "halt", reason: "not-the-anchorer" });
    await setAnchorer(SIGNER_KEY);
    await chain.untilConfirmed(5);
  });

  it("finds an anchor on chain that its storage has lost", async () => {
    const chain = await rig();
    chain.head = entries(5);
    await chain.untilConfirmed(5);
    const { sent: _sent, confirmedAt: _at, ...known } = chain.state.confirmed ?? {};
    chain.stored = "{}";
    await chain.untilConfirmed(5);
    expect(chain.state.confirmed).toMatchObject(known);
    expect(chain.broadcasts).toBe(1);
  });

  it("takes over the nonce of a transaction that its storage has lost", async () => {
    const chain = await rig();
    await chain.anvil.rpc("evm_setAutomine", [false]);
    chain.head = entries(5);
    await chain.tick();
    chain.stored = "{}";
    chain.head = entries(7);
    await chain.tick();
    expect(chain.state.pending?.transactions[0]?.broadcast?.result).toBe("underpriced");
    expect((await chain.tick()).action).toMatchObject({ type: "replace", reason: "underpriced" });
    await chain.anvil.rpc("evm_mine");
    await chain.untilConfirmed(7);
  });

  it("anchors on a chain with legacy fees", async () => {
    const chain = await rig(["--hardfork", "berlin"]);
    chain.head = entries(5);
    await chain.untilConfirmed(5);
    expect(chain.state.confirmed?.sent?.transaction.fees.type).toBe("legacy");
  });

  it("halts with a reason, and goes on by itself when the cause is gone", async () => {
    const chain = await rig();
    chain.head = entries(5);
    const { url } = chain.anvil;

    chain.pointAt("http://127.0.0.1:9");
    expect((await chain.tick()).action).toEqual({ type: "halt", reason: "node-unreachable" });
    chain.pointAt(url);

    await chain.anvil.rpc("anvil_setBalance", [chain.policy.signer, "0x0"]);
    expect((await chain.tick()).action).toEqual({ type: "halt", reason: "out-of-funds" });
    await chain.anvil.rpc("anvil_setBalance", [chain.policy.signer, "0xde0b6b3a7640000"]);

    const code = await chain.anvil.rpc("eth_getCode", [chain.contractAddress, "latest"]);
    await chain.anvil.rpc("anvil_setCode", [chain.contractAddress, "0x"]);
    expect((await chain.tick()).action).toEqual({ type: "halt", reason: "contract-missing" });
    await chain.anvil.rpc("anvil_setCode", [chain.contractAddress, "0x60006000fd"]);
    expect((await chain.tick()).action).toEqual({ type: "halt", reason: "contract-missing" });
    await chain.anvil.rpc("anvil_setCode", [chain.contractAddress, code]);

    await chain.anvil.rpc("anvil_setChainId", [5]);
    expect((await chain.tick()).action).toEqual({ type: "halt", reason: "wrong-chain" });
    await chain.anvil.rpc("anvil_setChainId", [ANVIL_CHAIN_ID]);

    expect(chain.broadcasts).toBe(0);
    await chain.untilConfirmed(5);
  });

  it("asks the next node when one is down, and sends to all", async () => {
    const chain = await rig();
    const peer = await cloneOf(chain.anvil);
    chain.head = entries(5);
    chain.pointAt(["http://127.0.0.1:9", chain.anvil.url, peer.url].join(","));
    await chain.tick();
    expect(chain.state.pending?.transactions[0]?.broadcast?.result).toBe("accepted");
    for (const node of [chain.anvil, peer]) {
      expect(await node.rpc("eth_getTransactionCount", [chain.policy.signer, "latest"])).toBe("0x1");
    }
  });

  it.each(["the reorganized one", "the other one"])(
    "believes nothing final while two nodes disagree, asking %s first",
    async (which) => {
      const chain = await rig([], { confirmations: 3 });
      chain.head = entries(5);
      await chain.tick();
      const peer = await cloneOf(chain.anvil);
      await chain.anvil.rpc("anvil_reorg", [1, []]);
      await chain.anvil.rpc("anvil_mine", ["0x4"]);
      await peer.rpc("anvil_mine", ["0x4"]);
      const nodes = [chain.anvil, peer];
      if (which === "the other one") nodes.reverse();
      chain.pointAt(nodes.map((node) => node.url).join(","));
      for (let i = 0; i < 6; i++) {
        await chain.tick();
        for (const node of nodes) await node.rpc("evm_mine");
        chain.now += 2_000;
      }
      expect((await chain.tick()).action).toEqual({ type: "wait", reason: "nodes-disagree" });
      expect(chain.state.confirmed).toBeUndefined();
      await nodes[1]?.stop();
      await chain.untilConfirmed(5);
    },
  );

  it("does not take an anchor for lost while another node still has it", async () => {
    const chain = await rig();
    chain.head = entries(5);
    await chain.untilConfirmed(5);
    const peer = await cloneOf(chain.anvil);
    await chain.anvil.rpc("anvil_reorg", [1, []]);
    chain.pointAt(`${chain.anvil.url},${peer.url}`);
    for (let i = 0; i < 3; i++) {
      expect((await chain.tick()).action).toEqual({ type: "wait", reason: "nodes-disagree" });
      chain.now += 10_000;
    }
    await peer.stop();
    await chain.untilGone(5);
    await chain.untilConfirmed(5);
    expect(chain.story.slice(2)).toEqual(["held", "reorganized 5", "submitted 5", "confirmed 5"]);
  });

  const brokenNodes: readonly (readonly [string, (response: ServerResponse) => void])[] = [
    ["never answers", () => {}],
    ["never ends its answer", (response) => void response.write("[")],
    ["answers nonsense", (response) => void response.end("<html>")],
    ["answers 500", (response) => void response.writeHead(500).end()],
  ];
  it.each(brokenNodes)("takes a node that %s for one that is away", async (_what, answer) => {
    const chain = await rig();
    chain.head = entries(5);
    const server = createServer((_request, response) => answer(response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    open.push({
      stop: async () => {
        server.closeAllConnections();
        server.close();
      },
    });
    chain.pointAt(urlOf(server), 300);
    expect((await chain.tick()).action).toEqual({ type: "halt", reason: "node-unreachable" });
  });

  it("reads a settled chain with at most two HTTP requests", async () => {
    const chain = await rig();
    chain.head = entries(5);
    await chain.untilConfirmed(5);
    const requests: number[] = [];
    const proxy = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      requests.push(body.length);
      const answer = await fetch(chain.anvil.url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      response.end(await answer.text());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    open.push({ stop: async () => void proxy.close() });
    chain.pointAt(urlOf(proxy));
    expect((await chain.tick()).action).toEqual({ type: "idle", reason: "nothing-new" });
    expect(requests.length).toBeLessThanOrEqual(2); // the second looks at the block of the confirmed transaction
  });
});
