/** Pieces that the API documents of core and hub share. */
import { z } from "@hono/zod-openapi";
import type { Problem, ProblemStatus } from "./problem.ts";

export const problemSchema = z
  .object({
    type: z.string().openapi({ example: "urn:itrans:problem:not_found" }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string(),
    error: z.string(),
    message: z.string(),
    correlationId: z.string(),
    issues: z
      .array(z.object({ path: z.string(), message: z.string() }).readonly())
      .readonly()
      .optional(),
    supersededBy: z.string().optional().openapi({ description: "The successor's requestIdHash." }),
    reason: z.string().optional(),
  })
  .openapi("Problem", { description: "RFC 9457 problem document; `error` and `message` repeat `code` and `detail`." });

export const problemContent = { "application/problem+json": { schema: problemSchema } };

const DESCRIPTIONS = {
  400: "The request is malformed; `issues` names the fields. Nothing was written.",
  401: "No key, a wrong key, or a signature that does not match the payload.",
  403: "The key is for the other surface, or lacks the scope.",
  404: "No such thing in this tenant.",
  409: "It conflicts with what is recorded. Nothing was written.",
  410: "The personal data was erased.",
  413: "The body is over 1 MB.",
  415: "The content type is not application/json.",
  422: "A rule of money does not allow it (`reason` says which), or the Idempotency-Key came with another body.",
  429: "Over the key's rate limit; wait as Retry-After says.",
  502: "The other side could not be reached.",
  503: "Out of service for a moment; the outcome may be unknown. Send the same request again.",
} as const;

type DocumentedStatus = keyof typeof DESCRIPTIONS;

type ProblemResponses = {
  readonly [Status in ProblemStatus]: { readonly description: string; readonly content: typeof problemContent };
};

/**
 * Response entries of a route's document for these error statuses. The type claims every status, so that `answerProblem`
 * may answer with any problem a value brings; the document shows those that are named.
 */
export function problemResponses(...statuses: readonly DocumentedStatus[]): ProblemResponses;
export function problemResponses(...statuses: readonly DocumentedStatus[]): Partial<ProblemResponses> {
  return Object.fromEntries(
    statuses.map((status) => [status, { description: DESCRIPTIONS[status], content: problemContent }]),
  );
}

/** A zod error as a problem: paths and what is wrong there, never the values. */
export function problemFromZod(code: "invalid_body" | "invalid_query", error: z.ZodError): Problem {
  const issues = error.issues.slice(0, 20).map((issue) => ({ path: issue.path.join("."), message: issue.message }));
  const fields = [...new Set(issues.map((issue) => issue.path).filter((path) => path !== ""))].slice(0, 5).join(", ");
  const what = code === "invalid_body" ? "The request body" : "The request's parameters";
  return { code, detail: `${what} can not be accepted${fields === "" ? "" : `: look at ${fields}`}.`, issues };
}
