/** GET /ledger/proof/inclusion?seq=&size=. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { toHex } from "../platform/encoding.ts";
import { problemResponses } from "../platform/openapi.ts";
import { hexHashes } from "./bundle.ts";
import { mayReadLog } from "./log-access.edge.ts";
import { proveInclusion, rootFromTiles } from "./proof.ts";
import { hashHex, wholeNumber } from "./proof-schema.ts";
import { readCommittedEntry } from "./publish.store.ts";
import { NOTHING_PUBLISHED, notYetPublished, readPublished } from "./published.edge.ts";

const answerSchema = z
  .object({
    ledgerId: z.string(),
    seq: z.number().int(),
    size: z.number().int(),
    entryHash: hashHex,
    rootHash: hashHex.openapi({ description: "Of the tree of `size` entries." }),
    hashes: z.array(hashHex).openapi({ description: "From the leaf's sibling up (RFC 6962 section 2.1.1)." }),
  })
  .openapi("InclusionProof");

const route = createRoute({
  method: "get",
  path: "/ledger/proof/inclusion",
  tags: ["ledger"],
  summary: "That an entry is in the tree of some size; the newest checkpoint's without `size`",
  middleware: [mayReadLog()] as const,
  request: { query: z.object({ seq: wholeNumber(), size: wholeNumber().optional() }) },
  responses: {
    200: { description: "The proof.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 404),
  },
});

export function registerInclusionProof(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings } = c.var;
    const { seq, size: asked } = c.req.valid("query");
    if (asked !== undefined && seq >= asked) {
      return answerProblem(c, { code: "invalid_query", detail: `Entry ${seq} is not in a tree of ${asked} entries.` });
    }
    const published = await readPublished(c.env, settings);
    if (published === undefined) return answerProblem(c, NOTHING_PUBLISHED);
    const treeSize = published.checkpoint.size;
    const size = asked ?? treeSize;
    if (size > treeSize || seq >= size) return answerProblem(c, notYetPublished(treeSize));
    const [entry, hashes, root] = await Promise.all([
      readCommittedEntry(c.env.DB, settings.LEDGER_ID, seq),
      proveInclusion(seq, size, treeSize, published.readTile),
      rootFromTiles(size, treeSize, published.readTile),
    ]);
    if (entry === undefined) throw new Error(`entry ${seq} is published and not in the database`);
    return c.json(
      {
        ledgerId: settings.LEDGER_ID,
        seq,
        size,
        entryHash: entry.entryHash,
        rootHash: toHex(root),
        hashes: hexHashes(hashes),
      },
      200,
    );
  });
}
