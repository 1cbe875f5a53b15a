/**
 * The EVM nodes of the settings as one. A reading is one HTTP request (ethers batches calls made together), two when a transaction
 * was mined or an anchor has to be looked up, and one to each further node when something was mined or is missing.
 */
import { computeAddress, SigningKey, Transaction } from "ethers";
import { ChainNode, type NodeTarget } from "./chain-node.client.ts";
import type { AnchoredEvent, ChainView, ReachableChain } from "./chain-view.ts";
import { encodeAnchorCall } from "./contract.ts";
import type { AnchorDraft } from "./next-action.ts";
import { type AnchorState, BROADCAST_RESULTS, type BroadcastResult } from "./state.ts";

export interface ChainTarget extends NodeTarget {
  /** Asked in this order. At least one. */
  readonly rpcUrls: readonly string[];
  readonly contractAddress: string;
  readonly privateKey: string;
  readonly gasLimit: bigint;
}

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
