/**
 * What one isolate of the relay knows of receivers, whichever invocation learned it: whether they answer, and how many posts to them
 * were left behind by invocations that have ended otherwise. Isolates share nothing, so this bounds what one isolate spends on a
 * receiver; what may be posted at all is decided by leases.
 */
export class KnownReceivers {
  readonly #known = new Map<string, Known>();

  /** @returns whether it answered its last post; undefined when nothing is known. */
  answering(destinationId: string): boolean | undefined {
    return this.#known.get(destinationId)?.answering;
  }

  learn(destinationId: string, answering: boolean): void {
    this.#of(destinationId).answering = answering;
  }

  /**
   * An invocation leaves a post behind.
   * @param until epoch ms after which it does not count, whatever became of the invocation.
   * @returns what is called when the post has ended.
   */
  leave(destinationId: string, until: number): () => void {
    const { left } = this.#of(destinationId);
    const post = { until };
    left.add(post);
    return () => left.delete(post);
  }

  /** Posts left behind and still under way. */
  left(destinationId: string, now: number): number {
    const left = this.#known.get(destinationId)?.left;
    if (left === undefined) return 0;
    for (const post of left) if (post.until <= now) left.delete(post);
    return left.size;
  }

  /** Destinations with posts left behind. */
  lagging(now: number): readonly string[] {
    return [...this.#known.keys()].filter((destinationId) => this.left(destinationId, now) > 0);
  }

  #of(destinationId: string): Known {
    const held = this.#known.get(destinationId);
    if (held !== undefined) return held;
    if (this.#known.size >= MAX_KNOWN) {
      const oldest = this.#known.keys().next();
      if (oldest.done !== true) this.#known.delete(oldest.value);
    }
    const made: Known = { answering: undefined, left: new Set() };
    this.#known.set(destinationId, made);
    return made;
  }
}

interface Known {
  answering: boolean | undefined;
  readonly left: Set<{ readonly until: number }>;
}

/** Past this the one that was met first is forgotten. */
const MAX_KNOWN = 1_000;
