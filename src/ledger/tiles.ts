/** What tiles hold: hashes that grow from the right, and bundles of entries (c2sp.org/tlog-tiles). */
import { concatBytes } from "../platform/encoding.ts";
import { MAX_ENTRY_BYTES } from "./entry.ts";
import { EMPTY_ROOT, HASH_BYTES, type Hash, nodeHash } from "./hash.ts";
import { type HashTile, hashesAtLevel, TILE_WIDTH } from "./layout.ts";

export interface TileContent {
  readonly tile: HashTile;
  readonly bytes: Uint8Array;
}

/**
 * The right edge of the tree: for each tile level, lowest first, the hashes of its partial tile. With the entries to come it is
 * all that the next tiles need.
 */
export interface TileEdge {
  readonly size: number;
  readonly levels: readonly (readonly Hash[])[];
}

export const EMPTY_EDGE: TileEdge = { size: 0, levels: [] };

/** The tree over hashes that are a power of two in number. */
export function completeRoot(hashes: readonly Hash[]): Hash {
  let row = hashes;
  while (row.length > 1) {
    const next: Hash[] = [];
    for (let i = 0; i < row.length; i += 2) {
      const [left, right] = [row[i], row[i + 1]];
      if (left === undefined || right === undefined) throw new RangeError("a complete subtree has 2^k hashes");
      next.push(nodeHash(left, right));
    }
    row = next;
  }
  const [root] = row;
  if (root === undefined) throw new RangeError("a complete subtree is not empty");
  return root;
}

/** Adds leaf hashes. `completed` are the tiles that became full, in the order in which they did. */
export function extendEdge(
  edge: TileEdge,
  leaves: readonly Hash[],
): { readonly edge: TileEdge; readonly completed: readonly TileContent[] } {
  const levels = edge.levels.map((hashes) => [...hashes]);
  const completed: TileContent[] = [];
  let size = edge.size;
  for (const leaf of leaves) {
    size += 1;
    let carried: Hash | undefined = leaf;
    for (let level = 0; carried !== undefined; level++) {
      const hashes = levels[level] ?? [];
      levels[level] = hashes;
      hashes.push(carried);
      carried = undefined;
      if (hashes.length === TILE_WIDTH) {
        const index = hashesAtLevel(level, size) / TILE_WIDTH - 1;
        completed.push({ tile: { kind: "hashes", level, index, width: TILE_WIDTH }, bytes: concatBytes(...hashes) });
        carried = completeRoot(hashes);
        levels[level] = [];
      }
    }
  }
  return { edge: { size, levels }, completed };
}

/** The partial tiles at the edge, lowest level first. */
export function partialContents(edge: TileEdge): readonly TileContent[] {
  return edge.levels.flatMap((hashes, level) => {
    if (hashes.length === 0) return [];
    const index = Math.floor(hashesAtLevel(level, edge.size) / TILE_WIDTH);
    return [{ tile: { kind: "hashes", level, index, width: hashes.length }, bytes: concatBytes(...hashes) }];
  });
}

/** The root of the tree that ends at this edge: its complete subtrees folded from the right (RFC 6962 section 2.1). */
export function rootOfEdge(edge: TileEdge): Hash {
  let root: Hash | undefined;
  for (const hashes of edge.levels) {
    let end = hashes.length;
    for (let width = 1; end > 0; width *= 2) {
      if (end % (2 * width) === 0) continue;
      const subtree = completeRoot(hashes.slice(end - width, end));
      root = root === undefined ? subtree : nodeHash(subtree, root);
      end -= width;
    }
  }
  return root ?? EMPTY_ROOT;
}

/** Hashes of a tile. @returns undefined when the bytes are not whole hashes, 1 to 256 of them. */
export function splitTile(bytes: Uint8Array): readonly Hash[] | undefined {
  const count = bytes.length / HASH_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > TILE_WIDTH) return undefined;
  return Array.from({ length: count }, (_, i) => bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}

/** Each entry as uint16 big-endian length, then its bytes. @throws RangeError for an entry that is too long. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return concatBytes(
    ...entries.flatMap((entry) => {
      if (entry.length > MAX_ENTRY_BYTES) throw new RangeError(`an entry has at most ${MAX_ENTRY_BYTES} bytes`);
      return [Uint8Array.of(Math.floor(entry.length / 256), entry.length % 256), entry];
    }),
  );
}

/** @returns undefined when the bytes do not end where an entry ends, or hold more than 256. */
export function decodeBundle(bytes: Uint8Array): readonly Uint8Array[] | undefined {
  const entries: Uint8Array[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const [high, low] = [bytes[offset], bytes[offset + 1]];
    if (high === undefined || low === undefined || entries.length === TILE_WIDTH) return undefined;
    const end = offset + 2 + high * 256 + low;
    if (end > bytes.length) return undefined;
    entries.push(bytes.slice(offset + 2, end));
    offset = end;
  }
  return entries;
}

/** The first `width` entries of a bundle, as bytes; undefined when there are fewer. */
export function bundlePrefix(bytes: Uint8Array, width: number): Uint8Array | undefined {
  const entries = decodeBundle(bytes);
  return entries === undefined || entries.length < width ? undefined : encodeBundle(entries.slice(0, width));
}
