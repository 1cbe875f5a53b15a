/** GET /claims/:claimId/proof. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerBundle, bundleResponses } from "../ledger/answer-bundle.edge.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { findClaimOf } from "./id-lookup.edge.ts";
import { chooseSeq, proofQuery } from "./proof-query.ts";
import { subjectSeqs } from "./request.store.ts";
import { claimIdParam } from "./request-params.ts";

const route = createRoute({
  method: "get",
  path: "/claims/{claimId}/proof",
  tags: ["claims"],
  summary: "The offline proof that a claim's entry is in the ledger: its newest one, or the one of `seq`",
  security: [{ apiKey: [] }],
  middleware: [authenticate("claims", "read")] as const,
  request: { params: claimIdParam, query: proofQuery },
  responses: bundleResponses,
});

export function registerClaimProof(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal } = c.var;
    const found = await findClaimOf(c, principal.tenantId, c.req.valid("param").claimId);
    if (found === undefined) {
      return answerProblem(c, { code: "not_found", detail: "There is no claim of this id in your tenant." });
    }
    const seqs = await subjectSeqs(c.env.DB, settings.LEDGER_ID, found.claim.claimIdHash);
    const seq = chooseSeq(seqs, c.req.valid("query").seq);
    if (seq === undefined)
      return answerProblem(c, { code: "not_found", detail: "This claim has no entry of that seq." });
    return answerBundle(c, seq);
  });
}
