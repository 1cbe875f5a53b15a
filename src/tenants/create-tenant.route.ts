/** POST /tenants. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { insertTenant, tenantState } from "./api-keys.store.ts";
import { authenticate } from "./authenticate.edge.ts";

const tenantSchema = z
  .object({ tenantId: z.string().regex(/^[a-z0-9-]{1,64}$/), name: z.string().min(1).max(200) })
  .openapi("Tenant");

const route = createRoute({
  method: "post",
  path: "/tenants",
  tags: ["tenants"],
  summary: "Make a tenant",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: { body: { required: true, content: { "application/json": { schema: tenantSchema } } } },
  responses: {
    201: { description: "Made.", content: { "application/json": { schema: tenantSchema } } },
    ...problemResponses(400, 401, 403, 409, 413, 415, 429, 503),
  },
});

export function registerCreateTenant(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { tenantId, name } = c.req.valid("json");
    const taken = () => answerProblem(c, { code: "conflict", detail: "A tenant of this id exists." });
    if ((await tenantState(c.env.DB, tenantId)) !== "unknown") return taken();
    const refused = await recordOperatorAction(c, { action: "TENANT_CREATE", target: tenantId });
    if (refused !== undefined) return answerProblem(c, refused);
    return (await insertTenant(c.env.DB, tenantId, name, systemNow())) ? c.json({ tenantId, name }, 201) : taken();
  });
}
