/** POST /operations/alerts/{name}/acknowledge. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { evaluatorOf } from "./evaluator.edge.ts";

const route = createRoute({
  method: "post",
  path: "/operations/alerts/{name}/acknowledge",
  tags: ["operations"],
  summary: "Say that somebody looks at an open alert: it is escalated no further",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: { params: z.object({ name: z.string().max(60) }) },
  responses: {
    200: {
      description: "Acknowledged, now or before.",
      content: { "application/json": { schema: z.object({ alert: z.string(), acknowledged: z.literal(true) }) } },
    },
    ...problemResponses(401, 403, 404, 409, 429, 503),
  },
});

export function registerAcknowledgeAlert(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { name } = c.req.valid("param");
    const refused = await recordOperatorAction(c, { action: "ALERT_ACKNOWLEDGE", target: name });
    if (refused !== undefined) return answerProblem(c, refused);
    const outcome = await evaluatorOf(c.env, c.var.settings).acknowledge(name, c.var.principal.keyId);
    switch (outcome) {
      case "acknowledged":
        return c.json({ alert: name, acknowledged: true as const }, 200);
      case "unknown":
        return answerProblem(c, {
          code: "not_found",
          detail: "There is no alert of this name; GET /operations/alerts lists them.",
        });
      case "not-open":
        return answerProblem(c, {
          code: "conflict",
          detail: "This alert is not open, so there is nothing to acknowledge.",
        });
    }
  });
}
