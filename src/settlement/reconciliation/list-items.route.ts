/** GET /settlements/reconciliation/items. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../../core/app.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { MISMATCH_KINDS } from "./compare.ts";
import { countOpenItems, listItems } from "./reconciliation.store.ts";
import { daySchema, itemSchema, itemView } from "./view.ts";

const querySchema = z.object({
  state: z.enum(["open", "resolved"]).optional(),
  kind: z.enum(MISMATCH_KINDS).optional(),
  refId: z.string().max(64).optional(),
  from: daySchema.optional(),
  to: daySchema.optional(),
  before: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional().openapi({
    description: "Items older than this: `nextBefore` of a page.",
  }),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

const answerSchema = z
  .object({
    openItems: z.number().int().openapi({ description: "Of all, not of those listed." }),
    items: z.array(itemSchema).openapi({ description: "Newest first." }),
    nextBefore: z.number().int().nullable(),
  })
  .openapi("ReconciliationItems");

const route = createRoute({
  method: "get",
  path: "/settlements/reconciliation/items",
  tags: ["reconciliation"],
  summary: "What differs between our settlements and the operator's",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "read")] as const,
  request: { query: querySchema },
  responses: {
    200: { description: "A page of items.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 429),
  },
});

export function registerListItems(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { limit, before, from, to, ...filter } = c.req.valid("query");
    const ledgerId = c.var.settings.LEDGER_ID;
    const [found, openItems] = await Promise.all([
      listItems(c.env.DB, ledgerId, { ...filter, fromDay: from, toDay: to }, limit + 1, { before }),
      countOpenItems(c.env.DB, ledgerId),
    ]);
    const items = found.slice(0, limit);
    const nextBefore = found.length > limit ? (items.at(-1)?.itemId ?? null) : null;
    return c.json({ openItems, items: items.map(itemView), nextBefore }, 200);
  });
}
