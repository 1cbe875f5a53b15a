import { readTotals } from "../../operations/metrics.store.ts";
import { metricsOf } from "../../operations/metrics.ts";
import { METRICS_CONTENT_TYPE, renderMetrics } from "../../operations/metrics-text.ts";
import { SCRAPE_REFUSED } from "../../operations/scrape-token.ts";
import { reasonOf } from "../../platform/log.ts";
import { none, openOperation, refuse } from "../operation.edge.ts";
import { readHubGauges } from "./hub-readings.store.ts";
import { countLifecycle, MAX_LOOKS } from "./record-metrics.cron.ts";

export const readMetrics = openOperation(
  {
    method: "get",
    path: "/metrics",
    summary: "Metrics as Prometheus text, for METRICS_SCRAPE_TOKEN as the Bearer token",
    params: none,
    body: none,
    answers: { 200: { description: "Text format 0.0.4" } },
  },
  async ({ hub, request, correlationId }) => {
    if (!hub.mayScrape(request.headers.get("authorization"))) {
      return refuse(SCRAPE_REFUSED.code, SCRAPE_REFUSED.detail);
    }
    const names = metricsOf("medlink-hub");
    try {
      // What is scraped is judged at once: a submission that failed must not wait for the minute's cron to be counted.
      for (let look = 0; look < MAX_LOOKS; look++) if (!(await countLifecycle(hub.db, hub.now()))) break;
      await hub.flushMetrics();
      const [totals, gauges] = await Promise.all([readTotals(hub.db, names), readHubGauges(hub.db, hub.now())]);
      const text = renderMetrics(names, [...totals, ...gauges]);
      return { type: "raw", response: new Response(text, { headers: { "content-type": METRICS_CONTENT_TYPE } }) };
    } catch (thrown) {
      hub.log("error", "metrics.failed", { correlationId, reason: reasonOf(thrown) });
      return refuse("unavailable", "The database does not answer.");
    }
  },
);
