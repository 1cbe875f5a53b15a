/** One EVM node over JSON-RPC. Roots travel inside as 64 hex digits, on the wire with 0x. */
import { FetchRequest, JsonRpcProvider } from "ethers";
import * as z from "zod";
import { classifyBroadcastError } from "./broadcast.ts";
import type { AnchoredEvent, ChainView, TransactionView } from "./chain-view.ts";
import { anchoredTopic, LEDGER_ANCHOR } from "./contract.ts";
import { suggestFees } from "./fees.ts";
import {
  blockSchema,
  bytes,
  contractView,
  type Log,
  logSchema,
  nodeMessage,
  number,
  quantity,
  type Receipt,
  receiptSchema,
  rpcReason,
} from "./rpc-answer.ts";
import { type AnchorState, type BroadcastResult, watchedBlocks, watchedHashes } from "./state.ts";

export interface NodeTarget {
  readonly chainId: number;
  readonly timeoutMs: number;
}

const heightOf = (blockNumber: number): string => `0x${blockNumber.toString(16)}`;

export class ChainNode {
  readonly #provider: JsonRpcProvider;
  readonly #chainId: number;
  readonly #timeoutMs: number;
  readonly #contract: string;
  readonly #signer: string;

  constructor(url: string, target: NodeTarget, contract: string, signer: string) {
    const request = new FetchRequest(url);
    request.timeout = target.timeoutMs;
    // The next tick is the retry; waiting inside one would hold every other anchor step.
    request.setThrottleParams({ maxAttempts: 1 });
    this.#provider = new JsonRpcProvider(request, target.chainId, { staticNetwork: true, batchStallTime: 1 });
    this.#chainId = target.chainId;
    this.#timeoutMs = target.timeoutMs;
    this.#contract = contract;
    this.#signer = signer;
  }

  /** @returns undefined for anything the node did not answer as a node of this chain with our contract does. */
  async newestAnchor(): Promise<{ readonly size: number; readonly root: string } | undefined> {
    return this.#quietly(async () => {
      const call = { to: this.#contract, data: LEDGER_ANCHOR.encodeFunctionData("anchored") };
      const [chainId, anchored] = await Promise.all([
        this.#provider.send("eth_chainId", []),
        this.#provider.send("eth_call", [call, "latest"]),
      ]);
      if (number.parse(chainId) !== this.#chainId) return undefined;
      const [size, root] = LEDGER_ANCHOR.decodeFunctionResult("anchored", bytes.parse(anchored));
      return { size: Number(size), root: String(root).slice(2) };
    });
  }

  /** @returns undefined for anything the node did not answer, and while it has no such block. */
  async anchorsIn(blockNumber: number): Promise<readonly AnchoredEvent[] | undefined> {
    return this.#quietly(async () => {
      const send = (method: string, params: readonly unknown[]): Promise<unknown> =>
        this.#provider.send(method, [...params]);
      const [chainId, block, events] = await Promise.all([
        send("eth_chainId", []),
        send("eth_getBlockByNumber", [heightOf(blockNumber), false]),
        this.#eventsIn(blockNumber, send),
      ]);
      const known = blockSchema.nullish().parse(block) ?? undefined;
      return number.parse(chainId) === this.#chainId && known !== undefined ? events : undefined;
    });
  }

  async #quietly<Answer>(ask: () => Promise<Answer | undefined>): Promise<Answer | undefined> {
    try {
      return await withDeadline(ask(), 2 * this.#timeoutMs);
    } catch {
      return undefined;
    }
  }

  destroy(): void {
    this.#provider.destroy();
  }

  /** @returns `unreachable` for anything the node did not answer as it should, never an exception. */
  async read(state: AnchorState): Promise<ChainView> {
    try {
      return await withDeadline(this.#read(state), 2 * this.#timeoutMs);
    } catch (error) {
      return { type: "unreachable", reason: rpcReason(error) };
    }
  }

  async broadcast(rawTx: string): Promise<BroadcastResult> {
    try {
      await withDeadline(this.#provider.send("eth_sendRawTransaction", [rawTx]), 2 * this.#timeoutMs);
      return "accepted";
    } catch (error) {
      return classifyBroadcastError(nodeMessage(error));
    }
  }

  /** @returns the hashes of those heights at which the node has a block; none when it does not answer. */
  async blockHashes(heights: readonly number[]): Promise<ReadonlyMap<number, string>> {
    try {
      const found = await withDeadline(this.#blocksAt(heights), 2 * this.#timeoutMs);
      return new Map([...found].flatMap(([height, block]) => (block === undefined ? [] : [[height, block] as const])));
    } catch {
      return new Map();
    }
  }

  async #blocksAt(heights: readonly number[]): Promise<ReadonlyMap<number, string | undefined>> {
    const blocks = await Promise.all(
      heights.map((height) => this.#provider.send("eth_getBlockByNumber", [heightOf(height), false])),
    );
    return new Map(heights.map((height, index) => [height, blockSchema.nullish().parse(blocks[index])?.hash]));
  }

  async #read(state: AnchorState): Promise<ChainView> {
    const send = (method: string, params: readonly unknown[]): Promise<unknown> =>
      this.#provider.send(method, [...params]);
    const optional = (method: string, params: readonly unknown[]): Promise<unknown> =>
      send(method, params).catch((error: unknown) => {
        if (nodeMessage(error) === undefined) throw error;
        return undefined; // the node answered that it has no such thing
      });
    const call = (name: "anchored" | "anchorer"): Promise<unknown> =>
      optional("eth_call", [{ to: this.#contract, data: LEDGER_ANCHOR.encodeFunctionData(name) }, "latest"]);

    const hashes = watchedHashes(state);
    const [
      chainId,
      latest,
      finalized,
      nonce,
      balance,
      code,
      anchored,
      anchorer,
      gasPrice,
      priority,
      receipts,
      known,
      stored,
    ] = await Promise.all([
      send("eth_chainId", []),
      send("eth_getBlockByNumber", ["latest", false]),
      optional("eth_getBlockByNumber", ["finalized", false]),
      send("eth_getTransactionCount", [this.#signer, "latest"]),
      send("eth_getBalance", [this.#signer, "latest"]),
      send("eth_getCode", [this.#contract, "latest"]),
      call("anchored"),
      call("anchorer"),
      send("eth_gasPrice", []),
      optional("eth_maxPriorityFeePerGas", []),
      Promise.all(hashes.map((txHash) => send("eth_getTransactionReceipt", [txHash]))),
      Promise.all(hashes.map((txHash) => send("eth_getTransactionByHash", [txHash]))),
      this.#blocksAt(watchedBlocks(state)),
    ]);

    const latestBlock = blockSchema.parse(latest);
    const contract = contractView(bytes.parse(code), anchored, anchorer);
    const transactions = new Map<string, TransactionView>();
    for (const [index, txHash] of hashes.entries()) {
      const receipt = receiptSchema.nullish().parse(receipts[index]) ?? undefined;
      if (receipt !== undefined) transactions.set(txHash, await this.#mined(receipt, send));
      else transactions.set(txHash, { type: (known[index] ?? null) === null ? "unknown" : "in-mempool" });
    }
    const unexplained =
      contract.type === "present" &&
      contract.size > 0 &&
      state.pending === undefined &&
      state.confirmed?.size !== contract.size;
    const { confirmed, earlier = [] } = state;
    const moved = confirmed !== undefined && stored.get(confirmed.blockNumber) !== confirmed.blockHash;
    const blocks = moved
      ? new Map([...stored, ...(await this.#blocksAt(earlier.map((anchor) => anchor.blockNumber)))])
      : stored;
    return {
      type: "reachable",
      chainId: number.parse(chainId),
      latestBlock: latestBlock.number,
      finalizedBlock: blockSchema.nullish().parse(finalized)?.number,
      nonce: number.parse(nonce),
      balanceWei: quantity.parse(balance),
      suggestedFees: suggestFees(
        latestBlock.baseFeePerGas ?? undefined,
        quantity.optional().parse(priority ?? undefined),
        quantity.parse(gasPrice),
      ),
      contract,
      transactions,
      newestEvent: unexplained ? await this.#eventIn(contract.blockNumber, contract.size, send) : undefined,
      blocks,
      contradicted: new Set(),
    };
  }

  async #mined(
    receipt: Receipt,
    send: (method: string, params: readonly unknown[]) => Promise<unknown>,
  ): Promise<TransactionView> {
    const block = blockSchema
      .nullish()
      .parse(await send("eth_getBlockByNumber", [heightOf(receipt.blockNumber), false]));
    return {
      type: "mined",
      succeeded: receipt.status === 1,
      blockNumber: receipt.blockNumber,
      blockHash: receipt.blockHash,
      logIndex: receipt.logs.find((log) => this.#isAnchored(log))?.logIndex,
      canonical: block?.hash === receipt.blockHash,
    };
  }

  async #eventIn(
    blockNumber: number,
    size: number,
    send: (method: string, params: readonly unknown[]) => Promise<unknown>,
  ): Promise<AnchoredEvent | undefined> {
    return (await this.#eventsIn(blockNumber, send)).find((event) => event.size === size);
  }

  async #eventsIn(
    blockNumber: number,
    send: (method: string, params: readonly unknown[]) => Promise<unknown>,
  ): Promise<readonly AnchoredEvent[]> {
    const block = heightOf(blockNumber);
    const logs = await send("eth_getLogs", [
      { address: this.#contract, topics: [anchoredTopic()], fromBlock: block, toBlock: block },
    ]);
    return z
      .array(logSchema)
      .parse(logs)
      .filter((log) => this.#isAnchored(log))
      .map((log) => {
        const event = LEDGER_ANCHOR.decodeEventLog("Anchored", log.data, log.topics);
        return {
          size: Number(event.getValue("size")),
          root: String(event.getValue("root")).slice(2),
          previousSize: Number(event.getValue("previousSize")),
          txHash: log.transactionHash,
          blockNumber: log.blockNumber,
          blockHash: log.blockHash,
          logIndex: log.logIndex,
        };
      });
  }

  #isAnchored(log: Log): boolean {
    return log.address === this.#contract && log.topics[0] === anchoredTopic();
  }
}

/** The provider's own timeout ends with the answer's headers; a body that never comes would hold the tick for ever. */
async function withDeadline<Value>(work: Promise<Value>, ms: number): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error("the node's answer did not end")), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
