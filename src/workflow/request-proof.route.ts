/** GET /workflow/requests/:requestId/proof. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerBundle, bundleResponses } from "../ledger/answer-bundle.edge.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { findRequestOf } from "./id-lookup.edge.ts";
import { chooseSeq, proofQuery } from "./proof-query.ts";
import { subjectSeqs } from "./request.store.ts";
import { requestIdParam } from "./request-params.ts";

const route = createRoute({
  method: "get",
  path: "/workflow/requests/{requestId}/proof",
  tags: ["workflow"],
  summary: "The offline proof that a request's entry is in the ledger: its newest one, or the one of `seq`",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "read")] as const,
  request: { params: requestIdParam, query: proofQuery },
  responses: bundleResponses,
});

export function registerRequestProof(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal } = c.var;
    const found = await findRequestOf(c, principal.tenantId, c.req.valid("param").requestId);
    if (found === undefined) {
      return answerProblem(c, { code: "not_found", detail: "There is no request of this id in your tenant." });
    }
    const seqs = await subjectSeqs(c.env.DB, settings.LEDGER_ID, found.request.requestIdHash);
    const seq = chooseSeq(seqs, c.req.valid("query").seq);
    if (seq === undefined)
      return answerProblem(c, { code: "not_found", detail: "This request has no entry of that seq." });
    return answerBundle(c, seq);
  });
}
