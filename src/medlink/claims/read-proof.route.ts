import { z } from "@hono/zod-openapi";
import { viewed } from "../audit/audited.edge.ts";
import { passOn } from "../bridge/forward.edge.ts";
import { none, notFound, operation, refuse } from "../operation.edge.ts";
import { findClaim } from "./claims.store.ts";

const FORMS = {
  json: { accept: "application/json", extension: "json" },
  text: { accept: "text/plain", extension: "txt" },
} as const;

export const readProof = operation(
  {
    method: "get",
    path: "/api/claims/{claimId}/proof",
    summary: "The offline proof that a claim's entry is in the ledger: its newest entry, or the one of `seq`",
    params: z.object({
      claimId: z.string(),
      format: z.enum(["json", "text"]).default("json"),
      seq: z
        .string()
        .regex(/^\d{1,15}$/, "a whole number")
        .optional(),
    }),
    body: none,
    answers: { 200: { description: "The proof as core made it; to save, or to print", schema: z.unknown() } },
  },
  async (input) => {
    const { hub, user, params, correlationId } = input;
    const claim = await findClaim(hub.db, hub.fields, user.clinicId, params.claimId);
    if (claim === undefined) return notFound("claim");
    if (claim.requestId === undefined) return refuse("conflict", "This claim is not in the ledger yet.");
    const { accept, extension } = FORMS[params.format];
    const seq = params.seq === undefined ? "" : `?seq=${params.seq}`;
    const [answer] = await Promise.all([
      hub.core.call({
        method: "GET",
        path: `/workflow/requests/${encodeURIComponent(claim.requestId)}/proof${seq}`,
        surface: "workflow",
        accept,
        correlationId,
      }),
      viewed(input, "claim.proof", claim.claimId),
    ]);
    const passed = passOn(answer, correlationId);
    if (passed.type !== "raw" || passed.response.status !== 200) return passed;
    passed.response.headers.set("content-disposition", `attachment; filename="${claim.claimId}-proof.${extension}"`);
    passed.response.headers.set("cache-control", "no-store");
    return passed;
  },
);
