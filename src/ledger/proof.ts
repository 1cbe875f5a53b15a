/**
 * Inclusion and consistency proofs (RFC 6962 section 2.1): made from tiles, verified from hashes alone. Sizes are safe integers
 * that pass 2^31, so there are no 32-bit operators here.
 */
import { HASH_BYTES, type Hash, nodeHash } from "./hash.ts";
import { type HashTile, TILE_HEIGHT, TILE_WIDTH, tilePath, tileWidth } from "./layout.ts";

/** Entries from `start` up to `end`. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/** A complete subtree of 2^level entries, the `index`-th of its level. */
interface Subtree {
  readonly level: number;
  readonly index: number;
}

/** The bytes of a hash tile. @throws when it can not be had. */
export type ReadTile = (tile: HashTile) => Promise<Uint8Array>;

/** The largest power of two smaller than `size`, which is at least 2. */
function splitPoint(size: number): number {
  let k = 1;
  while (k * 2 < size) k *= 2;
  return k;
}

/** What an inclusion proof is made of, from the leaf's sibling up (PATH of RFC 6962 section 2.1.1). */
function inclusionRanges(index: number, size: number): readonly Range[] {
  const ranges: Range[] = [];
  let { start, end }: Range = { start: 0, end: size };
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    if (index < middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  return ranges.reverse();
}

/** What a consistency proof is made of (SUBPROOF of RFC 6962 section 2.1.2). */
function consistencyRanges(from: number, to: number): readonly Range[] {
  const ranges: Range[] = [];
  let { start, end }: Range = { start: 0, end: to };
  while (from < end) {
    const middle = start + splitPoint(end - start);
    if (from <= middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  if (start > 0) ranges.push({ start, end });
  return ranges.reverse();
}

/** The complete subtrees that a range of a proof splits into, left to right. Such a range starts where the largest may start. */
function subtreesOf({ start, end }: Range): readonly Subtree[] {
  const subtrees: Subtree[] = [];
  for (let at = start; at < end; ) {
    let level = 0;
    while (at + 2 ** (level + 1) <= end && at % 2 ** (level + 1) === 0) level += 1;
    subtrees.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return subtrees;
}

/** Where a subtree's root is found: in a tile, over `count` of its hashes from `offset`. */
function placeOf({ level, index }: Subtree): {
  readonly level: number;
  readonly tileIndex: number;
  readonly offset: number;
  readonly count: number;
} {
  const count = 2 ** (level % TILE_HEIGHT);
  const first = index * count;
  return {
    level: Math.floor(level / TILE_HEIGHT),
    tileIndex: Math.floor(first / TILE_WIDTH),
    offset: first % TILE_WIDTH,
    count,
  };
}

/** The hash over `count` (a power of two) hashes of a tile. */
function hashWithin(tile: Uint8Array, offset: number, count: number): Hash {
  if (count === 1) return tile.slice(offset * HASH_BYTES, (offset + 1) * HASH_BYTES);
  const half = count / 2;
  return nodeHash(hashWithin(tile, offset, half), hashWithin(tile, offset + half, half));
}

async function rangeHashes(ranges: readonly Range[], treeSize: number, readTile: ReadTile): Promise<readonly Hash[]> {
  const tiles = new Map<string, HashTile>();
  const places = ranges.map((range) =>
    subtreesOf(range).map((subtree) => {
      const { level, tileIndex, offset, count } = placeOf(subtree);
      const tile: HashTile = { kind: "hashes", level, index: tileIndex, width: tileWidth(level, tileIndex, treeSize) };
      if (offset + count > tile.width) throw new RangeError(`a tree of ${treeSize} entries has no such subtree`);
      const path = tilePath(tile);
      tiles.set(path, tile);
      return { path, offset, count };
    }),
  );
  const contents = new Map(
    await Promise.all(
      [...tiles].map(async ([path, tile]) => {
        const bytes = await readTile(tile);
        if (bytes.length !== tile.width * HASH_BYTES) throw new Error(`${path} has ${bytes.length} bytes`);
        return [path, bytes] as const;
      }),
    ),
  );
  return places.map((subtrees) => {
    let hash: Hash | undefined;
    for (const { path, offset, count } of subtrees.toReversed()) {
      const tile = contents.get(path);
      if (tile === undefined) throw new Error(`${path} was not read`);
      const subtree = hashWithin(tile, offset, count);
      hash = hash === undefined ? subtree : nodeHash(subtree, hash);
    }
    if (hash === undefined) throw new RangeError("a proof has no empty range");
    return hash;
  });
}

const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/**
 * The inclusion proof of entry `index` in the tree of `size` entries.
 * @param treeSize of the published tree whose tiles are read, at least `size`.
 * @throws RangeError when index < size <= treeSize does not hold, or what `readTile` throws.
 */
export async function proveInclusion(
  index: number,
  size: number,
  treeSize: number,
  readTile: ReadTile,
): Promise<readonly Hash[]> {
  if (![index, size, treeSize].every(isSize) || index >= size || size > treeSize) {
    throw new RangeError(`no inclusion proof of ${index} in ${size} from a tree of ${treeSize}`);
  }
  return rangeHashes(inclusionRanges(index, size), treeSize, readTile);
}

/**
 * The consistency proof from the tree of `from` entries to that of `to` entries; empty when they are equal.
 * @param treeSize as for `proveInclusion`.
 * @throws RangeError when 0 < from <= to <= treeSize does not hold, or what `readTile` throws.
 */
export async function proveConsistency(
  from: number,
  to: number,
  treeSize: number,
  readTile: ReadTile,
): Promise<readonly Hash[]> {
  if (![from, to, treeSize].every(isSize) || from < 1 || from > to || to > treeSize) {
    throw new RangeError(`no consistency proof from ${from} to ${to} from a tree of ${treeSize}`);
  }
  return rangeHashes(consistencyRanges(from, to), treeSize, readTile);
}

/** The root of the tree of `size` entries, read from the tiles of a tree of `treeSize`. @throws RangeError for an empty tree. */
export async function rootFromTiles(size: number, treeSize: number, readTile: ReadTile): Promise<Hash> {
  if (![size, treeSize].every(isSize) || size < 1 || size > treeSize) {
    throw new RangeError(`no root of ${size} from a tree of ${treeSize}`);
  }
  const [root] = await rangeHashes([{ start: 0, end: size }], treeSize, readTile);
  if (root === undefined) throw new Error("one range has one hash");
  return root;
}

const halve = (value: number): number => Math.floor(value / 2);
const isOdd = (value: number): boolean => value % 2 === 1;
const isPowerOfTwo = (value: number): boolean => {
  let rest = value;
  while (rest > 1 && !isOdd(rest)) rest /= 2;
  return rest === 1;
};

export const sameHash = (a: Hash, b: Hash): boolean =>
  a.length === HASH_BYTES && b.length === HASH_BYTES && a.every((byte, i) => byte === b[i]);

/** Whether the entry with hash `leaf` is entry `index` of the tree with `root` and `size` entries (RFC 9162 section 2.1.3.2). */
export function verifyInclusion(index: number, size: number, leaf: Hash, proof: readonly Hash[], root: Hash): boolean {
  if (!isSize(index) || !isSize(size) || index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let r = leaf;
  for (const p of proof) {
    if (sn === 0 || p.length !== HASH_BYTES) return false;
    if (isOdd(fn) || fn === sn) {
      r = nodeHash(p, r);
      while (fn !== 0 && !isOdd(fn)) {
        fn = halve(fn);
        sn = halve(sn);
      }
    } else {
      r = nodeHash(r, p);
    }
    fn = halve(fn);
    sn = halve(sn);
  }
  return sn === 0 && sameHash(r, root);
}

/**
 * Whether the tree with `newRoot` and `to` entries extends the one with `oldRoot` and `from` entries (RFC 9162 section 2.1.4.2).
 * Nothing is consistent with an empty tree here: there is nothing to prove.
 */
export function verifyConsistency(
  from: number,
  to: number,
  oldRoot: Hash,
  newRoot: Hash,
  proof: readonly Hash[],
): boolean {
  if (!isSize(from) || !isSize(to) || from === 0 || from > to) return false;
  if (from === to) return proof.length === 0 && sameHash(oldRoot, newRoot);
  if (proof.length === 0 || proof.some((hash) => hash.length !== HASH_BYTES)) return false;
  const [first, ...rest] = isPowerOfTwo(from) ? [oldRoot, ...proof] : proof;
  if (first === undefined) return false;
  let fn = from - 1;
  let sn = to - 1;
  while (isOdd(fn)) {
    fn = halve(fn);
    sn = halve(sn);
  }
  let fr = first;
  let sr = first;
  for (const c of rest) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (fn !== 0 && !isOdd(fn)) {
        fn = halve(fn);
        sn = halve(sn);
      }
    } else {
      sr = nodeHash(sr, c);
    }
    fn = halve(fn);
    sn = halve(sn);
  }
  return sn === 0 && sameHash(fr, oldRoot) && sameHash(sr, newRoot);
}
