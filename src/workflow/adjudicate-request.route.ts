/** POST /workflow/requests/:requestId/adjudicate. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { cents } from "../platform/cents.ts";
import { systemRandomBytes } from "../platform/clock.edge.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { withCommitment } from "../settlement/create-settlement.edge.ts";
import { newRefId } from "../settlement/ref-id.ts";
import type { NewSettlement } from "../settlement/settlement.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { decidedAnswer, decidedAnswerSchema, notesSchema } from "./decided-answer.ts";
import { type ForInsurer, findForInsurer, storeNotes } from "./insurer-command.edge.ts";
import { DECISIONS, type RequestDecision } from "./request.ts";
import { requestIdParam } from "./request-params.ts";
import { type Sequenced, sequence } from "./sequencer.client.ts";

/** Decisions that may overtake one call before it is told so. */
const MAX_ROUNDS_MOVED = 3;

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
    const { settings, correlationId } = c.var;
    const { requestId } = c.req.valid("param");
    let adjudicated = await adjudicate(c, requestId, c.req.valid("json"));
    for (let moved = 1; moved < MAX_ROUNDS_MOVED && adjudicated.rejection?.code === "round_moved"; moved++) {
      adjudicated = await adjudicate(c, requestId, c.req.valid("json"));
    }
    if (adjudicated.type === "problem") return answerProblem(c, adjudicated.problem);
    return c.json(decidedAnswer(adjudicated.result, settings.LEDGER_ID, correlationId), 200);
  });
}

interface Decided {
  readonly decision: RequestDecision;
  readonly notes?: string | null | undefined;
}

/** Once, for the round that the request is in now. */
async function adjudicate(c: Context<CoreAppEnv>, idOrHash: string, { decision, notes }: Decided): Promise<Sequenced> {
  const { settings, principal, correlationId } = c.var;
  const found = await findForInsurer(c, idOrHash);
  if (found.type === "problem") return found;
  const { requestId, round } = found.request;
  return sequence(c.env, settings.LEDGER_ID, {
    type: "AdjudicateRequest",
    tenantId: principal.tenantId,
    requestId,
    lookup: found.lookup,
    actor: principal.keyId,
    decision,
    decisionHash: found.opened.commit({ decision, notes: notes ?? null }),
    round,
    notes: await storeNotes(c, found, `adj:${round}`, notes),
    settlement: decision === "APPROVED" && settings.SETTLE_ON_APPROVAL ? paymentOf(found) : undefined,
    correlationId,
  });
}

/** Of all that is approved, in the approval's own commit; nothing where no money moves. */
function paymentOf({ request, opened }: Extract<ForInsurer, { type: "found" }>): NewSettlement | undefined {
  if (request.requestType !== "CLAIM" || request.amountMinor === 0) return undefined;
  const { amountMinor, currency } = request;
  const refId = newRefId(systemRandomBytes);
  return withCommitment({ refId, type: "payment", amountCents: cents(amountMinor), currency, reverses: null }, opened);
}
