/** POST /settlements/reconciliation/runs: compares any days with the operator's list. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { newUuid, systemNow } from "../../platform/clock.edge.ts";
import { jsonBody } from "../../platform/json-body.edge.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { makeOperatorGateway, operatorFault } from "../operator/gateway.client.ts";
import { rangeFault } from "./days.ts";
import { makeReconciler } from "./reconcile.edge.ts";
import { findRun } from "./reconciliation.store.ts";
import { daySchema, NO_RUN, runSchema, runView } from "./view.ts";

const bodySchema = z
  .strictObject({ from: daySchema, to: daySchema.openapi({ description: "Included." }) })
  .openapi("StartReconciliation");

const route = createRoute({
  method: "post",
  path: "/settlements/reconciliation/runs",
  tags: ["reconciliation"],
  summary: "Compare our settlements of some days with the operator's list",
  description: "The run goes on by itself, a little each minute; `/continue` makes it go on at once.",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: { body: { required: true, content: { "application/json": { schema: bodySchema } } } },
  responses: {
    202: { description: "Begun.", content: { "application/json": { schema: runSchema } } },
    ...problemResponses(400, 401, 403, 413, 415, 429, 503),
  },
});

export function registerStartRun(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { from, to } = c.req.valid("json");
    const { settings, log, principal, correlationId } = c.var;
    const fault = rangeFault(from, to, systemNow());
    if (fault !== undefined) {
      const issues = [{ path: "from", message: fault }];
      return answerProblem(c, { code: "invalid_body", detail: `These days can not be compared: ${fault}.`, issues });
    }
    const unset = operatorFault(c.env, settings);
    if (unset !== undefined) return answerProblem(c, { code: "unavailable", detail: unset });
    const runId = `custom-${from}-${to}-${newUuid().slice(0, 8)}`;
    const refused = await recordOperatorAction(c, { action: "RECONCILIATION_RUN", target: runId });
    if (refused !== undefined) return answerProblem(c, refused);
    const reconciler = makeReconciler(c.env, settings, log, makeOperatorGateway(c.env, settings, log));
    await reconciler.start({ runId, kind: "custom", fromDay: from, toDay: to, startedBy: principal.keyId });
    log("info", "reconciliation.started", { correlationId, jobId: runId });
    const run = await findRun(c.env.DB, settings.LEDGER_ID, runId);
    return run === undefined ? answerProblem(c, NO_RUN) : c.json(runView(run), 202);
  });
}
