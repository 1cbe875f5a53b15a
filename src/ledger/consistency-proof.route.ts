/** GET /ledger/proof/consistency?from=&to=. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { toHex } from "../platform/encoding.ts";
import { problemResponses } from "../platform/openapi.ts";
import { hexHashes } from "./bundle.ts";
import { mayReadLog } from "./log-access.edge.ts";
import { proveConsistency, rootFromTiles } from "./proof.ts";
import { hashHex, wholeNumber } from "./proof-schema.ts";
import { NOTHING_PUBLISHED, notYetPublished, readPublished } from "./published.edge.ts";

const answerSchema = z
  .object({
    ledgerId: z.string(),
    from: z.number().int(),
    to: z.number().int(),
    fromRootHash: hashHex,
    toRootHash: hashHex,
    hashes: z.array(hashHex).openapi({ description: "RFC 6962 section 2.1.2; empty when both sizes are the same." }),
  })
  .openapi("ConsistencyProof");

const route = createRoute({
  method: "get",
  path: "/ledger/proof/consistency",
  tags: ["ledger"],
  summary: "That the tree of one size extends that of a smaller one; up to the newest checkpoint's without `to`",
  middleware: [mayReadLog()] as const,
  request: { query: z.object({ from: wholeNumber(1), to: wholeNumber().optional() }) },
  responses: {
    200: { description: "The proof.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 404),
  },
});

export function registerConsistencyProof(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings } = c.var;
    const { from, to: asked } = c.req.valid("query");
    if (asked !== undefined && from > asked) {
      return answerProblem(c, { code: "invalid_query", detail: "`from` is the smaller size; it is larger than `to`." });
    }
    const published = await readPublished(c.env, settings);
    if (published === undefined) return answerProblem(c, NOTHING_PUBLISHED);
    const { checkpoint, readTile } = published;
    const to = asked ?? checkpoint.size;
    if (to > checkpoint.size || from > to) return answerProblem(c, notYetPublished(checkpoint.size));
    const [hashes, fromRoot, toRoot] = await Promise.all([
      proveConsistency(from, to, checkpoint.size, readTile),
      rootFromTiles(from, checkpoint.size, readTile),
      rootFromTiles(to, checkpoint.size, readTile),
    ]);
    return c.json(
      {
        ledgerId: settings.LEDGER_ID,
        from,
        to,
        fromRootHash: toHex(fromRoot),
        toRootHash: toHex(toRoot),
        hashes: hexHashes(hashes),
      },
      200,
    );
  });
}
