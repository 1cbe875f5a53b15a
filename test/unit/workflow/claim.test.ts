import { describe, expect, it } from "vitest";
import {
  type ClaimCommand,
  type ClaimEvent,
  type ClaimState,
  decideClaim,
  evolveClaim,
} from "../../../src/workflow/claim.ts";
import { claimState, createClaimCommand, finalizeCommand } from "../../support/commands.ts";

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
};

//                           create             finalize
const TABLE: readonly (readonly string[])[] = [
  ["none", /*             */ "claim:default:C", "not_found"],
  ["CREATED", /*          */ "unchanged", `finalize:${HASH}`],
  ["FINALIZED", /*        */ "unchanged", "unchanged"],
  ["SETTLEMENT_PENDING", /* */ "unchanged", "unchanged"],
  ["SETTLED", /*          */ "unchanged", "unchanged"],
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
});

describe("a claim's evolution", () => {
  const created: ClaimEvent = { type: "CLAIM_CREATED", command: createClaimCommand("C") };
  const finalized: ClaimEvent = { type: "CLAIM_FINALIZED", actor: "claims" };

  it("goes from created to finalized, each with its seq", () => {
    const first = evolveClaim(undefined, created, 3);
    expect(first).toEqual(claimState());
    expect(evolveClaim(first, finalized, 4)).toEqual(STATES.FINALIZED);
  });

  it("begins with its creation only", () => {
    expect(() => evolveClaim(undefined, finalized, 1)).toThrow("CLAIM_FINALIZED without a claim");
  });
});
