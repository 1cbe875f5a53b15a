/** DELETE /tenants/:tenantId: its keys open nothing any more; what it recorded stays. Again changes nothing. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { closeTenant, tenantState } from "./api-keys.store.ts";
import { authenticate, forgetKeys } from "./authenticate.edge.ts";
import { DEFAULT_TENANT } from "./principal.ts";

const route = createRoute({
  method: "delete",
  path: "/tenants/{tenantId}",
  tags: ["tenants"],
  summary: "Close a tenant, for good",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: { params: z.object({ tenantId: z.string() }) },
  responses: {
    204: { description: "Closed." },
    ...problemResponses(401, 403, 404, 409, 429, 503),
  },
});

export function registerCloseTenant(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { tenantId } = c.req.valid("param");
    if (tenantId === DEFAULT_TENANT) {
      const detail = "The default tenant's keys are those of the settings; it is not closed.";
      return answerProblem(c, { code: "conflict", detail });
    }
    const state = await tenantState(c.env.DB, tenantId);
    if (state === "unknown") return answerProblem(c, { code: "not_found", detail: "There is no tenant of this id." });
    if (state === "open") {
      const refused = await recordOperatorAction(c, { action: "TENANT_CLOSE", target: tenantId });
      if (refused !== undefined) return answerProblem(c, refused);
      await closeTenant(c.env.DB, tenantId, c.var.principal.keyId, systemNow());
      forgetKeys();
    }
    return c.body(null, 204);
  });
}
