/** Sending a claim command and shaping its answer. */
import type { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import type { Problem } from "../platform/problem.ts";
import type { ClaimCommand } from "./claim.ts";
import { type claimAnswerSchema, claimFacts } from "./claim-view.ts";
import { sequence } from "./sequencer.client.ts";

/** Our own ids are shorter. A group of commands is one statement's parameter, which ids from a path must not overfill. */
const MAX_CLAIM_ID_LENGTH = 128;

export type ClaimAnswered =
  | { readonly type: "answered"; readonly answer: z.output<typeof claimAnswerSchema> }
  | { readonly type: "problem"; readonly problem: Problem };

export async function answerClaimCommand(c: Context<CoreAppEnv>, command: ClaimCommand): Promise<ClaimAnswered> {
  const { settings, correlationId } = c.var;
  if (command.claimId.length > MAX_CLAIM_ID_LENGTH) {
    return { type: "problem", problem: { code: "not_found", detail: "There is nothing of this id in your tenant." } };
  }
  const sequenced = await sequence(c.env, settings.LEDGER_ID, command);
  if (sequenced.type === "problem") return sequenced;
  const { type, state, entry } = sequenced.result;
  if (state.kind !== "claim") throw new Error("a claim command answers with a claim");
  return {
    type: "answered",
    answer: {
      ...claimFacts(state.claim),
      changed: type === "committed",
      ledger: entry === undefined ? null : { id: settings.LEDGER_ID, ...entry },
      correlationId,
    },
  };
}
