/** POST /relay/workflow/dead-letters/replay: many at once, at a limited rate, in the order of the ledger. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { filterShape } from "./dead-letter-query.ts";
import { replayDeadLetters } from "./replays.store.ts";
import { tenantInView } from "./tenant-in-view.ts";

const bodySchema = z
  .strictObject({
    ...filterShape,
    limit: z.number().int().min(1).max(1_000).default(500),
    perMinute: z.number().int().min(1).max(60_000).default(120).openapi({
      description: "How fast they fall due; the destination's own rate holds as well.",
    }),
  })
  .openapi("ReplayDeadLetters");

const answerSchema = z
  .object({
    replayed: z.number().int(),
    overtaken: z.number().int().openapi({ description: "Left alone: a later event of the request was delivered." }),
    remaining: z.number().int().openapi({ description: "That match and were not looked at: call again." }),
    lastDueAt: z.number().int().nullable().openapi({ description: "Epoch ms when the last one falls due." }),
  })
  .openapi("ReplayedDeadLetters");

const route = createRoute({
  method: "post",
  path: "/relay/workflow/dead-letters/replay",
  tags: ["relay"],
  summary: "Send dead letters again, by destination, time or error",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate"), jsonBody({ optional: false })] as const,
  request: { body: { required: true, content: { "application/json": { schema: bodySchema } } } },
  responses: {
    200: { description: "On their way.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 413, 415, 429, 503),
  },
});

export function registerReplayDeadLetters(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { limit, perMinute, ...filter } = c.req.valid("json");
    if (Object.keys(filter).length === 0) {
      const detail = "Name a destination, a time or an error: everything at once is never meant.";
      return answerProblem(c, { code: "invalid_body", detail });
    }
    const tenantId = tenantInView(c.var.principal);
    const refused = await recordOperatorAction(c, { action: "DEAD_LETTERS_REPLAY", target: filter.destinationId });
    if (refused !== undefined) return answerProblem(c, refused);
    const options = { limit, perMinute, waitMs: c.var.settings.RELAY_AFTER_TIMEOUT_WAIT_MS };
    const replayed = await replayDeadLetters(c.env.DB, { ...filter, tenantId }, options, systemNow());
    if (replayed.replayed > 0) await c.env.RELAY_QUEUE.send({ outboxIds: [] });
    return c.json(replayed, 200);
  });
}
