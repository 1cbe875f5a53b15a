/** GET /relay/workflow/dead-letters. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { filterShape } from "./dead-letter-query.ts";
import { listDeadLetters } from "./dead-letters.store.ts";
import { EVENT_TYPES } from "./event-type.ts";
import { tenantInView } from "./tenant-in-view.ts";

const querySchema = z.object({
  ...filterShape,
  cursor: z
    .string()
    .regex(/^\d{1,16}\.\d{1,16}$/, "is not one of ours")
    .optional()
    .openapi({ param: { name: "cursor", in: "query" }, description: "`next` of the page before." }),
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
    count: z.number().int().openapi({ description: "Of all that match, not of those listed." }),
    next: z.string().nullable().openapi({ description: "The cursor of the next page; null: there is none." }),
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
    const { limit, cursor, ...filter } = c.req.valid("query");
    const tenantId = tenantInView(c.var.principal);
    const [deadAt, outboxId] = cursor?.split(".").map(Number) ?? [];
    const after = deadAt === undefined || outboxId === undefined ? undefined : { deadAt, outboxId };
    const { count, deadLetters, next } = await listDeadLetters(c.env.DB, { ...filter, tenantId }, limit, after);
    return c.json({ count, deadLetters, next: next === null ? null : `${next.deadAt}.${next.outboxId}` }, 200);
  });
}
