/** Reads core's answer to a submission. Any 2xx with both ids is final; everything else is tried again. */
import * as z from "zod";
import type { AttemptOutcome } from "./job.ts";

const idsSchema = z.object({
  requestId: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/),
  requestIdHash: z.string().regex(/^0x[0-9a-f]{64}$/),
});

const problemSchema = z.object({ code: z.string().regex(/^[a-z_]{1,40}$/) });

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
  return { type: "refused", error: `upstream_${answer.status}${suffix}`, status: answer.status };
}
