/**
 * Where an outside auditor finds what: paths and widths of tiles and entry bundles (c2sp.org/tlog-tiles). Sizes and indices are
 * safe integers that pass 2^31, so there are no 32-bit operators here.
 */

/** Hashes in a full tile, and entries in a full bundle. */
export const TILE_WIDTH = 256;

/** Levels of the binary tree that one tile spans. */
export const TILE_HEIGHT = 8;

/** The widest tile level that the paths allow. */
const MAX_TILE_LEVEL = 63;

/** A tile of hashes at a tile level, or a bundle of entries. `width` is 1..256; below 256 the tile is partial. */
export type Tile =
  | { readonly kind: "hashes"; readonly level: number; readonly index: number; readonly width: number }
  | { readonly kind: "entries"; readonly index: number; readonly width: number };

export type HashTile = Extract<Tile, { kind: "hashes" }>;

export const isFull = (tile: Tile): boolean => tile.width === TILE_WIDTH;

/** Entries of the smallest tree that has all of a tile or bundle. */
export const endOf = (tile: Tile): number =>
  (tile.index * TILE_WIDTH + tile.width) * (tile.kind === "entries" ? 1 : TILE_WIDTH ** tile.level);

/** The index in groups of three digits, every group but the last prefixed `x`: 1234067 is `x001/x234/067`. */
function indexPath(index: number): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, "0");
  const groups = padded.match(/\d{3}/g) ?? [];
  return groups.map((group, i) => (i === groups.length - 1 ? group : `x${group}`)).join("/");
}

/** The path below the log's base URL, such as `tile/0/x001/234.p/44` or `tile/entries/000`. */
export function tilePath(tile: Tile): string {
  const folder = tile.kind === "entries" ? "entries" : String(tile.level);
  return `tile/${folder}/${indexPath(tile.index)}${isFull(tile) ? "" : `.p/${tile.width}`}`;
}

const TILE_PATH = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** @returns undefined for a path that is not exactly how `tilePath` writes some tile. */
export function parseTilePath(path: string): Tile | undefined {
  const match = TILE_PATH.exec(path);
  if (match === null) return undefined;
  const [, folder = "", groups = "", partial] = match;
  const index = Number(groups.replaceAll(/[x/]/g, ""));
  const width = partial === undefined ? TILE_WIDTH : Number(partial);
  if (!Number.isSafeInteger(index) || width > TILE_WIDTH) return undefined;
  const level = Number(folder);
  if (folder !== "entries" && level > MAX_TILE_LEVEL) return undefined;
  const tile: Tile = folder === "entries" ? { kind: "entries", index, width } : { kind: "hashes", level, index, width };
  return tilePath(tile) === path ? tile : undefined;
}

/** Complete subtrees of 256^level entries in a tree of `size` entries: how many hashes that tile level holds in all. */
export const hashesAtLevel = (level: number, size: number): number => Math.floor(size / TILE_WIDTH ** level);

/** Hashes of one tile in a tree of `size` entries, 0..256. A bundle is as wide as the tile at level 0. */
export function tileWidth(level: number, index: number, size: number): number {
  const there = hashesAtLevel(level, size) - index * TILE_WIDTH;
  return Math.max(0, Math.min(TILE_WIDTH, there));
}

/** The partial hash tiles of a tree of `size` entries, lowest level first; at most one for each level. */
export function partialTiles(size: number): readonly HashTile[] {
  const tiles: HashTile[] = [];
  for (let level = 0; hashesAtLevel(level, size) > 0; level++) {
    const hashes = hashesAtLevel(level, size);
    const width = hashes % TILE_WIDTH;
    if (width > 0) tiles.push({ kind: "hashes", level, index: Math.floor(hashes / TILE_WIDTH), width });
  }
  return tiles;
}
