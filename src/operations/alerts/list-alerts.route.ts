/** GET /operations/alerts. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../../core/app.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { alertsSchema, alertsView } from "./alert-view.ts";
import { evaluatorOf } from "./evaluator.edge.ts";

const route = createRoute({
  method: "get",
  path: "/operations/alerts",
  tags: ["operations"],
  summary: "Every alert and its state, silences, incidents and what was sent",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  responses: {
    200: { description: "As of the last evaluation.", content: { "application/json": { schema: alertsSchema } } },
    ...problemResponses(401, 403, 429),
  },
});

export function registerListAlerts(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings } = c.var;
    return c.json(alertsView(await evaluatorOf(c.env, settings).report(), settings.ALERT_RUNBOOK_URL), 200);
  });
}
