/** What the operator's commands on the anchor answer. */
import { z } from "@hono/zod-openapi";
import type { AnchorCommandAnswer } from "../../durable-objects/ledger-anchor.ts";
import type { Problem } from "../platform/problem.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { signerView, signerViewSchema } from "./anchor-record-view.ts";
import { anchorSettings } from "./policy.ts";

export const commandAnswerSchema = z
  .object({
    action: z
      .string()
      .nullable()
      .openapi({ description: "What was decided last: submit, replace, wait, idle, halt and the like." }),
    signer: signerViewSchema,
  })
  .openapi("AnchorCommandAnswer");

type Answered =
  | { readonly ok: true; readonly answer: z.output<typeof commandAnswerSchema> }
  | { readonly ok: false; readonly problem: Problem };

/** Known before the anchor's object is asked. */
export function anchoringOff(settings: CoreSettings, signerKey: string): Problem | undefined {
  const anchoring = anchorSettings(settings, signerKey);
  return anchoring.type === "disabled" ? offProblem(anchoring.reason) : undefined;
}

const offProblem = (reason: string): Problem => ({ code: "conflict", detail: `Anchoring is off: ${reason}` });

const RETRY_SECONDS = 10;

export function commandAnswer({ outcome, action, status }: AnchorCommandAnswer): Answered {
  switch (outcome) {
    case "taken":
      return { ok: true, answer: { action, signer: signerView(status) } };
    case "nothing-to-supersede":
      return refused("conflict", "Nothing is anchored and nothing is in flight, so there is nothing to supersede.");
    case "disabled":
      return { ok: false, problem: offProblem(status.reason ?? "no reason is known.") };
    case "chain-out-of-reach":
      return refused("unavailable", "No node answers, so nothing was done or recorded. Try again when one does.");
    case "failed":
      return refused(
        "unavailable",
        "It failed half way; what was taken is carried out by itself. Look at the anchors.",
      );
  }
}

const refused = (code: "conflict" | "unavailable", detail: string): Answered => ({
  ok: false,
  problem: { code, detail, ...(code === "unavailable" ? { retryAfterSeconds: RETRY_SECONDS } : {}) },
});
