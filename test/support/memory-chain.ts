/** A chain in memory: what the contract was given, as verification asks for it through the real code. */
import type { AnchoredEvent } from "../../src/anchor/chain-view.ts";

export class MemoryChain {
  readonly contract: string;
  /** Smallest size first. */
  anchors: readonly AnchoredEvent[];
  /** The newest block; of later ones nothing is known. */
  height: number;

  constructor(contract: string, anchors: readonly AnchoredEvent[] = [], height = 0) {
    this.contract = contract;
    this.anchors = anchors;
    this.height = height;
  }

  copy(): MemoryChain {
    return new MemoryChain(this.contract, this.anchors, this.height);
  }

  add(anchor: AnchoredEvent): void {
    this.anchors = [...this.anchors, anchor];
    this.height = Math.max(this.height, anchor.blockNumber);
  }

  async newestAnchor(): Promise<{ readonly size: number; readonly root: string } | undefined> {
    const newest = this.anchors.at(-1);
    return { size: newest?.size ?? 0, root: newest?.root ?? "0".repeat(64) };
  }

  async anchorsIn(blockNumber: number): Promise<readonly AnchoredEvent[] | undefined> {
    if (blockNumber > this.height) return undefined;
    return this.anchors.filter((anchor) => anchor.blockNumber === blockNumber);
  }
}
