/** GET /metrics of core. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { reasonOf } from "../platform/log.ts";
import { problemContent } from "../platform/openapi.ts";
import { problemResponse } from "../platform/problem.ts";
import { flushNow, metricSink } from "./meter.edge.ts";
import { readTotals } from "./metrics.store.ts";
import { metricsOf } from "./metrics.ts";
import { METRICS_CONTENT_TYPE, renderMetrics } from "./metrics-text.ts";
import { coreGauges } from "./record-metrics.cron.ts";
import { mayScrape, SCRAPE_REFUSED } from "./scrape-token.ts";

const route = createRoute({
  method: "get",
  path: "/metrics",
  tags: ["operations"],
  summary: "Metrics as Prometheus text, for METRICS_SCRAPE_TOKEN as the Bearer token",
  responses: {
    200: { description: "Text format 0.0.4.", content: { "text/plain": { schema: { type: "string" } } } },
    401: { description: "The token is missing or wrong.", content: problemContent },
    503: { description: "The database is out.", content: problemContent },
  },
});

export function registerMetrics(app: OpenAPIHono<CoreAppEnv>): void {
  app.openAPIRegistry.registerPath(route);
  app.get(route.path, async (c) => {
    const correlationId = c.get("correlationId");
    if (!mayScrape(c.req.header("authorization"), { ...c.env })) return problemResponse(SCRAPE_REFUSED, correlationId);
    const names = metricsOf("itrans-core");
    try {
      await flushNow("itrans-core", c.env, metricSink(c.env));
      const [totals, gauges] = await Promise.all([
        readTotals(c.env.DB, names),
        coreGauges(c.env, c.var.settings, systemNow()),
      ]);
      return c.body(renderMetrics(names, [...totals, ...gauges]), 200, { "content-type": METRICS_CONTENT_TYPE });
    } catch (error) {
      c.var.log("error", "metrics.failed", { correlationId, reason: reasonOf(error) });
      return problemResponse({ code: "unavailable", detail: "The database does not answer." }, correlationId);
    }
  });
}
