/** GET /operations/actions: what operators did, newest first. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { OPERATOR_ACTIONS } from "./operator-action.ts";
import { countWaitingActions, listOperatorActions } from "./operator-actions.store.ts";

const actionSchema = z
  .object({
    seq: z.number().int().openapi({ description: "Of its entry: GET /ledger/entries/{seq} shows it, and its proof." }),
    at: z.string(),
    action: z.string(),
    actor: z.string().openapi({ description: "The id of the key that asked for it." }),
    reason: z.string().nullable(),
    target: z.string().nullable().openapi({ description: "What it was done to." }),
    correlationId: z.string().nullable(),
    entryHash: z.string(),
  })
  .openapi("OperatorAction");

const answerSchema = z
  .object({
    actions: z.array(actionSchema).readonly(),
    before: z
      .number()
      .int()
      .nullable()
      .openapi({ description: "Ask with this for the next page; null: there is none." }),
    waiting: z.number().int().openapi({ description: "Done while the ledger took no entries; theirs are to come." }),
  })
  .openapi("OperatorActions");

const route = createRoute({
  method: "get",
  path: "/operations/actions",
  tags: ["operations"],
  summary: "What operators did, each an entry of the ledger",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", ["operate", "audit"])] as const,
  request: {
    query: z.object({
      action: z.enum(OPERATOR_ACTIONS).optional(),
      actor: z.string().max(80).optional(),
      before: z.coerce.number().int().min(0).optional(),
      limit: z.coerce.number().int().min(1).max(500).default(100),
    }),
  },
  responses: {
    200: { description: "The actions.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 429),
  },
});

export function registerListOperatorActions(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { action, actor, before, limit } = c.req.valid("query");
    const ledgerId = c.var.settings.LEDGER_ID;
    const [actions, waiting] = await Promise.all([
      listOperatorActions(c.env.DB, ledgerId, { action, actor }, before, limit),
      countWaitingActions(c.env.DB, ledgerId),
    ]);
    const last = actions.length === limit ? actions.at(-1) : undefined;
    return c.json({ actions, before: last?.seq ?? null, waiting }, 200);
  });
}
