/**
 * The tree over leaf hashes as they come, held against the tiles that a log serves. It follows the definition of tiles and
 * shares nothing with what makes them.
 */
import { EMPTY_ROOT, HASH_BYTES, type Hash, nodeHash } from "../../src/ledger/hash.ts";
import { type HashTile, TILE_WIDTH } from "../../src/ledger/layout.ts";
import { fromHex, toHex } from "../../src/platform/encoding.ts";

/** Leaf hashes seen, and for each tile level the hashes of the tile that is not full yet, as hex. */
export interface TreeState {
  readonly size: number;
  readonly levels: readonly (readonly string[])[];
}

/** A tile that must be served with these hashes. */
export interface ExpectedTile {
  readonly tile: HashTile;
  readonly hashes: readonly Hash[];
}

function foldPairs(hashes: readonly Hash[]): Hash {
  const [first, ...rest] = hashes;
  if (first === undefined) throw new RangeError("nothing to fold");
  if (rest.length === 0) return first;
  const half = hashes.length / 2;
  return nodeHash(foldPairs(hashes.slice(0, half)), foldPairs(hashes.slice(half)));
}

export class TreeCheck {
  #size = 0;
  readonly #levels: Hash[][] = [];

  constructor(state?: TreeState) {
    if (state === undefined) return;
    this.#size = state.size;
    for (const hashes of state.levels) this.#levels.push(hashes.map(fromHex));
  }

  get size(): number {
    return this.#size;
  }

  /** @returns tiles that became full. */
  push(leaf: Hash): readonly ExpectedTile[] {
    const full: ExpectedTile[] = [];
    this.#size += 1;
    let hash: Hash = leaf;
    for (let level = 0; ; level++) {
      this.#levels[level] ??= [];
      const hashes = this.#levels[level] ?? [];
      hashes.push(hash);
      if (hashes.length < TILE_WIDTH) return full;
      const index = this.#size / TILE_WIDTH ** (level + 1) - 1;
      full.push({ tile: { kind: "hashes", level, index, width: TILE_WIDTH }, hashes });
      this.#levels[level] = [];
      hash = foldPairs(hashes);
    }
  }

  /** The tiles at the right edge. */
  partial(): readonly ExpectedTile[] {
    return this.#levels.flatMap((hashes, level) => {
      if (hashes.length === 0) return [];
      const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1));
      return [{ tile: { kind: "hashes", level, index, width: hashes.length }, hashes: [...hashes] }];
    });
  }

  /** RFC 6962 section 2.1, over what is left of each level from the right. */
  root(): Hash {
    let root: Hash | undefined;
    for (const hashes of this.#levels) {
      let rest = hashes;
      while (rest.length > 0) {
        let width = 1;
        while (rest.length % (2 * width) === 0) width *= 2;
        const subtree = foldPairs(rest.slice(rest.length - width));
        root = root === undefined ? subtree : nodeHash(subtree, root);
        rest = rest.slice(0, rest.length - width);
      }
    }
    return root ?? EMPTY_ROOT;
  }

  state(): TreeState {
    return { size: this.#size, levels: this.#levels.map((hashes) => hashes.map(toHex)) };
  }
}

/** Whether a served tile begins with these hashes and has no others. */
export function isTile(bytes: Uint8Array, hashes: readonly Hash[]): boolean {
  if (bytes.length !== hashes.length * HASH_BYTES) return false;
  return hashes.every((hash, i) => toHex(hash) === toHex(bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)));
}
