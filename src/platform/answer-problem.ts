import type { Context, TypedResponse } from "hono";
import { type Problem, type ProblemDocument, type ProblemStatus, problemDocument, statusOf } from "./problem.ts";

/** A typed route's answer for a problem; the document of the route lists the statuses with `problemResponses`. */
export function answerProblem<Env extends { Variables: { correlationId: string } }>(
  c: Context<Env>,
  problem: Problem,
): Response & TypedResponse<ProblemDocument, ProblemStatus, "json"> {
  const correlationId: string = c.get("correlationId");
  const retryAfter = problem.retryAfterSeconds;
  return c.json<ProblemDocument, ProblemStatus>(problemDocument(problem, correlationId), statusOf(problem.code), {
    "content-type": "application/problem+json",
    ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
  });
}
