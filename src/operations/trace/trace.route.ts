/** GET /operations/trace/:correlationId. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../../core/app.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { DELIVERIES_LOOKED_AT } from "../../relay/deliveries.store.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { readTrace } from "./trace.store.ts";

const epochMs = z.number().int().openapi({ description: "Epoch ms." });

const traceSchema = z
  .object({
    correlationId: z.string(),
    entries: z.array(
      z.object({ seq: z.number().int(), entryHash: z.string(), subject: z.string(), type: z.string(), at: z.string() }),
    ),
    deliveries: z.array(
      z.object({
        outboxId: z.number().int(),
        eventType: z.string(),
        destinationId: z.string(),
        requestIdHash: z.string(),
        seq: z.number().int(),
        state: z.string(),
        createdAt: epochMs,
        settledAt: epochMs.nullable(),
        attempts: z.array(
          z.object({
            startedAt: epochMs,
            durationMs: z.number(),
            outcome: z.string(),
            status: z.number().int().nullable(),
            error: z.string().nullable(),
          }),
        ),
      }),
    ),
    settlements: z.array(
      z.object({
        refId: z.string(),
        type: z.string(),
        status: z.string(),
        requestIdHash: z.string(),
        seqs: z.array(z.number().int()),
        createdAt: epochMs,
        updatedAt: epochMs,
        askedAt: epochMs.nullable(),
        lastAnswer: z.string().nullable(),
      }),
    ),
    keys: z.array(
      z.object({
        keyId: z.string(),
        scope: z.string(),
        state: z.string(),
        effectId: z.string(),
        createdAt: epochMs,
        updatedAt: epochMs,
      }),
    ),
    olderThan: z
      .number()
      .int()
      .nullable()
      .openapi({ description: "Older deliveries were not looked at: ask again with `before`. Null: there are none." }),
  })
  .openapi("Trace");

const route = createRoute({
  method: "get",
  path: "/operations/trace/{correlationId}",
  tags: ["operations"],
  summary: "What one correlation id left: entries, deliveries with their attempts, settlements, Idempotency-Keys",
  description: `The newest ${DELIVERIES_LOOKED_AT} deliveries are looked through.`,
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "read")] as const,
  request: {
    params: z.object({
      correlationId: z
        .string()
        .regex(/^[A-Za-z0-9._-]{1,64}$/)
        .openapi({ param: { name: "correlationId", in: "path" } }),
    }),
    query: z.object({
      before: z.coerce
        .number()
        .int()
        .min(1)
        .max(Number.MAX_SAFE_INTEGER)
        .default(Number.MAX_SAFE_INTEGER)
        .openapi({ param: { name: "before", in: "query" }, description: "`olderThan` of an answer." }),
    }),
  },
  responses: {
    200: { description: "What was found.", content: { "application/json": { schema: traceSchema } } },
    ...problemResponses(400, 401, 403, 429),
  },
});

export function registerTrace(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { correlationId } = c.req.valid("param");
    const trace = await readTrace(c.env.DB, c.var.settings.LEDGER_ID, correlationId, c.req.valid("query").before);
    return c.json(
      {
        correlationId,
        entries: [...trace.entries],
        deliveries: trace.deliveries.map((one) => ({ ...one, attempts: [...one.attempts] })),
        settlements: trace.settlements.map((one) => ({ ...one, seqs: [...one.seqs] })),
        keys: [...trace.keys],
        olderThan: trace.olderThan,
      },
      200,
    );
  });
}
