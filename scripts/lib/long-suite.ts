/** What a long suite offers to scripts/test-long.ts. */

export interface LongPiece {
  /** What does not hold; empty when everything does. */
  readonly faults: readonly string[];
  /** JSON; given back to `summarize`, perhaps by a later run. */
  readonly counts: unknown;
}

export interface LongSuite {
  readonly name: string;
  readonly about: string;
  /** Each is run and kept on its own; minutes, not more. */
  readonly pieces: number;
  run(piece: {
    /** From 0. */
    readonly piece: number;
    readonly seed: number;
    /** Empty, and the piece's alone. */
    readonly dataDir: string;
    /** A line of progress. */
    readonly say: (text: string) => void;
  }): Promise<LongPiece>;
  /** @returns what the result file says beside date, commit, seed, faults and durations. */
  summarize(counts: readonly unknown[]): Readonly<Record<string, unknown>>;
}
