/** GET /relay/workflow/deliveries: what was delivered, what is on its way, what was given up; or all there is of one request. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { DELIVERED_ORDERS, DELIVERY_STATUSES, deliveriesOfRequest, listDeliveries } from "./deliveries.store.ts";
import { EVENT_TYPES } from "./event-type.ts";
import { WAITS_FROM } from "./lanes.store.ts";
import { tenantInView } from "./tenant-in-view.ts";

const querySchema = z.object({
  status: z
    .enum(DELIVERY_STATUSES)
    .default("delivered")
    .openapi({
      param: { name: "status", in: "query" },
      description:
        "Delivered ones come by their events, newest first unless asked otherwise, dead ones newest first, pending ones by when they are due.",
    }),
  order: z
    .enum(DELIVERED_ORDERS)
    .default("newest")
    .openapi({ param: { name: "order", in: "query" }, description: "Which of the delivered ones come first." }),
  destination: z
    .string()
    .max(64)
    .optional()
    .openapi({ param: { name: "destination", in: "query" } }),
  request: z
    .string()
    .regex(/^0x[0-9a-f]{64}$/, "must be a requestIdHash")
    .optional()
    .openapi({
      param: { name: "request", in: "query" },
      description:
        "requestIdHash: every delivery of this request instead, whatever its status, in the order of the ledger.",
    }),
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

const epochMs = z.number().int().openapi({ description: "Epoch ms." });

const answerSchema = z
  .object({
    next: z.string().nullable().openapi({
      description:
        "The cursor of the next page; null: there is none. A page with few or no deliveries may have a next one.",
    }),
    deliveries: z
      .array(
        z.object({
          outboxId: z.number().int(),
          eventId: z.string(),
          eventType: z.enum(EVENT_TYPES),
          requestIdHash: z.string(),
          destinationId: z.string(),
          correlationId: z.string(),
          state: z.enum(["waiting", "due", "leased", "delivered", "dead", "discarded"]),
          attempts: z.number().int().openapi({ description: "That used up a retry, and the one that was taken." }),
          lastStatus: z.number().int().nullable(),
          lastError: z.string().nullable(),
          createdAt: epochMs,
          deliveredAt: epochMs.nullable(),
          dueAt: epochMs.nullable().openapi({
            description: "Of a pending one that is neither held behind a dead letter nor due by its anchor.",
          }),
        }),
      )
      .readonly(),
  })
  .openapi("Deliveries");

const route = createRoute({
  method: "get",
  path: "/relay/workflow/deliveries",
  tags: ["relay"],
  summary: "Deliveries with their time, attempts and status",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "read")] as const,
  request: { query: querySchema },
  responses: {
    200: { description: "The deliveries.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 429),
  },
});

export function registerListDeliveries(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { status, order, destination, request, cursor, limit } = c.req.valid("query");
    const { principal, settings } = c.var;
    const filter = { tenantId: tenantInView(principal), destinationId: destination };
    const [at, outboxId] = cursor?.split(".").map(Number) ?? [];
    const after = at === undefined || outboxId === undefined ? undefined : { at, outboxId };
    const listed =
      request === undefined
        ? await listDeliveries(c.env.DB, status, filter, limit, { after, order })
        : {
            deliveries: await deliveriesOfRequest(
              c.env.DB,
              { ledgerId: settings.LEDGER_ID, requestIdHash: request },
              filter,
            ),
            next: null,
          };
    const deliveries = listed.deliveries.map(({ dueAt, settledAt, ...delivery }) => ({
      ...delivery,
      deliveredAt: delivery.state === "delivered" ? settledAt : null,
      dueAt: delivery.state === "due" && dueAt < WAITS_FROM ? dueAt : null,
    }));
    const next = listed.next === null ? null : `${listed.next.at}.${listed.next.outboxId}`;
    return c.json({ next, deliveries }, 200);
  });
}
