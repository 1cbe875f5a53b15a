import { z } from "@hono/zod-openapi";
import { passOn } from "../bridge/forward.edge.ts";
import { none, operatorOperation } from "../operation.edge.ts";
import { NO_OPERATOR_KEY } from "./core-answer.edge.ts";

/** Core gives proofs by the request that an entry is about. */
export const readEntryProof = operatorOperation(
  {
    method: "get",
    path: "/api/operations/ledger/entries/{seq}/proof",
    summary: "The offline proof of an entry about a request, as JSON",
    params: z.object({
      seq: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
      subject: z.string().regex(/^0x[0-9a-f]{64}$/),
    }),
    body: none,
    answers: { 200: { description: "The proof bundle, as iTrans answers" } },
  },
  async ({ hub, params, correlationId }) => {
    if (!hub.core.operates) return NO_OPERATOR_KEY;
    const path = `/workflow/requests/${params.subject}/proof?seq=${params.seq}`;
    return passOn(await hub.core.call({ method: "GET", path, surface: "operator", correlationId }), correlationId);
  },
);
