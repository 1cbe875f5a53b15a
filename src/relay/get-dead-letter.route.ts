/** GET /relay/workflow/dead-letters/:outboxId: the request, every attempt and what was answered. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { outboxIdParams } from "./dead-letter-query.ts";
import { findDelivery } from "./deliveries.store.ts";
import { EVENT_TYPES } from "./event-type.ts";
import { NO_DELIVERY } from "./no-destination.ts";
import { tenantInView } from "./tenant-in-view.ts";

const epochMs = z.number().int().openapi({ description: "Epoch ms." });

const answerSchema = z
  .object({
    outboxId: z.number().int(),
    tenantId: z.string(),
    eventId: z.string(),
    eventType: z.enum(EVENT_TYPES),
    requestIdHash: z.string(),
    destinationId: z.string(),
    correlationId: z.string(),
    state: z.enum(["waiting", "due", "leased", "delivered", "dead", "discarded"]),
    attempts: z.number().int().openapi({ description: "That used up a retry, since it was last replayed." }),
    replays: z.number().int(),
    lastStatus: z.number().int().nullable(),
    lastError: z.string().nullable(),
    discardReason: z.string().nullable(),
    discardedBy: z.string().nullable().openapi({ description: "A key id; null: the retention." }),
    createdAt: epochMs,
    settledAt: epochMs.nullable(),
    body: z.string().openapi({ description: "As it is posted; timestamp and signatures are new with each attempt." }),
    attemptsMade: z
      .array(
        z.object({
          startedAt: epochMs,
          durationMs: z.number().int(),
          outcome: z.enum(["delivered", "retry", "dead"]),
          status: z.number().int().nullable(),
          error: z.string().nullable(),
          answer: z
            .string()
            .nullable()
            .openapi({ description: "The first 1,024 characters of an answer that was not 2xx." }),
        }),
      )
      .readonly(),
    held: z.number().int().openapi({ description: "Later events of its request that wait behind it." }),
  })
  .openapi("Delivery");

const route = createRoute({
  method: "get",
  path: "/relay/workflow/dead-letters/{outboxId}",
  tags: ["relay"],
  summary: "One delivery, with every attempt",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate")] as const,
  request: { params: outboxIdParams },
  responses: {
    200: { description: "The delivery, dead or not.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 404, 429),
  },
});

export function registerGetDeadLetter(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const delivery = await findDelivery(c.env.DB, c.req.valid("param").outboxId, tenantInView(c.var.principal));
    return delivery === undefined ? answerProblem(c, NO_DELIVERY) : c.json(delivery, 200);
  });
}
