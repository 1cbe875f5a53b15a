/**
 * POST /relay/destinations/:destinationId/ping. The relay makes the call, from where deliveries are made, so the answer is waited
 * for here. Anything that answers is reachable.
 */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { newUuid, systemNow } from "../platform/clock.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { findDestination } from "./destinations.store.ts";
import { NO_DESTINATION } from "./no-destination.ts";
import { requestPing } from "./pings.store.ts";
import { destinationIdParams, destinationSchema, destinationView } from "./relay-view.ts";
import { tenantInView } from "./tenant-in-view.ts";

const LOOK_EVERY_MS = 200;
/** Beyond the destination's timeout: the queue, and the relay's start. */
const WAIT_BEYOND_TIMEOUT_MS = 3_000;

const content = { "application/json": { schema: destinationSchema } };

const route = createRoute({
  method: "post",
  path: "/relay/destinations/{destinationId}/ping",
  tags: ["relay"],
  summary: "Ask whether a destination answers at all: HEAD, or a signed PING if it asked for those",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate")] as const,
  request: { params: destinationIdParams },
  responses: {
    200: { description: "It is known whether it answers: `lastPing`.", content },
    202: { description: "Not known yet: the relay is busy or away. Look again.", content },
    ...problemResponses(400, 401, 403, 404, 429, 503),
  },
});

export function registerPingDestination(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { destinationId } = c.req.valid("param");
    const tenantId = tenantInView(c.var.principal);
    const askedAt = systemNow();
    const look = () => findDestination(c.env.DB, destinationId, tenantId, systemNow());
    let destination = await look();
    if (destination === undefined) return answerProblem(c, NO_DESTINATION);
    const refused = await recordOperatorAction(c, { action: "DESTINATION_PING", target: destinationId });
    if (refused !== undefined) return answerProblem(c, refused);
    const pingId = newUuid();
    await requestPing(c.env.DB, destinationId, pingId, askedAt);
    await c.env.RELAY_QUEUE.send({ outboxIds: [], ping: { destinationId, pingId } });
    const rounds = Math.ceil((destination.timeoutMs + WAIT_BEYOND_TIMEOUT_MS) / LOOK_EVERY_MS);
    for (let round = 0; round < rounds; round++) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      destination = await look();
      if (destination === undefined) return answerProblem(c, NO_DESTINATION);
      if (destination.lastPing?.answeredAt != null) return c.json(destinationView(destination), 200);
    }
    return c.json(destinationView(destination), 202);
  });
}
