/** DELETE /workflow/requests/:requestId/personal-data. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { answerErased, eraseBodySchema, erasedAnswerSchema, eraseQuery, erasingTenant } from "./erase.edge.ts";
import { findRequestOf, idLookup } from "./id-lookup.edge.ts";
import { requestIdParam } from "./request-params.ts";
import { sequence } from "./sequencer.client.ts";

const route = createRoute({
  method: "delete",
  path: "/workflow/requests/{requestId}/personal-data",
  tags: ["workflow"],
  summary: "Destroy the key to a request's personal data; ledger and proofs stay valid",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", ["submit", "operate"]), jsonBody({ optional: false })] as const,
  request: {
    params: requestIdParam,
    query: eraseQuery,
    body: { required: true, content: { "application/json": { schema: eraseBodySchema } } },
  },
  responses: {
    200: { description: "Erased, now or before.", content: { "application/json": { schema: erasedAnswerSchema } } },
    ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503),
  },
});

export function registerEraseRequest(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal, correlationId } = c.var;
    const whose = erasingTenant(c, c.req.valid("query").tenantId);
    if (whose.type === "problem") return answerProblem(c, whose.problem);
    const { tenantId } = whose;
    const found = await findRequestOf(c, tenantId, c.req.valid("param").requestId);
    if (found === undefined) {
      return answerProblem(c, { code: "not_found", detail: "There is no request of this id in this tenant." });
    }
    const { requestId } = found.request;
    const sequenced = await sequence(c.env, settings.LEDGER_ID, {
      type: "EraseRequest",
      tenantId,
      requestId,
      lookup: (await idLookup(c))("request", tenantId, requestId),
      actor: principal.keyId,
      reason: c.req.valid("json").reason,
      correlationId,
    });
    if (sequenced.type === "problem") return answerProblem(c, sequenced.problem);
    const { type, state } = sequenced.result;
    if (state.kind !== "request" || state.request.erasedSeq === undefined) throw new Error("an erased request says so");
    const { requestIdHash, erasedSeq } = state.request;
    return c.json(await answerErased(c, requestIdHash, erasedSeq, type === "committed"), 200);
  });
}
