/** GET /operations/series. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { readSeries } from "./metrics.store.ts";
import { planSeries, seriesAnswerSchema, seriesQuerySchema } from "./series.ts";

const route = createRoute({
  method: "get",
  path: "/operations/series",
  tags: ["operations"],
  summary: "A metric over time: increases of a counter, readings of a gauge, quantiles of a histogram",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: { query: seriesQuerySchema },
  responses: {
    200: { description: "The series.", content: { "application/json": { schema: seriesAnswerSchema } } },
    ...problemResponses(400, 401, 403, 404, 429),
  },
});

export function registerSeries(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const planned = planSeries(c.req.valid("query"), systemNow());
    if (!planned.ok) return answerProblem(c, planned.problem);
    return c.json(await readSeries(c.env.DB, planned.plan), 200);
  });
}
