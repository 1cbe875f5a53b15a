/** Trees made for tests: entries, the files a log over them serves, and a reader of those files. */
import { leafHash } from "../../src/ledger/hash.ts";
import { TILE_WIDTH, tilePath } from "../../src/ledger/layout.ts";
import type { ReadTile } from "../../src/ledger/proof.ts";
import { EMPTY_EDGE, encodeBundle, extendEdge, partialContents, type TileEdge } from "../../src/ledger/tiles.ts";
import { utf8 } from "../../src/platform/encoding.ts";

export const leafEntries = (count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, i) => utf8(`leaf ${i}`));

/** Every file of a log that grew from nothing to these entries at once. */
export function logFiles(entries: readonly Uint8Array[]): {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly edge: TileEdge;
} {
  const { edge, completed } = extendEdge(EMPTY_EDGE, entries.map(leafHash));
  const files = new Map<string, Uint8Array>();
  for (const { tile, bytes } of [...completed, ...partialContents(edge)]) files.set(tilePath(tile), bytes);
  for (let index = 0; index * TILE_WIDTH < entries.length; index++) {
    const slice = entries.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
    files.set(tilePath({ kind: "entries", index, width: slice.length }), encodeBundle(slice));
  }
  return { files, edge };
}

export const readerOf =
  (files: ReadonlyMap<string, Uint8Array>): ReadTile =>
  async (tile) => {
    const bytes = files.get(tilePath(tile));
    if (bytes === undefined) throw new Error(`${tilePath(tile)} is not there`);
    return bytes;
  };
