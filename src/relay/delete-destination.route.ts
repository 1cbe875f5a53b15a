/** DELETE /relay/destinations/:destinationId. What is on its way is settled first: delivered, or discarded with a reason. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { deleteDestination, findDestination } from "./destinations.store.ts";
import { MEDLINK_DESTINATION_ID } from "./destinations.ts";
import { NO_DESTINATION } from "./no-destination.ts";
import { destinationIdParams } from "./relay-view.ts";
import { tenantInView } from "./tenant-in-view.ts";

const route = createRoute({
  method: "delete",
  path: "/relay/destinations/{destinationId}",
  tags: ["relay"],
  summary: "Delete a destination that nothing is on its way to",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate")] as const,
  request: { params: destinationIdParams },
  responses: {
    204: { description: "Deleted." },
    ...problemResponses(400, 401, 403, 404, 409, 429, 503),
  },
});

export function registerDeleteDestination(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { destinationId } = c.req.valid("param");
    const tenantId = tenantInView(c.var.principal);
    if ((await findDestination(c.env.DB, destinationId, tenantId, systemNow())) === undefined) {
      return answerProblem(c, NO_DESTINATION);
    }
    if (destinationId === MEDLINK_DESTINATION_ID) {
      const detail =
        "This destination comes from the settings: unset RELAY_MEDLINK_WEBHOOK_URL, and pause it until then.";
      return answerProblem(c, { code: "conflict", detail });
    }
    const refused = await recordOperatorAction(c, { action: "DESTINATION_DELETE", target: destinationId });
    if (refused !== undefined) return answerProblem(c, refused);
    if ((await deleteDestination(c.env.DB, destinationId)) === "busy") {
      const detail = "Events are on their way to it. Let them arrive, or pause it and discard them with a reason.";
      return answerProblem(c, { code: "conflict", detail });
    }
    c.var.log("info", "relay.destination_deleted", { destinationId, correlationId: c.var.correlationId });
    return c.body(null, 204);
  });
}
