/** DELETE /operations/alerts/silences/{silenceId}. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { evaluatorOf } from "./evaluator.edge.ts";

const route = createRoute({
  method: "delete",
  path: "/operations/alerts/silences/{silenceId}",
  tags: ["operations"],
  summary: "End a silence now",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: { params: z.object({ silenceId: z.string().max(60) }) },
  responses: { 204: { description: "Ended." }, ...problemResponses(401, 403, 404, 429, 503) },
});

export function registerEndSilence(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { silenceId } = c.req.valid("param");
    const refused = await recordOperatorAction(c, { action: "ALERT_UNSILENCE", target: silenceId });
    if (refused !== undefined) return answerProblem(c, refused);
    const ended = await evaluatorOf(c.env, c.var.settings).endSilence(silenceId);
    if (!ended) return answerProblem(c, { code: "not_found", detail: "There is no such silence: it may have ended." });
    return c.body(null, 204);
  });
}
