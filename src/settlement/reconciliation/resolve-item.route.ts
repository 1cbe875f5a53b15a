/** POST /settlements/reconciliation/items/:itemId/resolve: ask again, send again what surely is not there, or accept with a reason. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { systemNow } from "../../platform/clock.edge.ts";
import { jsonBody } from "../../platform/json-body.edge.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { makeOperatorGateway } from "../operator/gateway.client.ts";
import { ourOne } from "./our-books.store.ts";
import { findItem, resolveItem, touchItem } from "./reconciliation.store.ts";
import { type Resolved, resolveBy } from "./resolve.ts";
import { itemIdParams, itemSchema, itemView, NO_ITEM, NOT_OPEN, reasonSchema } from "./view.ts";

const bodySchema = z
  .discriminatedUnion("action", [
    z.strictObject({ action: z.literal("ask") }),
    z.strictObject({ action: z.literal("replay") }),
    z.strictObject({ action: z.literal("accept"), reason: reasonSchema }),
  ])
  .openapi("ResolveReconciliationItem");

const answerSchema = z
  .object({
    outcome: z.enum(["resolved", "still_differs", "refused"]).openapi({
      description:
        "`still_differs`: the item stays open and shows both sides as they are now. `refused`: the operator refused it.",
    }),
    item: itemSchema,
  })
  .openapi("ResolvedReconciliationItem");

const route = createRoute({
  method: "post",
  path: "/settlements/reconciliation/items/{itemId}/resolve",
  tags: ["reconciliation"],
  summary: "Deal with an item",
  description:
    "`ask` compares both sides anew. `replay` sends a completed settlement again under its own refId, after asking: the operator takes an id once. `accept` lets the difference stand.",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: {
    params: itemIdParams,
    body: { required: true, content: { "application/json": { schema: bodySchema } } },
  },
  responses: {
    200: { description: "What became of it.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 502, 503),
  },
});

export function registerResolveItem(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { itemId } = c.req.valid("param");
    const decision = c.req.valid("json");
    const { settings, principal, log, correlationId } = c.var;
    const ledgerId = settings.LEDGER_ID;
    const item = await findItem(c.env.DB, ledgerId, itemId);
    if (item === undefined) return answerProblem(c, NO_ITEM);
    if (item.state !== "open") return answerProblem(c, NOT_OPEN);
    const reason = decision.action === "accept" ? decision.reason : decision.action.toUpperCase();
    const done = { action: "RECONCILIATION_RESOLVE", target: String(itemId), reason } as const;
    const refused = await recordOperatorAction(c, done);
    if (refused !== undefined) return answerProblem(c, refused);
    const operator = makeOperatorGateway(c.env, settings, log);
    const terms = { correlationId, ...(item.tenantId === null ? {} : { clinicKey: item.tenantId }) };
    const made: Resolved = await resolveBy(decision, item, settings.RECONCILIATION_TOLERANCE_MINUTES * 60_000, {
      ours: () => ourOne(c.env.DB, ledgerId, item.refId),
      lookUp: () => operator.lookUp(item.refId, { ...terms, priority: "urgent" }),
      send: ({ refId, tenantId, type, amountCents, currency, reverses }) =>
        operator.send({ refId, type, amountCents, currency, reverses, correlationId, clinicKey: tenantId }, "bulk"),
      now: systemNow,
    });
    switch (made.type) {
      case "not_replayable":
        return answerProblem(c, { code: "conflict", detail: made.detail });
      case "no_answer":
        return answerProblem(c, {
          code: "upstream_unavailable",
          detail: "The operator did not answer; what it has is not known. Ask again.",
        });
      case "not_sent":
        return answerProblem(c, {
          code: "unavailable",
          detail: "The operator can not be called now. Try again as Retry-After says.",
          retryAfterSeconds: Math.max(1, Math.ceil(made.retryAfterMs / 1000)),
        });
      case "differs":
      case "refused": {
        const shown = await touchItem(c.env.DB, ledgerId, itemId, made.ours, made.theirs, systemNow());
        const outcome = made.type === "refused" ? ("refused" as const) : ("still_differs" as const);
        return shown === undefined ? answerProblem(c, NOT_OPEN) : c.json({ outcome, item: itemView(shown) }, 200);
      }
      case "resolved": {
        const ending = { resolution: made.resolution, reason: made.reason, by: principal.keyId };
        const shown = await resolveItem(c.env.DB, ledgerId, itemId, ending, systemNow());
        if (shown === undefined) return answerProblem(c, NOT_OPEN);
        log("info", "reconciliation.resolved", { correlationId, code: made.resolution, reason });
        return c.json({ outcome: "resolved" as const, item: itemView(shown) }, 200);
      }
    }
  });
}
