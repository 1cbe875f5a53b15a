/** A log's bundles and tiles as it serves them, and what its own tiles prove. */
import { HASH_BYTES } from "../../src/ledger/hash.ts";
import { TILE_WIDTH, type Tile, tilePath } from "../../src/ledger/layout.ts";
import { proveConsistency, type ReadTile, verifyConsistency } from "../../src/ledger/proof.ts";
import { fromHex } from "../../src/platform/encoding.ts";
import type { LogSource } from "./log-source.ts";
import type { Reporter } from "./verify-report.ts";

const MAX_CACHED_TILES = 2_000;

/** The checkpoint promises it, so a log without it can not prove that it grew. */
class PromisedTileMissing extends Error {
  override readonly name = "PromisedTileMissing";
}

export class ServedLog {
  readonly #source: LogSource;
  readonly #reporter: Reporter;
  readonly #tiles = new Map<string, Promise<Uint8Array | undefined>>();

  constructor(source: LogSource, reporter: Reporter) {
    this.#source = source;
    this.#reporter = reporter;
  }

  /**
   * A partial file may be gone when the full one is there: its beginning is the same.
   * @returns of a bundle maybe more entries than were asked for; undefined when the log says that it has none.
   * @throws LogUnavailable
   */
  async fetch(tile: Tile): Promise<Uint8Array | undefined> {
    const bytes = await this.#source.fetchFile(tilePath(tile));
    if (bytes !== undefined || tile.width === TILE_WIDTH) return bytes;
    const full = await this.#source.fetchFile(tilePath({ ...tile, width: TILE_WIDTH }));
    return tile.kind === "entries" ? full : full?.slice(0, tile.width * HASH_BYTES);
  }

  readonly #readTile: ReadTile = async (tile) => {
    const path = tilePath(tile);
    const cached = this.#tiles.get(path);
    const fetched = cached ?? this.fetch(tile);
    if (cached === undefined) {
      if (this.#tiles.size >= MAX_CACHED_TILES) this.#tiles.clear();
      this.#tiles.set(path, fetched);
    }
    const bytes = await fetched;
    if (bytes?.length !== tile.width * HASH_BYTES) throw new PromisedTileMissing(path);
    return bytes;
  };

  /**
   * Whether the tree of `to` extends that of `from`. A tile that is not served as promised is a finding of its own.
   * @param treeSize of the tree whose tiles prove it.
   */
  async isConsistent(
    from: { readonly size: number; readonly rootHash: string },
    to: { readonly size: number; readonly root: Uint8Array },
    treeSize: number,
  ): Promise<boolean> {
    try {
      const proof = await proveConsistency(from.size, to.size, treeSize, this.#readTile);
      return verifyConsistency(from.size, to.size, fromHex(from.rootHash), to.root, proof);
    } catch (error) {
      if (!(error instanceof PromisedTileMissing)) throw error;
      this.#reporter.finding("tile-mismatch", `${error.message} is not served as the checkpoint promises`);
      return false;
    }
  }
}
