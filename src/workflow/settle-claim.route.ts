/** POST /claims/:claimId/settle: clients send an empty body that says it is JSON. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { settleClaim } from "../settlement/create-settlement.edge.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { claimAnswerSchema } from "./claim-view.ts";
import { claimIdParam } from "./request-params.ts";

const route = createRoute({
  method: "post",
  path: "/claims/{claimId}/settle",
  tags: ["claims"],
  summary: "Ask for the money of a final claim",
  security: [{ apiKey: [] }],
  middleware: [authenticate("claims", "submit"), jsonBody({ optional: true })] as const,
  request: { params: claimIdParam },
  responses: {
    200: {
      description: "Asked for, now or before; the settlement is PENDING until the operator confirms.",
      content: { "application/json": { schema: claimAnswerSchema } },
    },
    ...problemResponses(400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 503),
  },
});

export function registerSettleClaim(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const result = await settleClaim(c, c.req.valid("param").claimId);
    return result.type === "problem" ? answerProblem(c, result.problem) : c.json(result.answer, 200);
  });
}
