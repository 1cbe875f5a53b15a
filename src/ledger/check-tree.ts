/**
 * The Merkle tree as verification builds it, apart from the code that publishes it: a stack of complete subtrees, like the
 * carry of a binary counter. A subtree whose height is a multiple of 8 is also one hash of a tile. One node hash for each leaf.
 */
import { fromHex, toHex } from "../platform/encoding.ts";
import { sha256Of } from "../platform/sha256.ts";
import { EMPTY_ROOT, HASH_BYTES, type Hash, leafHash, nodeHash } from "./hash.ts";
import { TILE_HEIGHT, TILE_WIDTH } from "./layout.ts";

export interface Hasher {
  /** `SHA-256(0x00 || bytes)`. */
  leaf(bytes: Uint8Array): Hash;
  /** The same of `length` bytes from `offset`, for whose duration the byte before them may be overwritten. */
  leafWithin(buffer: Uint8Array, offset: number, length: number): Hash;
  /** `SHA-256(0x01 || left || right)`. */
  node(left: Hash, right: Hash): Hash;
}

export const PURE_HASHER: Hasher = {
  leaf: leafHash,
  leafWithin: (buffer, offset, length) => leafHash(buffer.subarray(offset, offset + length)),
  node: nodeHash,
};

const joined = new Uint8Array(1 + 2 * HASH_BYTES);

/** Without an object for each message. */
export const FAST_HASHER: Hasher = {
  leaf: leafHash,
  leafWithin(buffer, offset, length) {
    const before = buffer[offset - 1] ?? 0;
    buffer[offset - 1] = 0;
    const hash = sha256Of(buffer, offset - 1, length + 1);
    buffer[offset - 1] = before;
    return hash;
  },
  node(left, right) {
    joined[0] = 1;
    joined.set(left, 1);
    joined.set(right, 1 + HASH_BYTES);
    return sha256Of(joined);
  },
};

/** As it is kept between slices: hashes in hex. */
export interface TreeRecord {
  readonly size: number;
  /** One root for each bit set in `size`, the largest subtree first. */
  readonly roots: readonly string[];
  /** For each tile level the hashes of its partial tile, joined. */
  readonly tiles: readonly string[];
}

export const EMPTY_TREE: TreeRecord = { size: 0, roots: [], tiles: [] };

interface Subtree {
  readonly height: number;
  readonly hash: Hash;
}

const HASH_HEX = 2 * HASH_BYTES;

export class Tree {
  readonly #hasher: Hasher;
  readonly #subtrees: Subtree[] = [];
  readonly #tiles: Hash[][] = [];
  #size = 0;

  constructor(hasher: Hasher, record: TreeRecord = EMPTY_TREE) {
    this.#hasher = hasher;
    this.#size = record.size;
    this.#subtrees = heightsOf(record.size).map((height, i) => ({ height, hash: fromHex(record.roots[i] ?? "") }));
    this.#tiles = record.tiles.map((joined) =>
      Array.from({ length: joined.length / HASH_HEX }, (_, i) =>
        fromHex(joined.slice(i * HASH_HEX, (i + 1) * HASH_HEX)),
      ),
    );
  }

  get size(): number {
    return this.#size;
  }

  /** @param completed is told each tile that becomes full: its level, index and hashes. */
  add(leaf: Hash, completed?: (level: number, index: number, hashes: readonly Hash[]) => void): void {
    this.#size += 1;
    let carried: Subtree = { height: 0, hash: leaf };
    this.#intoTile(0, leaf, completed);
    for (let last = this.#subtrees.at(-1); last?.height === carried.height; last = this.#subtrees.at(-1)) {
      this.#subtrees.pop();
      carried = { height: carried.height + 1, hash: this.#hasher.node(last.hash, carried.hash) };
      if (carried.height % TILE_HEIGHT === 0) {
        this.#intoTile(carried.height / TILE_HEIGHT, carried.hash, completed);
      }
    }
    this.#subtrees.push(carried);
  }

  #intoTile(level: number, hash: Hash, completed: Parameters<Tree["add"]>[1]): void {
    let tile = this.#tiles[level];
    if (tile === undefined || tile.length === TILE_WIDTH) {
      tile = [];
      this.#tiles[level] = tile;
    }
    tile.push(hash);
    if (tile.length < TILE_WIDTH) return;
    completed?.(level, Math.floor(this.#size / TILE_WIDTH ** (level + 1)) - 1, tile);
  }

  /** The hashes of each level's partial tile, lowest level first; empty where the level has no partial tile. */
  partial(level: number): readonly Hash[] {
    const tile = this.#tiles[level] ?? [];
    return tile.length === TILE_WIDTH ? [] : tile;
  }

  get levels(): number {
    return this.#tiles.length;
  }

  root(): Hash {
    let root: Hash | undefined;
    for (let i = this.#subtrees.length - 1; i >= 0; i--) {
      const subtree = this.#subtrees[i];
      if (subtree === undefined) continue;
      root = root === undefined ? subtree.hash : this.#hasher.node(subtree.hash, root);
    }
    return root ?? EMPTY_ROOT;
  }

  rootHex(): string {
    return toHex(this.root());
  }

  /** The roots of the complete subtrees, largest first, as a head stores them. */
  frontierJson(): string {
    return JSON.stringify(this.#subtrees.map(({ hash }) => toHex(hash)));
  }

  record(): TreeRecord {
    return {
      size: this.#size,
      roots: this.#subtrees.map(({ hash }) => toHex(hash)),
      tiles: this.#tiles.map((hashes) => (hashes.length === TILE_WIDTH ? "" : hashes.map(toHex).join(""))),
    };
  }
}

/** Heights of the complete subtrees of a tree, largest first. Sizes pass 2^31, so no 32-bit operators. */
function heightsOf(size: number): readonly number[] {
  const heights: number[] = [];
  let height = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) heights.unshift(height);
    height += 1;
  }
  return heights;
}

/**
 * The tree of `size` entries, a multiple of 256, from the hashes of its partial tiles.
 * @param tiles for each level from 1 the first `floor(size / 256^level) mod 256` hashes of its last tile.
 */
export function treeFromTiles(hasher: Hasher, size: number, tiles: readonly (readonly Hash[])[]): Tree {
  const roots: string[] = [];
  for (const hashes of tiles.toReversed()) {
    let from = 0;
    for (let width = TILE_WIDTH / 2; width >= 1; width /= 2) {
      if (Math.floor(hashes.length / width) % 2 === 0) continue;
      roots.push(toHex(complete(hasher, hashes, from, width)));
      from += width;
    }
  }
  return new Tree(hasher, { size, roots, tiles: ["", ...tiles.map((hashes) => hashes.map(toHex).join(""))] });
}

/** The root over `width` hashes (a power of two) from `from`. */
function complete(hasher: Hasher, hashes: readonly Hash[], from: number, width: number): Hash {
  const only = hashes[from];
  if (only === undefined) throw new RangeError("a tile is shorter than its tree");
  if (width === 1) return only;
  const half = width / 2;
  return hasher.node(complete(hasher, hashes, from, half), complete(hasher, hashes, from + half, half));
}
