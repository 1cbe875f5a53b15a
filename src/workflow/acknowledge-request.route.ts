/** POST /workflow/requests/:requestId/acknowledge. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { decidedAnswer, decidedAnswerSchema, notesSchema } from "./decided-answer.ts";
import { findForInsurer, storeNotes } from "./insurer-command.edge.ts";
import { requestIdParam } from "./request-params.ts";
import { sequence } from "./sequencer.client.ts";

const route = createRoute({
  method: "post",
  path: "/workflow/requests/{requestId}/acknowledge",
  tags: ["workflow"],
  summary: "The insurer has the request",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "adjudicate"), jsonBody({ optional: true })] as const,
  request: {
    params: requestIdParam,
    body: { content: { "application/json": { schema: z.object({ notes: notesSchema }) } } },
  },
  responses: {
    200: {
      description: "Acknowledged, now or before.",
      content: { "application/json": { schema: decidedAnswerSchema } },
    },
    ...problemResponses(400, 401, 403, 404, 409, 410, 413, 415, 429, 503),
  },
});

export function registerAcknowledgeRequest(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal, correlationId } = c.var;
    const found = await findForInsurer(c, c.req.valid("param").requestId);
    if (found.type === "problem") return answerProblem(c, found.problem);
    const notes = await storeNotes(c, found, "ack", c.req.valid("json").notes);
    const sequenced = await sequence(c.env, settings.LEDGER_ID, {
      type: "AcknowledgeRequest",
      tenantId: principal.tenantId,
      requestId: found.request.requestId,
      lookup: found.lookup,
      actor: principal.keyId,
      notes,
      correlationId,
    });
    if (sequenced.type === "problem") return answerProblem(c, sequenced.problem);
    return c.json(decidedAnswer(sequenced.result, settings.LEDGER_ID, correlationId), 200);
  });
}
