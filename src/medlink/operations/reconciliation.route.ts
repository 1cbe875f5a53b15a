/** Reconciliation over the hub: runs, their reports, and what is done about an item. */
import { z } from "@hono/zod-openapi";
import { passOn } from "../bridge/forward.edge.ts";
import { none, operatorOperation } from "../operation.edge.ts";
import { NO_OPERATOR_KEY, operateCore } from "./core-answer.edge.ts";
import { reasonCode } from "./reason-code.ts";

const CORE = "/settlements/reconciliation";

const answers = { 200: { description: "As iTrans answers" } };

const oneRun = z.object({ runId: z.string().regex(/^[a-z0-9-]{1,80}$/) });
const oneItem = z.object({ itemId: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) });

export const startReconciliation = operatorOperation(
  {
    method: "post",
    path: "/api/operations/reconciliation/runs",
    summary: "Compare our settlements of some days with the payer's operator",
    params: none,
    body: z.strictObject({ from: z.iso.date(), to: z.iso.date().openapi({ description: "Included; days are UTC" }) }),
    answers: { 202: { description: "Begun, as iTrans answers" } },
  },
  (input) => {
    const { from, to } = input.body;
    return operateCore({ ...input, action: "reconciliation.run", subject: `${from}/${to}`, path: `${CORE}/runs` });
  },
);

export const continueReconciliation = operatorOperation(
  {
    method: "post",
    path: "/api/operations/reconciliation/runs/{runId}/continue",
    summary: "Let a run go on at once; one that failed goes on where it was",
    params: oneRun,
    body: none,
    answers,
  },
  (input) => {
    const { runId } = input.params;
    const path = `${CORE}/runs/${runId}/continue`;
    return operateCore({ ...input, body: undefined, action: "reconciliation.continue", subject: runId, path });
  },
);

export const readReconciliationReport = operatorOperation(
  {
    method: "get",
    path: "/api/operations/reconciliation/runs/{runId}/report.csv",
    summary: "The report of a run that has ended",
    params: oneRun,
    body: none,
    answers: { 200: { description: "A line for each item, as CSV" } },
  },
  async ({ hub, params, correlationId }) => {
    if (!hub.core.operates) return NO_OPERATOR_KEY;
    const path = `${CORE}/runs/${params.runId}/report.csv`;
    const accept = "text/csv, application/problem+json";
    const answer = await hub.core.call({ method: "GET", path, surface: "operator", accept, correlationId });
    const passed = passOn(answer, correlationId);
    if (passed.type === "raw" && passed.response.ok) {
      const name = `reconciliation-${params.runId}.csv`;
      passed.response.headers.set("content-disposition", `attachment; filename="${name}"`);
    }
    return passed;
  },
);

export const ownReconciliationItem = operatorOperation(
  {
    method: "put",
    path: "/api/operations/reconciliation/items/{itemId}/owner",
    summary: "Take an item, or leave it to others",
    params: oneItem,
    body: z.strictObject({ mine: z.boolean() }),
    answers,
  },
  ({ body, ...input }) => {
    const subject = String(input.params.itemId);
    return operateCore({
      ...input,
      action: body.mine ? "reconciliation.take" : "reconciliation.leave",
      subject,
      method: "PUT",
      path: `${CORE}/items/${subject}/owner`,
      body: { owner: body.mine ? input.actor.name : null },
    });
  },
);

export const resolveReconciliationItem = operatorOperation(
  {
    method: "post",
    path: "/api/operations/reconciliation/items/{itemId}/resolve",
    summary: "Ask both sides again, send again what is missing there, or let a difference stand",
    params: oneItem,
    body: z.discriminatedUnion("action", [
      z.strictObject({ action: z.literal("ask") }),
      z.strictObject({ action: z.literal("replay") }),
      z.strictObject({ action: z.literal("accept"), reason: reasonCode }),
    ]),
    answers,
  },
  (input) => {
    const subject = String(input.params.itemId);
    const { body } = input;
    return operateCore({
      ...input,
      action: `reconciliation.${body.action}`,
      subject,
      detail: body.action === "accept" ? body.reason : undefined,
      path: `${CORE}/items/${subject}/resolve`,
    });
  },
);
