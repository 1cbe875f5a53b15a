/** POST /operations/actions: the hub tells what an operator is about to do to the hub alone. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { HUB_ACTIONS, HUB_TARGET, MAX_TARGET_LENGTH } from "./operator-action.ts";
import { recordHubAction } from "./record-operator-action.edge.ts";

const bodySchema = z
  .strictObject({
    actionId: z
      .string()
      .regex(/^act_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "is not act_ and a UUID")
      .openapi({ description: "Of this action alone: the same body sent again is one entry." }),
    salt: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "is not 64 hex digits")
      .openapi({ description: "32 random bytes, drawn for this action alone." }),
    action: z.enum(HUB_ACTIONS),
    target: z
      .string()
      .max(MAX_TARGET_LENGTH)
      .regex(HUB_TARGET, "is not words of A-Z, a-z, 0-9, _ and -")
      .nullable()
      .openapi({ description: "What it was done to, and by whom of the hub, by opaque ids." }),
  })
  .openapi("HubAction");

const route = createRoute({
  method: "post",
  path: "/operations/actions",
  tags: ["operations"],
  summary: "Record what an operator does to the hub alone",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: { body: { required: true, content: { "application/json": { schema: bodySchema } } } },
  responses: {
    204: { description: "It is an entry of the ledger, now or since it was sent before." },
    ...problemResponses(400, 401, 403, 409, 413, 415, 429, 503),
  },
});

export function registerRecordHubAction(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { target, ...done } = c.req.valid("json");
    const refused = await recordHubAction(c, { ...done, target: target ?? undefined });
    return refused === undefined ? c.body(null, 204) : answerProblem(c, refused);
  });
}
