/** What acknowledge and adjudicate answer. */
import { z } from "@hono/zod-openapi";
import type { CommandResult } from "./commit-plan.ts";
import { requestFacts } from "./request-view.ts";

/** Notes are the insurer's words about a person: sealed at rest, never in the ledger or a webhook. */
export const notesSchema = z
  .string()
  .max(20_000)
  .refine((text) => text.isWellFormed(), "must be well-formed Unicode")
  .nullish();

export const decidedAnswerSchema = z
  .object({
    requestId: z.string(),
    requestIdHash: z.string(),
    requestType: z.enum(["CLAIM", "PREAUTH"]),
    status: z.string(),
    state: z.string(),
    decision: z.string().nullable(),
    decisionHash: z.string().nullable(),
    changed: z.boolean().openapi({ description: "False: it was so before, nothing was recorded." }),
    ledger: z.object({ id: z.string(), seq: z.number().int(), entryHash: z.string() }).nullable(),
    correlationId: z.string(),
  })
  .openapi("DecidedRequest");

/** @throws Error when the result is not of a request. */
export function decidedAnswer(
  result: Exclude<CommandResult, { type: "rejected" }>,
  ledgerId: string,
  correlationId: string,
): z.output<typeof decidedAnswerSchema> {
  if (result.state.kind !== "request") throw new Error("a request command answers with a request");
  const { requestId, requestIdHash, requestType, status, state, decision, decisionHash } = requestFacts(
    result.state.request,
  );
  return {
    requestId,
    requestIdHash,
    requestType,
    status,
    state,
    decision,
    decisionHash,
    changed: result.type === "committed",
    ledger: result.entry === undefined ? null : { id: ledgerId, ...result.entry },
    correlationId,
  };
}
