/** PUT /settlements/reconciliation/items/:itemId/owner: who deals with an open item. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { jsonBody } from "../../platform/json-body.edge.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { findItem, ownItem } from "./reconciliation.store.ts";
import { itemIdParams, itemSchema, itemView, NO_ITEM, NOT_OPEN, ownerSchema } from "./view.ts";

const bodySchema = z
  .strictObject({
    owner: ownerSchema.nullable().optional().openapi({ description: "Without it, the caller; null: nobody." }),
  })
  .openapi("OwnReconciliationItem");

const route = createRoute({
  method: "put",
  path: "/settlements/reconciliation/items/{itemId}/owner",
  tags: ["reconciliation"],
  summary: "Say who deals with an item",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: true })] as const,
  request: {
    params: itemIdParams,
    body: { required: false, content: { "application/json": { schema: bodySchema } } },
  },
  responses: {
    200: { description: "The item.", content: { "application/json": { schema: itemSchema } } },
    ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503),
  },
});

export function registerOwnItem(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { itemId } = c.req.valid("param");
    const { owner = c.var.principal.keyId } = c.req.valid("json");
    const ledgerId = c.var.settings.LEDGER_ID;
    const found = await findItem(c.env.DB, ledgerId, itemId);
    if (found === undefined) return answerProblem(c, NO_ITEM);
    const refused = await recordOperatorAction(c, { action: "RECONCILIATION_OWN", target: String(itemId) });
    if (refused !== undefined) return answerProblem(c, refused);
    const item = await ownItem(c.env.DB, ledgerId, itemId, owner);
    return item === undefined ? answerProblem(c, NOT_OPEN) : c.json(itemView(item), 200);
  });
}
