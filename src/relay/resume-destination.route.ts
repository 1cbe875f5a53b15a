/** POST /relay/destinations/:destinationId/resume. Again changes nothing. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { findDestination } from "./destinations.store.ts";
import { NO_DESTINATION } from "./no-destination.ts";
import { setDestinationState } from "./pauses.store.ts";
import { destinationIdParams, destinationSchema, destinationView } from "./relay-view.ts";
import { tenantInView } from "./tenant-in-view.ts";

const route = createRoute({
  method: "post",
  path: "/relay/destinations/{destinationId}/resume",
  tags: ["relay"],
  summary: "Resume one destination; what waited goes in order, at its rate",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate")] as const,
  request: { params: destinationIdParams },
  responses: {
    200: { description: "Resumed.", content: { "application/json": { schema: destinationSchema } } },
    ...problemResponses(400, 401, 403, 404, 429, 503),
  },
});

export function registerResumeDestination(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { destinationId } = c.req.valid("param");
    const tenantId = tenantInView(c.var.principal);
    const now = systemNow();
    if ((await findDestination(c.env.DB, destinationId, tenantId, now)) === undefined) {
      return answerProblem(c, NO_DESTINATION);
    }
    const refused = await recordOperatorAction(c, { action: "DESTINATION_RESUME", target: destinationId });
    if (refused !== undefined) return answerProblem(c, refused);
    await setDestinationState(c.env.DB, destinationId, "active", now);
    await c.env.RELAY_QUEUE.send({ outboxIds: [] });
    c.var.log("info", "relay.destination_resumed", { destinationId, correlationId: c.var.correlationId });
    const destination = await findDestination(c.env.DB, destinationId, tenantId, now);
    return destination === undefined ? answerProblem(c, NO_DESTINATION) : c.json(destinationView(destination), 200);
  });
}
