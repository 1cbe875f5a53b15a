/** The log's files in R2: `log/<ledger id>/checkpoint` and `log/<ledger id>/tile/...`. */
import { fromUtf8, utf8 } from "../platform/encoding.ts";
import { HASH_BYTES } from "./hash.ts";
import { isFull, TILE_WIDTH, type Tile, tilePath } from "./layout.ts";
import type { ReadTile } from "./proof.ts";
import { bundlePrefix } from "./tiles.ts";

const keyOf = (ledgerId: string, path: string): string => `log/${ledgerId}/${path}`;

export async function readLogFile(
  bucket: R2Bucket,
  ledgerId: string,
  path: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const object = await bucket.get(keyOf(ledgerId, path));
  return object === null ? undefined : new Uint8Array(await object.arrayBuffer());
}

/** Leaves what is there as it is. */
export async function writeLogFileOnce(
  bucket: R2Bucket,
  ledgerId: string,
  path: string,
  bytes: Uint8Array,
): Promise<"written" | "exists"> {
  const written = await bucket.put(keyOf(ledgerId, path), bytes, {
    onlyIf: { etagDoesNotMatch: "*" },
    httpMetadata: { contentType: "application/octet-stream" },
  });
  return written === null ? "exists" : "written";
}

export async function overwriteLogFile(
  bucket: R2Bucket,
  ledgerId: string,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  await bucket.put(keyOf(ledgerId, path), bytes, { httpMetadata: { contentType: "application/octet-stream" } });
}

export async function readCheckpointFile(bucket: R2Bucket, ledgerId: string): Promise<string | undefined> {
  const bytes = await readLogFile(bucket, ledgerId, "checkpoint");
  return bytes === undefined ? undefined : fromUtf8(bytes);
}

export async function writeCheckpointFile(bucket: R2Bucket, ledgerId: string, note: string): Promise<void> {
  await bucket.put(keyOf(ledgerId, "checkpoint"), utf8(note), {
    httpMetadata: { contentType: "text/plain; charset=utf-8" },
  });
}

/** A tile or bundle. A partial one that is gone is cut from the full one, whose beginning it is. */
export async function readTileFile(
  bucket: R2Bucket,
  ledgerId: string,
  tile: Tile,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const stored = await readLogFile(bucket, ledgerId, tilePath(tile));
  if (stored !== undefined || isFull(tile)) return stored;
  const full = await readLogFile(bucket, ledgerId, tilePath({ ...tile, width: TILE_WIDTH }));
  if (full === undefined) return undefined;
  if (tile.kind === "hashes") return full.slice(0, tile.width * HASH_BYTES);
  const prefix = bundlePrefix(full, tile.width);
  return prefix === undefined ? undefined : new Uint8Array(prefix);
}

/** @throws Error naming the tile that is not there. */
export const tileReader =
  (bucket: R2Bucket, ledgerId: string): ReadTile =>
  async (tile) => {
    const bytes = await readTileFile(bucket, ledgerId, tile);
    if (bytes === undefined) throw new Error(`${tilePath(tile)} is not there`);
    return bytes;
  };

/** Removes the partial forms of a full tile; the full one answers for them. */
export async function prunePartials(bucket: R2Bucket, ledgerId: string, tile: Tile): Promise<void> {
  const prefix = keyOf(ledgerId, `${tilePath({ ...tile, width: TILE_WIDTH })}.p/`);
  const { objects } = await bucket.list({ prefix, limit: TILE_WIDTH });
  if (objects.length > 0) await bucket.delete(objects.map(({ key }) => key));
}
