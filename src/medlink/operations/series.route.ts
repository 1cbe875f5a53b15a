import { readSeries } from "../../operations/metrics.store.ts";
import { planSeries, seriesAnswerSchema, seriesQuerySchema, workerOfSeries } from "../../operations/series.ts";
import { passOn } from "../bridge/forward.edge.ts";
import { none, ok, refuse, staffOperation } from "../operation.edge.ts";

/** One name space: what core and the relay measured is asked of core, and its answer passed on. */
export const readSeriesOf = staffOperation(
  {
    method: "get",
    path: "/api/operations/series",
    summary: "A metric of any of the three workers over time",
    roles: [],
    params: seriesQuerySchema,
    body: none,
    answers: { 200: { description: "The series", schema: seriesAnswerSchema } },
  },
  async ({ hub, params, request, correlationId }) => {
    const worker = workerOfSeries(params.name);
    if (worker !== undefined && worker !== "medlink-hub") {
      if (!hub.core.operates) {
        return refuse("unavailable", "The hub has no operator key of iTrans: set ITRANS_OPERATOR_API_KEY.");
      }
      const path = `/operations/series${new URL(request.url).search}`;
      return passOn(await hub.core.call({ method: "GET", path, surface: "operator", correlationId }), correlationId);
    }
    const planned = planSeries(params, hub.now());
    if (!planned.ok) return { type: "problem", problem: planned.problem };
    return ok(200, await readSeries(hub.db, planned.plan));
  },
);
