/** POST /claims/:claimId/finalize: clients send an empty body that says it is JSON. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { answerClaimCommand } from "./claim-command.edge.ts";
import { claimAnswerSchema } from "./claim-view.ts";
import { knownIdLookup } from "./id-lookup.edge.ts";
import { claimIdParam } from "./request-params.ts";

const route = createRoute({
  method: "post",
  path: "/claims/{claimId}/finalize",
  tags: ["claims"],
  summary: "Close a claim to changes",
  security: [{ apiKey: [] }],
  middleware: [authenticate("claims", "submit"), jsonBody({ optional: true })] as const,
  request: { params: claimIdParam },
  responses: {
    200: { description: "Final, now or before.", content: { "application/json": { schema: claimAnswerSchema } } },
    ...problemResponses(400, 401, 403, 404, 409, 410, 413, 415, 429, 503),
  },
});

export function registerFinalizeClaim(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { principal, correlationId } = c.var;
    const { claimId } = c.req.valid("param");
    const result = await answerClaimCommand(c, {
      type: "FinalizeClaim",
      tenantId: principal.tenantId,
      claimId,
      lookup: (await knownIdLookup(c))?.("claim", principal.tenantId, claimId),
      actor: principal.keyId,
      correlationId,
    });
    return result.type === "problem" ? answerProblem(c, result.problem) : c.json(result.answer, 200);
  });
}
