/** An Idempotency-Key of core that was left PROCESSING, finished over the hub. */
import { z } from "@hono/zod-openapi";
import { none, operatorOperation } from "../operation.edge.ts";
import { operateCore } from "./core-answer.edge.ts";

export const resolveIdempotencyKey = operatorOperation(
  {
    method: "post",
    path: "/api/operations/idempotency-keys/{keyId}/resolve",
    summary: "Finish a key that was left PROCESSING, as the ledger says what happened",
    params: z.object({ keyId: z.string().regex(/^[0-9a-f]{64}$/) }),
    body: none,
    answers: { 200: { description: "As iTrans answers" } },
  },
  (input) => {
    const { keyId } = input.params;
    const path = `/operations/idempotency-keys/${keyId}/resolve`;
    return operateCore({ ...input, body: undefined, action: "idempotency.resolve", subject: keyId, path });
  },
);
