/** The chain as one node showed it in one reading. Its parts are read together but not at one instant. */
import type { Fees } from "./state.ts";

export interface MinedTransaction {
  readonly type: "mined";
  readonly succeeded: boolean;
  readonly blockNumber: number;
  readonly blockHash: string;
  /** Of its `Anchored` event; undefined when it reverted. */
  readonly logIndex: number | undefined;
  /** The node's own block of that number has this hash: false when the answers came from nodes that disagree. */
  readonly canonical: boolean;
}

export type TransactionView = MinedTransaction | { readonly type: "in-mempool" } | { readonly type: "unknown" };

/** The event of the contract's newest anchor, read from the block that the contract names. */
export interface AnchoredEvent {
  readonly size: number;
  readonly root: string;
  readonly previousSize: number;
  readonly txHash: string;
  readonly blockNumber: number;
  readonly blockHash: string;
  readonly logIndex: number;
}

export type ContractView =
  | { readonly type: "missing" }
  | {
      readonly type: "present";
      /** 0 before the first anchor; `root` is zeros then. */
      readonly size: number;
      readonly root: string;
      readonly blockNumber: number;
      /** Lower-case address. */
      readonly anchorer: string;
    };

export interface ReachableChain {
  readonly type: "reachable";
  readonly chainId: number;
  readonly latestBlock: number;
  /** By the node's `finalized` tag; undefined where it has none. */
  readonly finalizedBlock: number | undefined;
  /** Transactions of our account in the latest block and before: the next nonce to be mined. */
  readonly nonce: number;
  readonly balanceWei: bigint;
  readonly suggestedFees: Fees;
  readonly contract: ContractView;
  /** By transaction hash, for every watched one. */
  readonly transactions: ReadonlyMap<string, TransactionView>;
  /** Looked up when the contract holds an anchor that the state does not explain. */
  readonly newestEvent: AnchoredEvent | undefined;
  /** The node's own block hash at the heights where stored anchors were seen; undefined: it has no block there. */
  readonly blocks: ReadonlyMap<number, string | undefined>;
  /** Heights at which another node that answers has another block. */
  readonly contradicted: ReadonlySet<number>;
}

export type ChainView = { readonly type: "unreachable"; readonly reason: string } | ReachableChain;
