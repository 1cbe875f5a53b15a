import { describe, expect, it } from "vitest";
import {
  type ClaimCommand,
  type ClaimEvent,
  type ClaimState,
  decideClaim,
  evolveClaim,
} from "../../../src/workflow/claim.ts";
import { claimState, createClaimCommand, finalizeCommand, settleCommand } from "../../support/commands.ts";

const HASH = claimState().claimIdHash;

const STATES: Readonly<Record<string, ClaimState | undefined>> = {
  none: undefined,
  CREATED: claimState(),
  FINALIZED: claimState({ status: "FINALIZED", finalizedSeq: 4 }),
  SETTLEMENT_PENDING: claimState({ status: "SETTLEMENT_PENDING", finalizedSeq: 4, settlementSeq: 5 }),
  SETTLED: claimState({ status: "SETTLED", finalizedSeq: 4, settlementSeq: 5 }),
};

const COMMANDS: Readonly<Record<string, ClaimCommand>> = {
  create: createClaimCommand("C"),
  finalize: finalizeCommand("C"),
  settle: settleCommand("C"),
};

//                           create             finalize            settle
const TABLE: readonly (readonly string[])[] = [
  ["none", /*             */ "claim:default:C", "not_found", "not_found"],
  ["CREATED", /*          */ "unchanged", `finalize:${HASH}`, "out_of_order CREATED"],
  ["FINALIZED", /*        */ "unchanged", "unchanged", `settle:${HASH}`],
  ["SETTLEMENT_PENDING", /* */ "unchanged", "unchanged", "unchanged"],
  ["SETTLED", /*          */ "unchanged", "unchanged", "unchanged"],
];

const CASES = TABLE.flatMap(([state = "", ...outcomes]) =>
  Object.entries(COMMANDS).map(([name, command], i) => ({ state, name, command, outcome: outcomes[i] })),
);

function shown(state: ClaimState | undefined, command: ClaimCommand): string {
  const outcome = decideClaim(state, command);
  if (outcome.type === "accepted") return outcome.commandId;
  if (outcome.type === "unchanged") return "unchanged";
  return "status" in outcome.rejection
    ? `${outcome.rejection.code} ${outcome.rejection.status}`
    : outcome.rejection.code;
}

describe("deciding on a claim", () => {
  it("has a row for every state", () => {
    expect(TABLE.map(([state]) => state)).toEqual(Object.keys(STATES));
  });

  it.each(CASES)("$state, $name: $outcome", ({ state, command, outcome }) => {
    expect(shown(STATES[state], command)).toBe(outcome);
  });

  it("never settles by itself: asking for the money is not having it", () => {
    expect(decideClaim(STATES.FINALIZED, settleCommand("C"))).toMatchObject({
      events: [{ type: "SETTLEMENT_CREATED", actor: "claims" }],
    });
  });
});

describe("a claim's evolution", () => {
  const created: ClaimEvent = { type: "CLAIM_CREATED", command: createClaimCommand("C") };
  const finalized: ClaimEvent = { type: "CLAIM_FINALIZED", actor: "claims" };
  const asked: ClaimEvent = { type: "SETTLEMENT_CREATED", actor: "claims" };

  it("goes from created over finalized to a settlement under way, each with its seq", () => {
    const first = evolveClaim(undefined, created, 3);
    expect(first).toEqual(claimState());
    const second = evolveClaim(first, finalized, 4);
    expect(second).toEqual(STATES.FINALIZED);
    expect(evolveClaim(second, asked, 5)).toEqual(STATES.SETTLEMENT_PENDING);
  });

  it("begins with its creation only", () => {
    expect(() => evolveClaim(undefined, finalized, 1)).toThrow("CLAIM_FINALIZED without a claim");
    expect(() => evolveClaim(undefined, asked, 1)).toThrow("SETTLEMENT_CREATED without a claim");
  });
});
