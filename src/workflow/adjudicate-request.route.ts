/** POST /workflow/requests/:requestId/adjudicate. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { authenticate } from "../core/authenticate.edge.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { decidedAnswer, decidedAnswerSchema, notesSchema } from "./decided-answer.ts";
import { findForInsurer, storeNotes } from "./insurer-command.edge.ts";
import { DECISIONS } from "./request.ts";
import { requestIdParam } from "./request-params.ts";
import { sequence } from "./sequencer.client.ts";

const route = createRoute({
  method: "post",
  path: "/workflow/requests/{requestId}/adjudicate",
  tags: ["workflow"],
  summary: "The insurer decides",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "adjudicate"), jsonBody({ optional: false })] as const,
  request: {
    params: requestIdParam,
    body: {
      required: true,
      content: { "application/json": { schema: z.object({ decision: z.enum(DECISIONS), notes: notesSchema }) } },
    },
  },
  responses: {
    200: {
      description: "Decided, now or the same before.",
      content: { "application/json": { schema: decidedAnswerSchema } },
    },
    ...problemResponses(400, 401, 403, 404, 409, 410, 413, 415, 429, 503),
  },
});

export function registerAdjudicateRequest(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal, correlationId } = c.var;
    const { decision, notes } = c.req.valid("json");
    const found = await findForInsurer(c, c.req.valid("param").requestId);
    if (found.type === "problem") return answerProblem(c, found.problem);
    const sequenced = await sequence(c.env, settings.LEDGER_ID, {
      type: "AdjudicateRequest",
      tenantId: principal.tenantId,
      requestId: found.request.requestId,
      actor: principal.keyId,
      decision,
      decisionHash: found.opened.commit({ decision, notes: notes ?? null }),
      notes: await storeNotes(c, found, `adj:${found.request.round}`, notes),
      correlationId,
    });
    if (sequenced.type === "problem") return answerProblem(c, sequenced.problem);
    return c.json(decidedAnswer(sequenced.result, settings.LEDGER_ID, correlationId), 200);
  });
}
