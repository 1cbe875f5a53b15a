/** GET /settlements/reconciliation/runs/:runId/report.csv: every item of the run's days, as it stood when the run ended. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { readReport } from "./reconcile.edge.ts";
import { findRun } from "./reconciliation.store.ts";
import { NO_RUN, runIdParams } from "./view.ts";

const route = createRoute({
  method: "get",
  path: "/settlements/reconciliation/runs/{runId}/report.csv",
  tags: ["reconciliation"],
  summary: "The report of a run that has ended, as CSV",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "read")] as const,
  request: { params: runIdParams },
  responses: {
    200: { description: "A line for each item.", content: { "text/csv": { schema: z.string() } } },
    ...problemResponses(400, 401, 403, 404, 409, 429),
  },
});

export function registerGetReport(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { runId } = c.req.valid("param");
    const ledgerId = c.var.settings.LEDGER_ID;
    const run = await findRun(c.env.DB, ledgerId, runId);
    if (run === undefined) return answerProblem(c, NO_RUN);
    const report = await readReport(c.env, ledgerId, runId);
    if (report === undefined) return answerProblem(c, { code: "conflict", detail: "This run has not ended yet." });
    return c.body(report, 200, { "content-type": "text/csv; charset=utf-8" });
  });
}
