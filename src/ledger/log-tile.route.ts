/** GET /ledger/log/tile/...: tiles of hashes and, under tile/entries, bundles of entries. */
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { isFull, parseTilePath } from "./layout.ts";
import { readTileFile } from "./log.store.ts";
import { answerFile, fileResponses, onLog, refuse } from "./log-access.edge.ts";

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
    const bytes = await readTileFile(c.env.LEDGER, c.get("settings").LEDGER_ID, tile);
    if (bytes === undefined) {
      const detail = "There is no such tile. Read the checkpoint first: only tiles of its tree are there.";
      return refuse(c, { code: "not_found", detail });
    }
    return answerFile(c, bytes, OCTETS, isFull(tile) ? "immutable" : "partial");
  });
}
