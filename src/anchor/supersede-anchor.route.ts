/** POST /ledger/anchors/supersede. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { anchorOf } from "./anchor.cron.ts";
import { anchoringOff, commandAnswer, commandAnswerSchema } from "./command-answer.edge.ts";
import { OPERATOR_REASON } from "./state.ts";

const bodySchema = z
  .strictObject({
    reason: z
      .string()
      .regex(OPERATOR_REASON, "is not 1 to 40 of A-Z, 0-9 and -")
      .openapi({ description: "A code, such as a ticket's; no free text.", example: "INC-2041" }),
  })
  .openapi("SupersedeAnchor");

const route = createRoute({
  method: "post",
  path: "/ledger/anchors/supersede",
  tags: ["ledger"],
  summary: "Say that the newest anchor is wrong, and anchor the newest root now",
  description:
    "The anchor in flight, else the one on chain. What is on chain stays there: the correcting anchor follows it. When the " +
    "ledger has nothing newer, it goes out with the next entry.",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: { body: { required: true, content: { "application/json": { schema: bodySchema } } } },
  responses: {
    200: { description: "Taken.", content: { "application/json": { schema: commandAnswerSchema } } },
    ...problemResponses(400, 401, 403, 409, 413, 415, 429, 503),
  },
});

export function registerSupersedeAnchor(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal } = c.var;
    const { reason } = c.req.valid("json");
    const off = anchoringOff(settings, c.env.EVM_PRIVATE_KEY);
    if (off !== undefined) return answerProblem(c, off);
    const refused = await recordOperatorAction(c, { action: "ANCHOR_SUPERSEDE", reason });
    if (refused !== undefined) return answerProblem(c, refused);
    const answered = commandAnswer(
      await anchorOf(c.env, settings).command({ type: "supersede", actor: principal.keyId, reason }),
    );
    return answered.ok ? c.json(answered.answer, 200) : answerProblem(c, answered.problem);
  });
}
