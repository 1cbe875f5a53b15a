/**
 * The tree over leaf hashes as they come, held against the tiles that a log serves. It follows the definition of tiles and
 * shares nothing with what makes them. A leaf that nobody can say is undefined, and so is whatever it is hashed into.
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
  readonly hashes: readonly MaybeHash[];
}

export type MaybeHash = Hash | undefined;

const joined = (left: MaybeHash, right: MaybeHash): MaybeHash =>
  left === undefined || right === undefined ? undefined : nodeHash(left, right);

function foldPairs(hashes: readonly MaybeHash[]): MaybeHash {
  if (hashes.length === 0) throw new RangeError("nothing to fold");
  if (hashes.length === 1) return hashes[0];
  const half = hashes.length / 2;
  return joined(foldPairs(hashes.slice(0, half)), foldPairs(hashes.slice(half)));
}

export class TreeCheck {
  #size = 0;
  readonly #levels: MaybeHash[][] = [];

  constructor(state?: TreeState) {
    if (state === undefined) return;
    this.#size = state.size;
    for (const hashes of state.levels) this.#levels.push(hashes.map(fromHex));
  }

  get size(): number {
    return this.#size;
  }

  /** @returns tiles that became full. */
  push(leaf: MaybeHash): readonly ExpectedTile[] {
    const full: ExpectedTile[] = [];
    this.#size += 1;
    let hash = leaf;
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

  /** RFC 6962 section 2.1, over what is left of each level from the right. @returns undefined when a leaf is not known. */
  root(): MaybeHash {
    let root: MaybeHash;
    let begun = false;
    for (const hashes of this.#levels) {
      let rest = hashes;
      while (rest.length > 0) {
        let width = 1;
        while (rest.length % (2 * width) === 0) width *= 2;
        const subtree = foldPairs(rest.slice(rest.length - width));
        root = begun ? joined(subtree, root) : subtree;
        begun = true;
        rest = rest.slice(0, rest.length - width);
      }
    }
    return begun ? root : EMPTY_ROOT;
  }

  /** @throws RangeError when a leaf is not known: nobody goes on from such a tree. */
  state(): TreeState {
    const known = (hash: MaybeHash): string => {
      if (hash === undefined) throw new RangeError("a leaf of the tree is not known");
      return toHex(hash);
    };
    return { size: this.#size, levels: this.#levels.map((hashes) => hashes.map(known)) };
  }
}

/** Whether a served tile has these hashes and no others; where one is not known, any will do. */
export function isTile(bytes: Uint8Array, hashes: readonly MaybeHash[]): boolean {
  if (bytes.length !== hashes.length * HASH_BYTES) return false;
  return hashes.every((hash, i) => hash === undefined || toHex(hash) === toHex(hashIn(bytes, i)));
}

/** The hash at a position of a tile. */
export const hashIn = (tile: Uint8Array, position: number): Hash =>
  tile.slice(position * HASH_BYTES, (position + 1) * HASH_BYTES);
