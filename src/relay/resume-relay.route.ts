/** POST /relay/resume: the relay as a whole. Again changes nothing. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { setRelayPaused } from "./pauses.store.ts";

const answerSchema = z.object({ paused: z.boolean() });

const route = createRoute({
  method: "post",
  path: "/relay/resume",
  tags: ["relay"],
  summary: "Resume every delivery, of every tenant",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  responses: {
    200: { description: "Resumed.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(401, 403, 429, 503),
  },
});

export function registerResumeRelay(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const refused = await recordOperatorAction(c, { action: "RELAY_RESUME" });
    if (refused !== undefined) return answerProblem(c, refused);
    await setRelayPaused(c.env.DB, false, systemNow());
    await c.env.RELAY_QUEUE.send({ outboxIds: [] });
    c.var.log("info", "relay.resumed", { correlationId: c.var.correlationId });
    return c.json({ paused: false }, 200);
  });
}
