/** GET /tenants/:tenantId/keys. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { listApiKeys, tenantState } from "./api-keys.store.ts";
import { authenticate } from "./authenticate.edge.ts";

const MAX_LISTED = 1_000;

const moment = z.number().int().nullable();

const answerSchema = z
  .object({
    keys: z
      .array(
        z.object({
          keyId: z.string(),
          surface: z.string(),
          scopes: z.array(z.string()).readonly(),
          insurerAddress: z.string().nullable(),
          requestsPerMinute: z.number().int().nullable(),
          label: z.string().nullable(),
          createdAt: z.number().int().openapi({ description: "Epoch ms." }),
          createdBy: z.string().nullable(),
          lastUsedAt: moment.openapi({ description: "To within five minutes; null: never." }),
          revokedAt: moment,
          revokedBy: z.string().nullable(),
        }),
      )
      .readonly(),
  })
  .openapi("ApiKeys");

const route = createRoute({
  method: "get",
  path: "/tenants/{tenantId}/keys",
  tags: ["tenants"],
  summary: "A tenant's API keys, without the keys: only their hashes are kept",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: { params: z.object({ tenantId: z.string() }) },
  responses: {
    200: { description: "The keys, newest first.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(401, 403, 404, 429),
  },
});

export function registerListApiKeys(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { tenantId } = c.req.valid("param");
    if ((await tenantState(c.env.DB, tenantId)) === "unknown") {
      return answerProblem(c, { code: "not_found", detail: "There is no tenant of this id." });
    }
    return c.json({ keys: await listApiKeys(c.env.DB, tenantId, MAX_LISTED) }, 200);
  });
}
