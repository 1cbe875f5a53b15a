/** GET /settlements/reconciliation/items/:itemId. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { findItem } from "./reconciliation.store.ts";
import { itemIdParams, itemSchema, itemView, NO_ITEM } from "./view.ts";

const route = createRoute({
  method: "get",
  path: "/settlements/reconciliation/items/{itemId}",
  tags: ["reconciliation"],
  summary: "One item",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "read")] as const,
  request: { params: itemIdParams },
  responses: {
    200: { description: "The item.", content: { "application/json": { schema: itemSchema } } },
    ...problemResponses(400, 401, 403, 404, 429),
  },
});

export function registerGetItem(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const item = await findItem(c.env.DB, c.var.settings.LEDGER_ID, c.req.valid("param").itemId);
    return item === undefined ? answerProblem(c, NO_ITEM) : c.json(itemView(item), 200);
  });
}
