/**
 * EVM nodes over JSON-RPC. A reading is one HTTP request (ethers batches calls made together), two when a transaction
 * was mined or an anchor has to be looked up, and one to each further node when something was mined or is missing. Roots travel inside as 64 hex digits, on the wire with 0x.
 */
import { computeAddress, dataSlice, FetchRequest, isError, JsonRpcProvider, SigningKey, Transaction } from "ethers";
import * as z from "zod";
import { classifyBroadcastError } from "./broadcast.ts";
import type { AnchoredEvent, ChainView, ContractView, ReachableChain, TransactionView } from "./chain-view.ts";
import { anchoredTopic, encodeAnchorCall, LEDGER_ANCHOR } from "./contract.ts";
import { suggestFees } from "./fees.ts";
import type { AnchorDraft } from "./next-action.ts";
import { type AnchorState, BROADCAST_RESULTS, type BroadcastResult, watchedBlocks, watchedHashes } from "./state.ts";

export interface ChainTarget {
  /** Asked in this order. At least one. */
  readonly rpcUrls: readonly string[];
  readonly chainId: number;
  readonly contractAddress: string;
  readonly privateKey: string;
  readonly gasLimit: bigint;
  readonly timeoutMs: number;
}

const quantity = z
  .string()
  .regex(/^0x[0-9a-f]+$/i)
  .transform((hex) => BigInt(hex));
const number = quantity.transform(Number).pipe(z.number().int());
const hash = z
  .string()
  .regex(/^0x[0-9a-f]{64}$/i)
  .transform((hex) => hex.toLowerCase());
const bytes = z.string().regex(/^0x([0-9a-f]{2})*$/i);
const blockSchema = z.object({ number, hash, baseFeePerGas: quantity.nullish() });
const logSchema = z.object({
  address: z.string().transform((address) => address.toLowerCase()),
  topics: z.array(hash),
  data: bytes,
  blockNumber: number,
  blockHash: hash,
  transactionHash: hash,
  logIndex: number,
});
type Log = z.output<typeof logSchema>;
const receiptSchema = z.object({ status: number, blockNumber: number, blockHash: hash, logs: z.array(logSchema) });
type Receipt = z.output<typeof receiptSchema>;

const heightOf = (blockNumber: number): string => `0x${blockNumber.toString(16)}`;

/** All nodes as one: reads from the first that answers, sends to every one. One instance for one tick. */
export class ChainClient {
  readonly signer: string;
  /** Lower-case address. */
  readonly contract: string;
  readonly #target: ChainTarget;
  readonly #key: SigningKey;
  /** In the order in which they are asked: one that did not answer goes to the end. */
  #nodes: readonly ChainNode[];

  constructor(target: ChainTarget) {
    this.#target = target;
    this.#key = new SigningKey(target.privateKey);
    this.contract = target.contractAddress.toLowerCase();
    this.signer = computeAddress(this.#key).toLowerCase();
    this.#nodes = target.rpcUrls.map((url) => new ChainNode(url, target, this.contract, this.signer));
  }

  /** Ends the providers' timers; the client is of no use afterwards. */
  destroy(): void {
    for (const node of this.#nodes) node.destroy();
  }

  /** @returns `unreachable` when no node answered as it should, never an exception. */
  async read(state: AnchorState): Promise<ChainView> {
    let behind: { readonly node: ChainNode; readonly view: ReachableChain } | undefined;
    let unreachable: ChainView = { type: "unreachable", reason: "no node is configured" };
    for (const node of this.#nodes) {
      const view = await node.read(state);
      if (view.type === "unreachable") {
        unreachable = view;
        this.#nodes = [...this.#nodes.filter((other) => other !== node), node];
      } else if (state.confirmed !== undefined && view.latestBlock < state.confirmed.blockNumber) {
        behind ??= { node, view };
      } else {
        return this.#compared(node, view, state);
      }
    }
    return behind === undefined ? unreachable : this.#compared(behind.node, behind.view, state);
  }

  /** Asks the other nodes about the blocks that the next decision rests on. One that does not answer has no say. */
  async #compared(node: ChainNode, view: ReachableChain, state: AnchorState): Promise<ReachableChain> {
    const others = this.#nodes.filter((other) => other !== node);
    const heights = others.length === 0 ? new Map<number, string | undefined>() : heightsInQuestion(view, state);
    if (heights.size === 0) return view;
    const seen = await Promise.all(others.map((other) => other.blockHashes([...heights.keys()])));
    const contradicted = new Set<number>();
    for (const [height, own] of heights) {
      for (const blocks of seen) {
        const theirs = blocks.get(height);
        if (theirs !== undefined && theirs !== own) contradicted.add(height);
      }
    }
    return { ...view, contradicted };
  }

  /** What the contract holds; undefined when no node of the chain answers, or it has no such contract. */
  newestAnchor(): Promise<{ readonly size: number; readonly root: string } | undefined> {
    return this.#first((node) => node.newestAnchor());
  }

  /** The anchors of one block; undefined when no node of the chain answers that has the block. */
  anchorsIn(blockNumber: number): Promise<readonly AnchoredEvent[] | undefined> {
    return this.#first((node) => node.anchorsIn(blockNumber));
  }

  async #first<Answer>(ask: (node: ChainNode) => Promise<Answer | undefined>): Promise<Answer | undefined> {
    for (const node of this.#nodes) {
      const answer = await ask(node);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** EIP-1559 or legacy by the draft's fees. Signing is deterministic (RFC 6979): the same draft gives the same hash. */
  sign(draft: AnchorDraft): { readonly hash: string; readonly rawTx: string } {
    const { fees } = draft;
    const transaction = Transaction.from({
      chainId: this.#target.chainId,
      nonce: draft.nonce,
      to: this.contract,
      data: encodeAnchorCall(draft.previousSize, draft.size, draft.root),
      gasLimit: this.#target.gasLimit,
      ...(fees.type === "eip1559"
        ? { type: 2, maxFeePerGas: fees.maxFeePerGas, maxPriorityFeePerGas: fees.maxPriorityFeePerGas }
        : { type: 0, gasPrice: fees.gasPrice }),
    });
    transaction.signature = this.#key.sign(transaction.unsignedHash);
    if (transaction.hash === null) throw new Error("a signed transaction has a hash");
    return { hash: transaction.hash, rawTx: transaction.serialized };
  }

  /** @returns the best of the nodes' answers, in the order of BROADCAST_RESULTS: one that has it will pass it on. */
  async broadcast(rawTx: string): Promise<BroadcastResult> {
    const results = await Promise.all(this.#nodes.map((node) => node.broadcast(rawTx)));
    return BROADCAST_RESULTS.find((result) => results.includes(result)) ?? "unreachable";
  }
}

/** Heights where a mined transaction was seen now or before, or an anchor is missing, with the node's own block hash. */
function heightsInQuestion(view: ReachableChain, state: AnchorState): ReadonlyMap<number, string | undefined> {
  const heights = new Map<number, string | undefined>();
  const { confirmed, pending } = state;
  if (confirmed !== undefined) {
    const moved = view.blocks.get(confirmed.blockNumber) !== confirmed.blockHash;
    const missing = view.contract.type === "present" && view.contract.size < confirmed.size;
    if (moved || missing) heights.set(confirmed.blockNumber, view.blocks.get(confirmed.blockNumber));
  }
  for (const { hash, minedIn } of pending?.transactions ?? []) {
    if (minedIn !== undefined) heights.set(minedIn.blockNumber, view.blocks.get(minedIn.blockNumber));
    const seen = view.transactions.get(hash);
    if (seen?.type === "mined") heights.set(seen.blockNumber, seen.blockHash);
  }
  if (confirmed !== undefined && pending === undefined) {
    const seen = view.transactions.get(confirmed.txHash);
    if (seen?.type === "mined" && seen.blockHash !== confirmed.blockHash) heights.set(seen.blockNumber, seen.blockHash);
  }
  if (view.newestEvent !== undefined) heights.set(view.newestEvent.blockNumber, view.newestEvent.blockHash);
  return heights;
}

class ChainNode {
  readonly #provider: JsonRpcProvider;
  readonly #chainId: number;
  readonly #timeoutMs: number;
  readonly #contract: string;
  readonly #signer: string;

  constructor(url: string, target: ChainTarget, contract: string, signer: string) {
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

/** Code that does not answer as our contract does is not our contract. */
function contractView(code: string, anchored: unknown, anchorer: unknown): ContractView {
  const state = bytes.safeParse(anchored);
  const role = bytes.safeParse(anchorer);
  if (code === "0x" || !state.success || !role.success) return { type: "missing" };
  if (state.data.length !== 2 + 3 * 64 || role.data.length !== 2 + 64) return { type: "missing" };
  const [size, root, blockNumber] = LEDGER_ANCHOR.decodeFunctionResult("anchored", state.data);
  return {
    type: "present",
    size: Number(size),
    root: String(root).slice(2),
    blockNumber: Number(blockNumber),
    anchorer: dataSlice(role.data, 12).toLowerCase(),
  };
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

const rpcErrorSchema = z.object({ message: z.string() });

/** The node's own words about a call; undefined when no JSON-RPC answer came. */
function nodeMessage(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const carried = z
    .object({ error: rpcErrorSchema })
    .or(z.object({ info: z.object({ error: rpcErrorSchema }) }))
    .safeParse(error);
  const words = carried.success ? ("error" in carried.data ? carried.data.error : carried.data.info.error).message : "";
  if (isError(error, "INSUFFICIENT_FUNDS")) return `insufficient funds ${words}`;
  if (isError(error, "NONCE_EXPIRED")) return `nonce too low ${words}`;
  if (isError(error, "REPLACEMENT_UNDERPRICED")) return `underpriced ${words}`;
  if (isError(error, "CALL_EXCEPTION")) return `reverted ${words}`;
  return carried.success ? words : undefined;
}

/** A node's address may hold a key, and ethers puts it into messages: only the kind of failure leaves here. */
function rpcReason(error: unknown): string {
  if (error instanceof z.ZodError) return "the node's answer has an unknown form";
  const code = z.object({ code: z.string().regex(/^[A-Z_]{1,40}$/) }).safeParse(error);
  return code.success ? `no usable answer (${code.data.code})` : "no connection";
}
