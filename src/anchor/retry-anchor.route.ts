/** POST /ledger/anchors/retry. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { anchorOf } from "./anchor.cron.ts";
import { anchoringOff, commandAnswer, commandAnswerSchema } from "./command-answer.edge.ts";

const route = createRoute({
  method: "post",
  path: "/ledger/anchors/retry",
  tags: ["ledger"],
  summary: "Anchor the newest root now",
  description:
    "With the same nonce and a higher fee when something is in flight. Ends waits, and looks again at what halted the " +
    "signer; the fee cap stays. The body is empty.",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  responses: {
    200: { description: "Taken.", content: { "application/json": { schema: commandAnswerSchema } } },
    ...problemResponses(401, 403, 409, 429, 503),
  },
});

export function registerRetryAnchor(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal } = c.var;
    const off = anchoringOff(settings, c.env.EVM_PRIVATE_KEY);
    if (off !== undefined) return answerProblem(c, off);
    const refused = await recordOperatorAction(c, { action: "ANCHOR_RETRY" });
    if (refused !== undefined) return answerProblem(c, refused);
    const answered = commandAnswer(await anchorOf(c.env, settings).command({ type: "retry", actor: principal.keyId }));
    return answered.ok ? c.json(answered.answer, 200) : answerProblem(c, answered.problem);
  });
}
