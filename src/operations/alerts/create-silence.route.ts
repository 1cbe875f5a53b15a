/** POST /operations/alerts/silences. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { systemNow } from "../../platform/clock.edge.ts";
import { jsonBody } from "../../platform/json-body.edge.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { silenceSchema, silenceView } from "./alert-view.ts";
import { evaluatorOf } from "./evaluator.edge.ts";

const MAX_MINUTES = 7 * 24 * 60;

const bodySchema = z
  .strictObject({
    alert: z.string().max(60).optional().openapi({ description: "Left out: every alert." }),
    minutes: z.number().int().min(1).max(MAX_MINUTES),
    reason: z
      .string()
      .regex(/^[A-Z0-9-]{1,40}$/, "is not 1 to 40 of A-Z, 0-9 and -")
      .openapi({ example: "CHG-311" }),
  })
  .openapi("CreateSilence");

const route = createRoute({
  method: "post",
  path: "/operations/alerts/silences",
  tags: ["operations"],
  summary: "Tell nobody of an alert for a while",
  description: "Alerts are evaluated all the same; what is still open when the silence ends is told then.",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: { body: { required: true, content: { "application/json": { schema: bodySchema } } } },
  responses: {
    201: { description: "Silent until then.", content: { "application/json": { schema: silenceSchema } } },
    ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503),
  },
});

export function registerCreateSilence(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { alert, minutes, reason } = c.req.valid("json");
    const refused = await recordOperatorAction(c, {
      action: "ALERT_SILENCE",
      reason,
      ...(alert === undefined ? {} : { target: alert }),
    });
    if (refused !== undefined) return answerProblem(c, refused);
    const until = systemNow() + minutes * 60_000;
    const made = await evaluatorOf(c.env, c.var.settings).silence(alert, until, reason, c.var.principal.keyId);
    if (made === "unknown") {
      return answerProblem(c, {
        code: "not_found",
        detail: "There is no alert of this name; GET /operations/alerts lists them.",
      });
    }
    if (made === "too-many") {
      return answerProblem(c, { code: "conflict", detail: "There are too many silences: end some first." });
    }
    return c.json(silenceView(made), 201);
  });
}
