/** DELETE /claims/:claimId/personal-data. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { answerErased, eraseBodySchema, erasedAnswerSchema, eraseQuery, erasingTenant } from "./erase.edge.ts";
import { findClaimOf, idLookup } from "./id-lookup.edge.ts";
import { claimIdParam } from "./request-params.ts";
import { sequence } from "./sequencer.client.ts";

const route = createRoute({
  method: "delete",
  path: "/claims/{claimId}/personal-data",
  tags: ["claims"],
  summary: "Destroy the key to a claim's personal data; ledger and proofs stay valid",
  security: [{ apiKey: [] }],
  middleware: [authenticate("claims", ["submit", "operate"]), jsonBody({ optional: false })] as const,
  request: {
    params: claimIdParam,
    query: eraseQuery,
    body: { required: true, content: { "application/json": { schema: eraseBodySchema } } },
  },
  responses: {
    200: { description: "Erased, now or before.", content: { "application/json": { schema: erasedAnswerSchema } } },
    ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503),
  },
});

export function registerEraseClaim(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal, correlationId } = c.var;
    const whose = erasingTenant(c, c.req.valid("query").tenantId);
    if (whose.type === "problem") return answerProblem(c, whose.problem);
    const { tenantId } = whose;
    const found = await findClaimOf(c, tenantId, c.req.valid("param").claimId);
    if (found === undefined) {
      return answerProblem(c, { code: "not_found", detail: "There is no claim of this id in this tenant." });
    }
    const { claimId } = found.claim;
    const sequenced = await sequence(c.env, settings.LEDGER_ID, {
      type: "EraseClaim",
      tenantId,
      claimId,
      lookup: (await idLookup(c))("claim", tenantId, claimId),
      actor: principal.keyId,
      reason: c.req.valid("json").reason,
      correlationId,
    });
    if (sequenced.type === "problem") return answerProblem(c, sequenced.problem);
    const { type, state } = sequenced.result;
    if (state.kind !== "claim" || state.claim.erasedSeq === undefined) throw new Error("an erased claim says so");
    const { claimIdHash, erasedSeq } = state.claim;
    return c.json(await answerErased(c, claimIdHash, erasedSeq, type === "committed"), 200);
  });
}
