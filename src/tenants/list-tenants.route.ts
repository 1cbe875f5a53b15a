/** GET /tenants. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { problemResponses } from "../platform/openapi.ts";
import { listTenants } from "./api-keys.store.ts";
import { authenticate } from "./authenticate.edge.ts";

const answerSchema = z
  .object({
    tenants: z
      .array(
        z.object({
          tenantId: z.string(),
          name: z.string(),
          createdAt: z.number().int().openapi({ description: "Epoch ms." }),
          closedAt: z.number().int().nullable(),
          liveKeys: z.number().int().openapi({ description: "Keys that are not revoked." }),
        }),
      )
      .readonly(),
    after: z.string().nullable().openapi({ description: "Ask with this for the next page; null: there is none." }),
  })
  .openapi("Tenants");

const route = createRoute({
  method: "get",
  path: "/tenants",
  tags: ["tenants"],
  summary: "Every tenant",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: {
    query: z.object({
      after: z.string().max(64).default(""),
      limit: z.coerce.number().int().min(1).max(500).default(100),
    }),
  },
  responses: {
    200: { description: "The tenants, by id.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 429),
  },
});

export function registerListTenants(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { after, limit } = c.req.valid("query");
    const tenants = await listTenants(c.env.DB, after, limit);
    const last = tenants.length === limit ? tenants.at(-1) : undefined;
    return c.json({ tenants, after: last?.tenantId ?? null }, 200);
  });
}
