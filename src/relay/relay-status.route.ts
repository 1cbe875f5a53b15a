/** GET /relay/workflow/status. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { retryPolicyOf } from "./port.edge.ts";
import { relayStatus } from "./relay-status.store.ts";
import { tenantInView } from "./tenant-in-view.ts";

const count = z.number().int().nonnegative();

const counts = {
  deliveredCount: count,
  pending: count.openapi({ description: "On their way; retried and waiting ones among them." }),
  retrying: count.openapi({ description: "Failed at least once and tried again." }),
  waiting: count.openapi({ description: "Sent once their entry is anchored." }),
  underWay: count.openapi({ description: "In the relay's hands now; none is left some time after a pause." }),
  deadLetterCount: count,
  oldestPendingAgeMs: count.nullable(),
};

const answerSchema = z
  .object({
    status: z.enum(["idle", "backlog"]),
    paused: z.boolean().openapi({ description: "The relay as a whole is paused, or every destination is." }),
    pausedAt: count.nullable().openapi({ description: "Epoch ms since when the relay as a whole is paused." }),
    ...counts,
    retryPolicy: z.object({
      maxRetries: count,
      initialBackoffMs: count,
      maxBackoffMs: count,
      notYetKnownWindowMs: count,
      afterTimeoutWaitMs: count,
    }),
    destinations: z
      .array(
        z.object({
          destinationId: z.string(),
          tenantId: z.string(),
          kind: z.enum(["MEDLINK", "INSURER"]),
          state: z.enum(["active", "paused", "broken"]).openapi({
            description:
              "Broken: its breaker is open; nothing is sent but a probe now and then, and no attempt is counted.",
          }),
          nextProbeAt: count.nullable().openapi({ description: "Epoch ms; of a broken destination." }),
          deliverAfter: z.enum(["commit", "anchor"]),
          requestsPerMinute: count,
          timeoutMs: count,
          ...counts,
        }),
      )
      .readonly(),
  })
  .openapi("RelayStatus");

const route = createRoute({
  method: "get",
  path: "/relay/workflow/status",
  tags: ["relay"],
  summary: "Deliveries made, on their way and given up, by destination",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "read")] as const,
  responses: {
    200: { description: "The status.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(401, 403, 429),
  },
});

export function registerRelayStatus(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const status = await relayStatus(c.env.DB, systemNow(), tenantInView(c.var.principal));
    const { destinations, pausedAt } = status;
    const allPaused = destinations.length > 0 && destinations.every(({ state }) => state === "paused");
    const paused = pausedAt !== null || allPaused;
    const retryPolicy = retryPolicyOf(c.var.settings);
    return c.json({ status: status.pending > 0 ? "backlog" : "idle", paused, ...status, retryPolicy } as const, 200);
  });
}
