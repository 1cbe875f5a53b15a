/** GET /relay/workflow/dead-letters. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { authenticate } from "../core/authenticate.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { listDeadLetters } from "./dead-letters.store.ts";
import { EVENT_TYPES } from "./port.ts";
import { tenantInView } from "./tenant-in-view.ts";

const querySchema = z.object({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(200)
    .default(50)
    .openapi({ param: { name: "limit", in: "query" } }),
});

const answerSchema = z
  .object({
    count: z.number().int().openapi({ description: "Of all there are, not of those listed." }),
    deadLetters: z
      .array(
        z.object({
          outboxId: z.number().int(),
          eventId: z.string(),
          eventType: z.enum(EVENT_TYPES),
          requestIdHash: z.string(),
          destinationId: z.string(),
          correlationId: z.string(),
          attempts: z.number().int(),
          lastStatus: z.number().int().nullable(),
          lastError: z.string().nullable(),
          createdAt: z.number().int().openapi({ description: "Epoch ms." }),
          deadAt: z.number().int().nullable().openapi({ description: "Epoch ms." }),
        }),
      )
      .readonly(),
  })
  .openapi("DeadLetters");

const route = createRoute({
  method: "get",
  path: "/relay/workflow/dead-letters",
  tags: ["relay"],
  summary: "Deliveries that were given up, newest first; each holds the later events of its request",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "read")] as const,
  request: { query: querySchema },
  responses: {
    200: { description: "The dead letters.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 429),
  },
});

export function registerListDeadLetters(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { limit } = c.req.valid("query");
    return c.json(await listDeadLetters(c.env.DB, tenantInView(c.var.principal), limit), 200);
  });
}
