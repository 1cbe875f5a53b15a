import { describe, expect, it } from "vitest";
import {
  decideRequest,
  decisionOf,
  evolveRequest,
  type RequestCommand,
  type RequestEvent,
  type RequestState,
} from "../../../src/workflow/request.ts";
import {
  acknowledgeCommand,
  adjudicateCommand,
  hashOf,
  INSURER,
  requestState,
  submitCommand,
} from "../../support/commands.ts";

const HASH = requestState().requestIdHash;

/** Every state a request can be in; `+` says that it was acknowledged before. */
const STATES: Readonly<Record<string, RequestState | undefined>> = {
  none: undefined,
  SUBMITTED: requestState(),
  ACKNOWLEDGED: requestState({ status: "ACKNOWLEDGED", acknowledgedSeq: 8 }),
  APPROVED: requestState({ status: "APPROVED", round: 1, adjudicatedSeq: 9 }),
  "APPROVED+": requestState({ status: "APPROVED", round: 1, acknowledgedSeq: 8, adjudicatedSeq: 9 }),
  DENIED: requestState({ status: "DENIED", round: 1, adjudicatedSeq: 9 }),
  "DENIED+": requestState({ status: "DENIED", round: 1, acknowledgedSeq: 8, adjudicatedSeq: 9 }),
  NEEDS_INFO: requestState({ status: "NEEDS_INFO", round: 1, adjudicatedSeq: 9 }),
  "NEEDS_INFO+": requestState({ status: "NEEDS_INFO", round: 1, acknowledgedSeq: 8, adjudicatedSeq: 9 }),
};

const commandsFor = (state: RequestState | undefined): Readonly<Record<string, RequestCommand>> => {
  const round = state?.round ?? 0;
  return {
    submit: submitCommand("R"),
    acknowledge: acknowledgeCommand("R"),
    approve: adjudicateCommand("R", { decision: "APPROVED", round }),
    deny: adjudicateCommand("R", { decision: "DENIED", round }),
    ask: adjudicateCommand("R", { decision: "NEEDS_INFO", round }),
  };
};

/** What is accepted is shown by its command id, what is rejected by its code and decision. */
function shown(state: RequestState | undefined, command: RequestCommand): string {
  const outcome = decideRequest(state, command);
  switch (outcome.type) {
    case "accepted":
      return outcome.commandId;
    case "unchanged":
      return "unchanged";
    case "rejected":
      return "decision" in outcome.rejection
        ? `${outcome.rejection.code} ${outcome.rejection.decision}`
        : outcome.rejection.code;
  }
}

const ACK = `ack:${HASH}`;
const [ADJ0, ADJ1] = [`adj:${HASH}:0`, `adj:${HASH}:1`];
const [APPROVED, DENIED] = ["already_decided APPROVED", "already_decided DENIED"];

//                                     submit        acknowledge   approve      deny         ask
const TABLE: readonly (readonly string[])[] = [
  ["none", /*                       */ "default:R", "not_found", "not_found", "not_found", "not_found"],
  ["SUBMITTED", /*                  */ "unchanged", ACK, ADJ0, ADJ0, ADJ0],
  ["ACKNOWLEDGED", /*               */ "unchanged", "unchanged", ADJ0, ADJ0, ADJ0],
  ["APPROVED", /*                   */ "unchanged", APPROVED, "unchanged", APPROVED, APPROVED],
  ["APPROVED+", /*                  */ "unchanged", "unchanged", "unchanged", APPROVED, APPROVED],
  ["DENIED", /*                     */ "unchanged", DENIED, DENIED, "unchanged", DENIED],
  ["DENIED+", /*                    */ "unchanged", "unchanged", DENIED, "unchanged", DENIED],
  ["NEEDS_INFO", /*                 */ "unchanged", "already_decided NEEDS_INFO", ADJ1, ADJ1, "unchanged"],
  ["NEEDS_INFO+", /*                */ "unchanged", "unchanged", ADJ1, ADJ1, "unchanged"],
];

const CASES = TABLE.flatMap(([state = "", ...outcomes]) =>
  Object.entries(commandsFor(STATES[state])).map(([name, command], i) => ({
    state,
    name,
    command,
    outcome: outcomes[i],
  })),
);

describe("deciding on a request", () => {
  it("has a row for every state and a column for every command", () => {
    expect(TABLE.map(([state]) => state)).toEqual(Object.keys(STATES));
    expect(CASES).toHaveLength(45);
  });

  it.each(CASES)("$state, $name: $outcome", ({ state, command, outcome }) => {
    expect(shown(STATES[state], command)).toBe(outcome);
  });

  it("sends a decision back that was made for another round, and takes it for the new one", () => {
    const state = STATES.NEEDS_INFO;
    expect(decideRequest(state, adjudicateCommand("R", { round: 0 }))).toEqual({
      type: "rejected",
      rejection: { code: "round_moved", round: 1 },
    });
    expect(shown(state, adjudicateCommand("R", { round: 1 }))).toBe(ADJ1);
  });

  it("keeps the same decision and a final one from being mistaken for a round that moved", () => {
    expect(shown(STATES.APPROVED, adjudicateCommand("R", { round: 0 }))).toBe("unchanged");
    expect(shown(STATES.DENIED, adjudicateCommand("R", { round: 0 }))).toBe(DENIED);
  });

  it("gives another tenant's request of the same id another command id", () => {
    expect(shown(undefined, submitCommand("R", { tenantId: "other" }))).toBe("other:R");
  });

  it("knows what is decided", () => {
    const decided = Object.entries(STATES).flatMap(([name, state]) =>
      state === undefined ? [] : [[name, decisionOf(state)]],
    );
    expect(Object.fromEntries(decided)).toEqual({
      SUBMITTED: undefined,
      ACKNOWLEDGED: undefined,
      APPROVED: "APPROVED",
      "APPROVED+": "APPROVED",
      DENIED: "DENIED",
      "DENIED+": "DENIED",
      NEEDS_INFO: "NEEDS_INFO",
      "NEEDS_INFO+": "NEEDS_INFO",
    });
  });
});

describe("a request's evolution", () => {
  const submitted: RequestEvent = { type: "REQUEST_SUBMITTED", command: submitCommand("R") };
  const acknowledged: RequestEvent = { type: "REQUEST_ACKNOWLEDGED", actor: "insurer-key" };
  const decided = (decision: "APPROVED" | "NEEDS_INFO", round: number): RequestEvent => ({
    type: "REQUEST_ADJUDICATED",
    actor: "insurer-key",
    decision,
    decisionHash: hashOf(decision),
    round,
  });

  it("goes from submitted over acknowledged, asked and approved, each with its seq", () => {
    let state = evolveRequest(undefined, submitted, 10);
    expect(state).toEqual(requestState({ submittedSeq: 10, insurerAddress: INSURER }));
    state = evolveRequest(state, acknowledged, 11);
    expect(state).toMatchObject({ status: "ACKNOWLEDGED", acknowledgedSeq: 11, adjudicatedSeq: undefined, round: 0 });
    state = evolveRequest(state, decided("NEEDS_INFO", 0), 12);
    expect(state).toMatchObject({
      status: "NEEDS_INFO",
      adjudicatedSeq: 12,
      round: 1,
      decisionHash: hashOf("NEEDS_INFO"),
    });
    state = evolveRequest(state, decided("APPROVED", 1), 13);
    expect(state).toEqual(
      requestState({
        status: "APPROVED",
        submittedSeq: 10,
        acknowledgedSeq: 11,
        adjudicatedSeq: 13,
        round: 2,
        decisionHash: hashOf("APPROVED"),
      }),
    );
  });

  it("does not begin with anything but a submission", () => {
    expect(() => evolveRequest(undefined, acknowledged, 1)).toThrow("REQUEST_ACKNOWLEDGED without a request");
    expect(() => evolveRequest(undefined, decided("APPROVED", 0), 1)).toThrow("REQUEST_ADJUDICATED without a request");
  });
});
