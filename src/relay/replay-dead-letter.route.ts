/** POST /relay/workflow/dead-letters/:outboxId/replay. Again changes nothing. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { outboxIdParams } from "./dead-letter-query.ts";
import { NO_DELIVERY } from "./no-destination.ts";
import { replayDeadLetter } from "./replays.store.ts";
import { tenantInView } from "./tenant-in-view.ts";

const answerSchema = z
  .object({
    outboxId: z.number().int(),
    replayed: z.boolean().openapi({ description: "False: it is on its way or delivered already." }),
  })
  .openapi("ReplayedDeadLetter");

const route = createRoute({
  method: "post",
  path: "/relay/workflow/dead-letters/{outboxId}/replay",
  tags: ["relay"],
  summary: "Send a dead letter again, with all its retries; the later events of its request follow it",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate")] as const,
  request: { params: outboxIdParams },
  responses: {
    200: { description: "On its way.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 404, 409, 429, 503),
  },
});

export function registerReplayDeadLetter(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { outboxId } = c.req.valid("param");
    const refused = await recordOperatorAction(c, { action: "DEAD_LETTER_REPLAY", target: String(outboxId) });
    if (refused !== undefined) return answerProblem(c, refused);
    const { principal, settings } = c.var;
    const waitMs = settings.RELAY_AFTER_TIMEOUT_WAIT_MS;
    const now = systemNow();
    const result = await replayDeadLetter(c.env.DB, outboxId, tenantInView(principal), waitMs, now);
    switch (result.type) {
      case "unknown":
        return answerProblem(c, NO_DELIVERY);
      case "overtaken": {
        const detail = "A later event of this request was delivered there; sending this one now would undo it.";
        return answerProblem(c, { code: "conflict", detail });
      }
      case "discarded":
        return answerProblem(c, { code: "conflict", detail: "It was discarded, which is for good." });
      case "on-its-way":
        return c.json({ outboxId, replayed: false }, 200);
      case "replayed": {
        const delaySeconds = Math.max(0, Math.ceil((result.dueAt - now) / 1_000));
        await c.env.RELAY_QUEUE.send({ outboxIds: [outboxId] }, { delaySeconds });
        return c.json({ outboxId, replayed: true }, 200);
      }
    }
  });
}
