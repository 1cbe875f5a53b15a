/** Calling the sequencer: what it says, as a value; a broken call is asked again with the same command. */
import type { CoreEnv } from "../core/env.ts";
import type { Problem } from "../platform/problem.ts";
import type { Command, CommandResult } from "./commit-plan.ts";
import type { Rejection } from "./request.ts";

const MAX_CALLS = 3;

export type Sequenced =
  | {
      readonly type: "done";
      readonly result: Exclude<CommandResult, { type: "rejected" }>;
      readonly rejection?: undefined;
    }
  | { readonly type: "problem"; readonly problem: Problem; readonly rejection?: Rejection };

const UNKNOWN_OUTCOME: Problem = {
  code: "unavailable",
  detail: "The ledger did not answer in time, so the outcome is not known. Send the same request again.",
  retryAfterSeconds: 3,
};

export async function sequence(env: CoreEnv, ledgerId: string, command: Command): Promise<Sequenced> {
  for (let call = 1; call <= MAX_CALLS; call++) {
    try {
      const appended = await env.SEQUENCER.getByName(ledgerId).append(command);
      switch (appended.type) {
        case "done":
          return appended.result.type === "rejected"
            ? { type: "problem", problem: problemOf(appended.result.rejection), rejection: appended.result.rejection }
            : { type: "done", result: appended.result };
        case "overloaded":
          return {
            type: "problem",
            problem: {
              code: "overloaded",
              detail: "Too many appends are waiting. Try again shortly.",
              retryAfterSeconds: 2,
            },
          };
        case "unavailable":
          return { type: "problem", problem: UNKNOWN_OUTCOME };
      }
    } catch {
      // The object was moved or restarted under the call; whether it committed is told by the next answer.
    }
  }
  return { type: "problem", problem: UNKNOWN_OUTCOME };
}

export function problemOf(rejection: Rejection): Problem {
  switch (rejection.code) {
    case "not_found":
      return { code: "not_found", detail: "There is nothing of this id in your tenant." };
    case "already_decided":
      return {
        code: "already_decided",
        detail: `This request is ${rejection.decision} already. A corrective request can supersede it.`,
      };
    case "round_moved":
      return {
        code: "conflict",
        detail: "Another decision on this request was taken at the same moment. Send yours again.",
      };
    case "corrects_unknown":
      return { code: "not_found", detail: "There is no request of the id in `corrects` in your tenant." };
    case "superseded":
      return {
        code: "superseded",
        detail: `This request was superseded by ${rejection.successor}; go on with that one.`,
        supersededBy: rejection.successor,
      };
    case "needs_reversal":
      return { code: "out_of_order", detail: "This request is settled. Reverse the settlement, then correct it." };
    case "erased":
      return { code: "erased", detail: "The personal data was erased." };
    case "out_of_order":
      return {
        code: "out_of_order",
        detail: `This is ${rejection.status}: a claim is finalized and a request approved before it is settled.`,
      };
    case "amount_moved":
      return { code: "conflict", detail: "Another settlement was made at the same moment. Send yours again." };
    case "settlement_conflict":
      return { code: "conflict", detail: `This settlement is ${rejection.status}, which does not allow it.` };
    case "settlement_refused":
      return { code: "settlement_refused", detail: REFUSALS[rejection.why], reason: rejection.why };
  }
}

const REFUSALS: Readonly<Record<Extract<Rejection, { code: "settlement_refused" }>["why"], string>> = {
  "not-payable": "A pre-authorization moves no money; settle the claim that follows it.",
  "nothing-left": "Nothing is left to pay of what was approved.",
  "over-approved": "With what is paid or on its way it would exceed what was approved.",
  "below-nothing": "It would take back more than was paid.",
  "wrong-currency": "The currency is not that of what was approved.",
  "wrong-amount": "A payment and a reversal are above zero, an adjustment is above or below it.",
  "reverses-unknown":
    "A reversal names, in `reverses`, a payment or an upward adjustment of the same claim or request.",
  "not-completed": "What it reverses is not completed.",
  "over-reversed": "More would be reversed than was paid.",
  "too-many": "There are too many settlements of this claim or request.",
  "replays-spent": "It was replayed too often; make a new settlement.",
};
