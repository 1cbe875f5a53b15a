/** PUT /operations/maintenance and GET /operations/maintenance. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { recordOperatorAction } from "../../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { systemNow } from "../../platform/clock.edge.ts";
import { jsonBody } from "../../platform/json-body.edge.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { forgetMaintenance } from "./maintenance.edge.ts";
import { maintenanceUpdate, readMaintenance } from "./maintenance.store.ts";
import { maintenanceSchema, maintenanceView, putMaintenanceSchema } from "./maintenance-view.ts";

const answer = {
  description: "As it stands now; every isolate knows within a few seconds.",
  content: { "application/json": { schema: maintenanceSchema } },
};
const shared = { path: "/operations/maintenance", tags: ["operations"], security: [{ apiKey: [] }] };

const putRoute = createRoute({
  ...shared,
  method: "put",
  summary: "Refuse what changes something, or take it again",
  description:
    "On: writes of /claims, /workflow and /settlements answer 503 with Retry-After. Reads, deliveries and anchors go on.",
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: { body: { required: true, content: { "application/json": { schema: putMaintenanceSchema } } } },
  responses: { 200: answer, ...problemResponses(400, 401, 403, 413, 415, 429, 503) },
});

const getRoute = createRoute({
  ...shared,
  method: "get",
  summary: "Whether maintenance is under way",
  middleware: [authenticate("operator", "operate")] as const,
  responses: { 200: answer, ...problemResponses(401, 403, 429) },
});

export function registerMaintenance(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(getRoute, async (c) => c.json(maintenanceView(await readMaintenance(c.env.DB)), 200));
  app.openapi(putRoute, async (c) => {
    const given = c.req.valid("json");
    const refused = await recordOperatorAction(
      c,
      given.on ? { action: "MAINTENANCE_ON", reason: given.reason } : { action: "MAINTENANCE_OFF" },
    );
    if (refused !== undefined) return answerProblem(c, refused);
    const now = systemNow();
    const started = given.on
      ? { startedAt: now, until: now + given.minutes * 60_000, reason: given.reason }
      : undefined;
    await maintenanceUpdate(c.env.DB, started, c.var.principal.keyId).run();
    forgetMaintenance(c.env.DB);
    return c.json(maintenanceView(await readMaintenance(c.env.DB)), 200);
  });
}
