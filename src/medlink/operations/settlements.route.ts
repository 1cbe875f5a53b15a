/** Settlements decided over the hub: what became of one, or sent again. Core decides; the hub notes who asked. */
import { z } from "@hono/zod-openapi";
import { REF_ID } from "../../settlement/ref-id.ts";
import { none, operatorOperation } from "../operation.edge.ts";
import { operateCore } from "./core-answer.edge.ts";
import { reasonCode } from "./reason-code.ts";

const answers = { 200: { description: "As iTrans answers" } };

const oneSettlement = z.object({ refId: z.string().regex(REF_ID) });

export const resolveSettlement = operatorOperation(
  {
    method: "post",
    path: "/api/operations/settlements/{refId}/resolve",
    summary: "Say what became of a settlement, where the payer's operator can not be asked",
    params: oneSettlement,
    body: z.strictObject({
      outcome: z.enum(["COMPLETED", "REJECTED", "FAILED"]),
      reason: reasonCode,
      operatorTransactionId: z
        .string()
        .regex(/^[A-Za-z0-9._:-]{1,64}$/)
        .optional()
        .openapi({ description: "Only of what is completed" }),
    }),
    answers,
  },
  (input) => {
    const { refId } = input.params;
    const path = `/settlements/${refId}/resolve`;
    const { outcome, reason } = input.body;
    return operateCore({
      ...input,
      action: "settlement.resolve",
      subject: refId,
      detail: `${outcome} ${reason}`,
      path,
    });
  },
);

export const replaySettlement = operatorOperation(
  {
    method: "post",
    path: "/api/operations/settlements/{refId}/replay",
    summary:
      "Send a failed or rejected settlement again under its own name, once the operator says that it does not have it",
    params: oneSettlement,
    body: none,
    answers,
  },
  (input) => {
    const { refId } = input.params;
    const path = `/settlements/${refId}/replay`;
    return operateCore({ ...input, body: undefined, action: "settlement.replay", subject: refId, path });
  },
);
