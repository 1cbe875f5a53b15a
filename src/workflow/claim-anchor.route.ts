/** GET /claims/:claimId/anchor/status. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { anchorViewSchema } from "../anchor/anchor-schema.ts";
import { entryAnchor } from "../anchor/anchor-status.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { findClaimOf } from "./id-lookup.edge.ts";
import { subjectSeqs } from "./request.store.ts";
import { claimIdParam } from "./request-params.ts";

const answerSchema = anchorViewSchema
  .extend({ claimId: z.string(), claimIdHash: z.string(), seq: z.number().int(), correlationId: z.string() })
  .openapi("ClaimAnchor");

const route = createRoute({
  method: "get",
  path: "/claims/{claimId}/anchor/status",
  tags: ["claims"],
  summary: "Whether the chain holds a claim's newest entry, and where",
  security: [{ apiKey: [] }],
  middleware: [authenticate("claims", "read")] as const,
  request: { params: claimIdParam },
  responses: {
    200: {
      description: "The anchor, or why there is none yet.",
      content: { "application/json": { schema: answerSchema } },
    },
    ...problemResponses(401, 403, 404, 429),
  },
});

export function registerClaimAnchor(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal, correlationId } = c.var;
    const found = await findClaimOf(c, principal.tenantId, c.req.valid("param").claimId);
    if (found === undefined) {
      return answerProblem(c, { code: "not_found", detail: "There is no claim of this id in your tenant." });
    }
    const { claimId, claimIdHash, createdSeq } = found.claim;
    const [seq = createdSeq] = await subjectSeqs(c.env.DB, settings.LEDGER_ID, claimIdHash);
    const anchor = await entryAnchor(c.env, settings, seq);
    return c.json({ claimId, claimIdHash, seq, ...anchor, correlationId }, 200);
  });
}
