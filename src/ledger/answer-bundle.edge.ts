/** A proof bundle as an answer: JSON, or the text form for those who ask for text/plain. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { formatTextProof } from "./bundle.ts";
import { bundleAnswerSchema } from "./proof-schema.ts";
import { proofBundle } from "./published.edge.ts";

/** What a route's document says of it. */
export const bundleResponses = {
  200: {
    description:
      "The offline proof: the entry, its inclusion in the newest checkpoint, and the chain's anchor if it is final.",
    content: {
      "application/json": { schema: bundleAnswerSchema },
      "text/plain": { schema: z.string() },
    },
  },
  ...problemResponses(401, 403, 404, 429),
};

const wantsText = (accept: string | undefined): boolean =>
  accept !== undefined && /\btext\/plain\b/i.test(accept) && !/\bapplication\/json\b/i.test(accept);

/** @param seq of the entry that is proved. */
export async function answerBundle(c: Context<CoreAppEnv>, seq: number) {
  const answer = await proofBundle(c.env, c.get("settings"), seq);
  if (answer.type === "problem") return answerProblem(c, answer.problem);
  const { bundle, hashes, anchored } = answer;
  const headers = { "cache-control": "no-store", vary: "accept" };
  if (wantsText(c.req.header("accept"))) {
    const text = formatTextProof({ index: bundle.index, hashes, checkpoint: bundle.checkpoint });
    return c.text(text, 200, headers);
  }
  return c.json({ ...bundle, anchored }, 200, headers);
}
