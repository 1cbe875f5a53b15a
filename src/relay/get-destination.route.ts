/** GET /relay/destinations/:destinationId. Secrets and header values are never shown. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { findDestination } from "./destinations.store.ts";
import { NO_DESTINATION } from "./no-destination.ts";
import { destinationIdParams, destinationSchema, destinationView } from "./relay-view.ts";
import { tenantInView } from "./tenant-in-view.ts";

const route = createRoute({
  method: "get",
  path: "/relay/destinations/{destinationId}",
  tags: ["relay"],
  summary: "One destination, with its state, its secrets' ages and its last ping",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate")] as const,
  request: { params: destinationIdParams },
  responses: {
    200: { description: "The destination.", content: { "application/json": { schema: destinationSchema } } },
    ...problemResponses(400, 401, 403, 404, 429),
  },
});

export function registerGetDestination(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { destinationId } = c.req.valid("param");
    const tenantId = tenantInView(c.var.principal);
    const destination = await findDestination(c.env.DB, destinationId, tenantId, systemNow());
    return destination === undefined ? answerProblem(c, NO_DESTINATION) : c.json(destinationView(destination), 200);
  });
}
