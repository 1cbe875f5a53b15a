/** GET /relay/destinations. Secrets are never shown. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { listDestinations } from "./destinations.store.ts";
import { destinationSchema, destinationView } from "./relay-view.ts";
import { tenantInView } from "./tenant-in-view.ts";

const answerSchema = z.object({ destinations: z.array(destinationSchema).readonly() }).openapi("Destinations");

const route = createRoute({
  method: "get",
  path: "/relay/destinations",
  tags: ["relay"],
  summary: "Where webhooks go",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate")] as const,
  responses: {
    200: { description: "The destinations.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(401, 403, 429),
  },
});

export function registerListDestinations(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const destinations = await listDestinations(c.env.DB, tenantInView(c.var.principal), systemNow());
    return c.json({ destinations: destinations.map(destinationView) }, 200);
  });
}
