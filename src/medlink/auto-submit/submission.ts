/**
 * Reads core's answer to a submission. Any 2xx with both ids is final. 502, 503 and 504 are no answer of core: something
 * before it speaks, or it cannot take anything now. Everything else is a refusal, and tried again.
 */
import * as z from "zod";
import type { AttemptOutcome } from "./job.ts";

const idsSchema = z.object({
  requestId: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/),
  requestIdHash: z.string().regex(/^0x[0-9a-f]{64}$/),
});

const problemSchema = z.object({ code: z.string().regex(/^[a-z_]{1,40}$/) });

const UNREACHED: ReadonlySet<number> = new Set([502, 503, 504]);

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** @returns the outcome; its error is a closed code with the upstream's own, never upstream text. */
export function readSubmission(answer: { readonly status: number; readonly text: string }): AttemptOutcome {
  const body = parseJson(answer.text);
  if (answer.status >= 200 && answer.status < 300) {
    const ids = idsSchema.safeParse(body);
    if (ids.success) return { type: "accepted", ...ids.data, status: answer.status };
    return { type: "refused", error: "upstream_answer_without_ids", status: answer.status };
  }
  const problem = problemSchema.safeParse(body);
  const suffix = problem.success ? `:${problem.data.code}` : "";
  const error = `upstream_${answer.status}${suffix}`;
  return { type: UNREACHED.has(answer.status) ? "unreached" : "refused", error, status: answer.status };
}

/** What an attempt shows of core; undefined when core was not asked. */
export const reached = (outcome: AttemptOutcome): boolean | undefined => {
  switch (outcome.type) {
    case "accepted":
      return true;
    case "refused":
      return outcome.status === undefined ? undefined : true;
    case "unreached":
      return false;
  }
};
