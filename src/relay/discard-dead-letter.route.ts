/** POST /relay/workflow/dead-letters/:outboxId/discard: an operator gives an event up, with a reason. Again changes nothing. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { outboxIdParams, reasonSchema } from "./dead-letter-query.ts";
import { discardDeadLetter } from "./discards.store.ts";
import { NO_DELIVERY } from "./no-destination.ts";
import { tenantInView } from "./tenant-in-view.ts";

const bodySchema = z
  .strictObject({
    reason: reasonSchema,
    rest: z.enum(["discard", "release"]).default("discard").openapi({
      description: "The later events of its request: given up with it, or sent without it.",
    }),
  })
  .openapi("DiscardDeadLetter");

const answerSchema = z
  .object({
    outboxId: z.number().int(),
    discarded: z.boolean().openapi({ description: "False: it had been discarded before." }),
    rest: z.number().int().openapi({ description: "Later events that were given up, or released, with it." }),
  })
  .openapi("DiscardedDeadLetter");

const route = createRoute({
  method: "post",
  path: "/relay/workflow/dead-letters/{outboxId}/discard",
  tags: ["relay"],
  summary: "Give a dead letter up, for good",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate"), jsonBody({ optional: false })] as const,
  request: {
    params: outboxIdParams,
    body: { required: true, content: { "application/json": { schema: bodySchema } } },
  },
  responses: {
    200: { description: "Discarded.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503),
  },
});

export function registerDiscardDeadLetter(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { outboxId } = c.req.valid("param");
    const { principal, log, correlationId, settings } = c.var;
    const waitMs = settings.RELAY_AFTER_TIMEOUT_WAIT_MS;
    const { reason, rest } = c.req.valid("json");
    const decision = { reason, rest, by: principal.keyId };
    const refused = await recordOperatorAction(c, { action: "DEAD_LETTER_DISCARD", target: String(outboxId), reason });
    if (refused !== undefined) return answerProblem(c, refused);
    const result = await discardDeadLetter(c.env.DB, outboxId, tenantInView(principal), decision, waitMs, systemNow());
    switch (result.type) {
      case "unknown":
        return answerProblem(c, NO_DELIVERY);
      case "not-dead":
        return answerProblem(c, { code: "conflict", detail: "Only a dead letter can be discarded." });
      case "too-soon": {
        const retryAfterSeconds = Math.ceil(result.waitMs / 1_000);
        const detail = `Its receiver may still be at the last post. Discard it again in ${retryAfterSeconds} seconds.`;
        return answerProblem(c, { code: "conflict", detail, retryAfterSeconds });
      }
      case "already":
        return c.json({ outboxId, discarded: false, rest: 0 }, 200);
      case "discarded":
        log("info", "relay.discarded", { correlationId, reason, count: 1 + result.rest });
        if (rest === "release" && result.rest > 0) await c.env.RELAY_QUEUE.send({ outboxIds: [] });
        return c.json({ outboxId, discarded: true, rest: result.rest }, 200);
    }
  });
}
