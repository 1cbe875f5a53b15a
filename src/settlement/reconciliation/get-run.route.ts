/** GET /settlements/reconciliation/runs/:runId. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { findRun } from "./reconciliation.store.ts";
import { NO_RUN, runIdParams, runSchema, runView } from "./view.ts";

const route = createRoute({
  method: "get",
  path: "/settlements/reconciliation/runs/{runId}",
  tags: ["reconciliation"],
  summary: "A run: how far it is and what it found",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "read")] as const,
  request: { params: runIdParams },
  responses: {
    200: { description: "The run.", content: { "application/json": { schema: runSchema } } },
    ...problemResponses(400, 401, 403, 404, 429),
  },
});

export function registerGetRun(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { runId } = c.req.valid("param");
    const run = await findRun(c.env.DB, c.var.settings.LEDGER_ID, runId);
    return run === undefined ? answerProblem(c, NO_RUN) : c.json(runView(run), 200);
  });
}
