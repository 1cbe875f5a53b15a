/** POST /settlements/reconciliation/runs/:runId/continue: the run goes on now, for some seconds. Again does no harm. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { recordOperatorAction } from "../../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { systemNow } from "../../platform/clock.edge.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { makeOperatorGateway } from "../operator/gateway.client.ts";
import { makeReconciler } from "./reconcile.edge.ts";
import { findRun, reviveRun } from "./reconciliation.store.ts";
import { NO_RUN, runIdParams, runSchema, runView } from "./view.ts";

const BUDGET_MS = 5_000;

const route = createRoute({
  method: "post",
  path: "/settlements/reconciliation/runs/{runId}/continue",
  tags: ["reconciliation"],
  summary: "Let a run go on at once; one that failed goes on where it was",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: { params: runIdParams },
  responses: {
    200: { description: "How far it is now.", content: { "application/json": { schema: runSchema } } },
    ...problemResponses(400, 401, 403, 404, 429, 503),
  },
});

export function registerContinueRun(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { runId } = c.req.valid("param");
    const { settings, log } = c.var;
    const found = await findRun(c.env.DB, settings.LEDGER_ID, runId);
    if (found === undefined) return answerProblem(c, NO_RUN);
    // Pushing on what is under way is part of the start; a run that failed is begun again.
    if (found.state === "failed") {
      const refused = await recordOperatorAction(c, { action: "RECONCILIATION_RUN", target: runId });
      if (refused !== undefined) return answerProblem(c, refused);
      await reviveRun(c.env.DB, settings.LEDGER_ID, runId, systemNow());
    }
    await makeReconciler(c.env, settings, log, makeOperatorGateway(c.env, settings, log)).drive(runId, BUDGET_MS);
    const run = await findRun(c.env.DB, settings.LEDGER_ID, runId);
    return run === undefined ? answerProblem(c, NO_RUN) : c.json(runView(run), 200);
  });
}
