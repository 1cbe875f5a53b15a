/** POST /operations/alerts/test. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { notificationSchema, notificationView } from "./alert-view.ts";
import { evaluatorOf } from "./evaluator.edge.ts";

const route = createRoute({
  method: "post",
  path: "/operations/alerts/test",
  tags: ["operations"],
  summary: "Send a test, and its end, to every channel",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  responses: {
    200: {
      description: "What became of each message.",
      content: { "application/json": { schema: z.object({ notifications: z.array(notificationSchema) }) } },
    },
    ...problemResponses(401, 403, 429, 503),
  },
});

export function registerTestAlerts(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const refused = await recordOperatorAction(c, { action: "ALERT_TEST" });
    if (refused !== undefined) return answerProblem(c, refused);
    const sent = await evaluatorOf(c.env, c.var.settings).sendTest();
    return c.json({ notifications: sent.map(notificationView) }, 200);
  });
}
