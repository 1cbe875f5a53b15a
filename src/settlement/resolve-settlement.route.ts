/** POST /settlements/:refId/resolve and /replay: what operators do about a settlement by hand. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import type { Problem } from "../platform/problem.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { type Sequenced, sequence } from "../workflow/sequencer.client.ts";
import { settlementDetail, UNKNOWN_SETTLEMENT } from "./get-settlement.route.ts";
import type { OperatorAnswer } from "./operator/gateway.ts";
import { operatorOf } from "./operator-of.edge.ts";
import {
  OPERATOR_TRANSACTION_ID,
  RESOLUTION_REASON,
  rejectReasonOf,
  type SettlementCommand,
  type SettlementState,
} from "./settlement.ts";
import { refIdParam, settlementDetailSchema } from "./settlement-view.ts";
import { findSettlement } from "./settlements.store.ts";

const security = [{ apiKey: [] }];
const answered = (description: string) => ({
  200: { description, content: { "application/json": { schema: settlementDetailSchema } } },
});

const resolveSchema = z
  .strictObject({
    outcome: z.enum(["COMPLETED", "REJECTED", "FAILED"]),
    reason: z
      .string()
      .regex(RESOLUTION_REASON)
      .openapi({ description: "Goes into the ledger, so it must not name a person.", example: "TICKET-1742" }),
    operatorTransactionId: z.string().regex(OPERATOR_TRANSACTION_ID).optional(),
  })
  .refine(({ outcome, operatorTransactionId }) => outcome === "COMPLETED" || operatorTransactionId === undefined, {
    message: "only what is completed has one",
    path: ["operatorTransactionId"],
  })
  .openapi("ResolveSettlement");

const resolveRoute = createRoute({
  method: "post",
  path: "/settlements/{refId}/resolve",
  tags: ["settlements"],
  summary: "Say what became of a settlement, where the operator can not be asked",
  security,
  middleware: [authenticate(["claims", "workflow"], "operate"), jsonBody({ optional: false })] as const,
  request: {
    params: refIdParam,
    body: { required: true, content: { "application/json": { schema: resolveSchema } } },
  },
  responses: {
    ...answered("Recorded, now or the same before."),
    ...problemResponses(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
  },
});

const replayRoute = createRoute({
  method: "post",
  path: "/settlements/{refId}/replay",
  tags: ["settlements"],
  summary:
    "Send a failed or rejected settlement again, under the same refId, once the operator says that it does not have it",
  security,
  middleware: [authenticate(["claims", "workflow"], "operate"), jsonBody({ optional: true })] as const,
  request: { params: refIdParam },
  responses: {
    ...answered("Asked for again, or found to have happened after all, which is recorded."),
    ...problemResponses(400, 401, 403, 404, 409, 410, 422, 429, 502, 503),
  },
});

export function registerResolveSettlement(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(resolveRoute, async (c) => {
    const found = await find(c, c.req.valid("param").refId);
    if (found === undefined) return answerProblem(c, UNKNOWN_SETTLEMENT);
    const { outcome, reason, operatorTransactionId } = c.req.valid("json");
    return answer(
      c,
      await append(c, found.settlement, { type: "ResolveSettlement", outcome, reason, operatorTransactionId }),
      found.settlement.refId,
    );
  });

  app.openapi(replayRoute, async (c) => {
    const found = await find(c, c.req.valid("param").refId);
    if (found === undefined) return answerProblem(c, UNKNOWN_SETTLEMENT);
    const { settlement } = found;
    const { refId } = settlement;
    // Under way already, or completed, which the ledger says.
    if (settlement.status !== "FAILED" && settlement.status !== "REJECTED") {
      return answer(c, await append(c, settlement, { type: "ReplaySettlement" }), refId);
    }
    const told = await ask(c, refId);
    switch (told.kind) {
      case "completed": {
        const { operatorTransactionId } = told;
        return answer(c, await append(c, settlement, { type: "CompleteSettlement", operatorTransactionId }), refId);
      }
      case "unknown_transaction":
      case "rejected":
        return answer(c, await append(c, settlement, { type: "ReplaySettlement" }), refId);
      case "accepted":
        return answerProblem(c, {
          code: "conflict",
          detail: "The operator has it and is still at work on it. Ask again later, or resolve it by hand.",
        });
      case "unknown":
        return answerProblem(c, OPERATOR_AWAY);
      case "not_sent":
        return answerProblem(c, {
          ...OPERATOR_AWAY,
          retryAfterSeconds: Math.max(1, Math.ceil(told.retryAfterMs / 1_000)),
        });
    }
  });
}

const OPERATOR_AWAY: Problem = {
  code: "upstream_unavailable",
  detail: "The operator could not be asked whether it has this transaction, and without that it is not sent again.",
};

const find = (c: Context<CoreAppEnv>, refId: string) =>
  findSettlement(c.env.DB, c.get("settings").LEDGER_ID, refId, undefined);

async function ask(c: Context<CoreAppEnv>, refId: string): Promise<OperatorAnswer> {
  const { settings, log, correlationId } = c.var;
  const operator = operatorOf(c.env, settings, log);
  if (operator === undefined) return { kind: "unknown" };
  const startedAt = systemNow();
  const told = await operator.find(refId, correlationId);
  log("info", "settlement.called", {
    refId,
    correlationId,
    method: "ask",
    code: told.kind,
    durationMs: systemNow() - startedAt,
  });
  return told.kind === "rejected" ? { kind: "rejected", reason: rejectReasonOf(told.reason) } : told;
}

type Step = SettlementCommand extends infer Command
  ? Command extends { readonly refId: string }
    ? Omit<Command, "tenantId" | "subject" | "subjectKind" | "refId" | "actor" | "correlationId">
    : never
  : never;

function append(c: Context<CoreAppEnv>, settlement: SettlementState, step: Step): Promise<Sequenced> {
  const { settings, principal, correlationId } = c.var;
  const { tenantId, subject, subjectKind, refId } = settlement;
  return sequence(c.env, settings.LEDGER_ID, {
    ...step,
    tenantId,
    subject,
    subjectKind,
    refId,
    actor: principal.keyId,
    correlationId,
  });
}

async function answer(c: Context<CoreAppEnv>, sequenced: Sequenced, refId: string) {
  if (sequenced.type === "problem") return answerProblem(c, sequenced.problem);
  const found = await find(c, refId);
  return found === undefined ? answerProblem(c, UNKNOWN_SETTLEMENT) : c.json(await settlementDetail(c, found), 200);
}
