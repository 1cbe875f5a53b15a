/** GET /ledger/log/tile/...: tiles of hashes and, under tile/entries, bundles of entries. */
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import type { Problem } from "../platform/problem.ts";
import { endOf, isFull, parseTilePath, type Tile, tilePath, tileWidth } from "./layout.ts";
import { readTileFile } from "./log.store.ts";
import { answerFile, fileResponses, onLog, refuse } from "./log-access.edge.ts";
import { NOTHING_PUBLISHED, notYetPublished, releasedSize } from "./published.edge.ts";

const OCTETS = "application/octet-stream";

export function registerLogTile(app: OpenAPIHono<CoreAppEnv>): void {
  const documents = [
    {
      path: "/tile/{level}/{index}",
      summary:
        "A tile of hashes (c2sp.org/tlog-tiles); the index is in groups of three digits, such as x001/x234/067.p/44",
      params: z.object({ level: z.string(), index: z.string() }),
      responses: fileResponses(OCTETS, "Up to 256 hashes of 32 bytes."),
    },
    {
      path: "/tile/entries/{index}",
      summary: "A bundle of entries (c2sp.org/tlog-tiles)",
      params: z.object({ index: z.string() }),
      responses: fileResponses(OCTETS, "Up to 256 entries, each as uint16 length and bytes."),
    },
  ];
  onLog(app, "/tile/*", documents, async (c) => {
    const path = c.req.path.slice(c.req.path.indexOf("/log/tile/") + "/log/".length);
    const tile = parseTilePath(path);
    if (tile === undefined) {
      return refuse(c, { code: "not_found", detail: "This is not the path of a tile; see c2sp.org/tlog-tiles." });
    }
    const { LEDGER_ID: ledgerId } = c.get("settings");
    // What no checkpoint names may still be written anew, and must not be in anyone's cache.
    const released = await releasedSize(c.env.LEDGER, ledgerId, endOf(tile));
    if (released < endOf(tile)) return refuse(c, notYet(tile, released));
    const bytes = await readTileFile(c.env.LEDGER, ledgerId, tile);
    if (bytes === undefined) {
      const detail = `There is no such tile: no checkpoint was of this width. ${widthIn(tile, released)}`;
      return refuse(c, { code: "not_found", detail });
    }
    return answerFile(c, bytes, OCTETS, isFull(tile) ? "immutable" : "partial");
  });
}

function notYet(tile: Tile, released: number): Problem {
  if (released === 0) return NOTHING_PUBLISHED;
  const problem = notYetPublished(released);
  return { ...problem, detail: `This tile is not published yet. ${problem.detail} ${widthIn(tile, released)}` };
}

/** What a tree of so many entries has of the tile. */
function widthIn(tile: Tile, size: number): string {
  const width = tileWidth(tile.kind === "entries" ? 0 : tile.level, tile.index, size);
  return width === 0
    ? "The tree of that checkpoint has nothing of this tile."
    : `A tree of ${size} entries has ${tilePath({ ...tile, width })}.`;
}
