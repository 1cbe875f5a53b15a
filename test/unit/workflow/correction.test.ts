import { describe, expect, it } from "vitest";
import { EMPTY_HEAD } from "../../../src/ledger/head.ts";
import {
  aggregateKey,
  type Command,
  type CommitContext,
  type EventDestination,
  planCommit,
} from "../../../src/workflow/commit-plan.ts";
import { currentOf, decideCorrection, MAX_SUCCESSORS, type Predecessor } from "../../../src/workflow/correction.ts";
import { decideRequest, type RequestState } from "../../../src/workflow/request.ts";
import {
  acknowledgeCommand,
  adjudicateCommand,
  eraseRequestCommand,
  hashOf,
  INSURER,
  requestState,
  submitCommand,
} from "../../support/commands.ts";

const NEXT = hashOf("next");
const OTHER_INSURER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

const correcting = (requestId: string, corrected: string, incidentTicket?: string) =>
  submitCommand(requestId, { corrects: { requestId: corrected, lookup: corrected, incidentTicket } });

const medlink: EventDestination = {
  destinationId: "medlink",
  tenantId: "default",
  kind: "MEDLINK",
  insurerAddress: undefined,
  deliverAfter: "commit",
  // As a row could say that was written by hand.
  eventTypes: ["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED", "REQUEST_ADJUDICATED", "REQUEST_CORRECTED", "ERASED"],
};

const plan = (commands: readonly Command[], over: Partial<CommitContext> = {}) =>
  planCommit(
    EMPTY_HEAD,
    { requests: new Map(), claims: new Map(), settlements: new Map(), destinations: [medlink], ...over },
    commands,
    1_790_000_000_000,
    { ledgerId: "main", chainId: 31_337 },
  );

const said = (result: ReturnType<typeof plan>["results"][number]): string =>
  result.type === "rejected" ? result.rejection.code : result.type;

describe("whether a request may be superseded", () => {
  const fresh: Predecessor = { requestIdHash: hashOf("R"), supersededBy: undefined, settled: false };
  it.each<[string, Predecessor | undefined, unknown]>([
    ["there is none", undefined, { code: "corrects_unknown" }],
    ["it stands", fresh, undefined],
    ["it has a successor", { ...fresh, supersededBy: NEXT }, { code: "superseded", successor: NEXT }],
    ["it is settled", { ...fresh, settled: true }, { code: "needs_reversal" }],
    [
      "it is settled and has a successor",
      { ...fresh, supersededBy: NEXT, settled: true },
      { code: "superseded", successor: NEXT },
    ],
  ])("%s", (_what, predecessor, outcome) => {
    expect(decideCorrection(predecessor)).toEqual(outcome);
  });

  it.each(["SUBMITTED", "ACKNOWLEDGED", "APPROVED", "DENIED", "NEEDS_INFO"] as const)("%s: it may", (status) => {
    const planned = plan([correcting("R2", "R")], {
      requests: new Map([[aggregateKey("default", "R"), requestState({ status })]]),
    });
    expect(planned.results.map(said)).toEqual(["committed"]);
  });

  it("lets the successor go to another insurer and be of another kind: those may be what was wrong", () => {
    const moved = { ...correcting("R2", "R"), insurerAddress: OTHER_INSURER, requestType: "PREAUTH" } as const;
    expect(plan([submitCommand("R"), moved]).results.map(said)).toEqual(["committed", "committed"]);
  });

  it("does not look into another tenant", () => {
    const foreign = { ...correcting("R2", "R"), tenantId: "other" };
    expect(plan([submitCommand("R"), foreign]).results.map(said)).toEqual(["committed", "corrects_unknown"]);
  });
});

describe("what a superseded request still takes", () => {
  const over = (facts: Partial<RequestState>) => requestState({ supersededBy: NEXT, ...facts });
  const rejected = { type: "rejected", rejection: { code: "superseded", successor: NEXT } };
  it.each([
    ["a first acknowledgement", over({}), acknowledgeCommand("R"), rejected],
    ["a first decision", over({}), adjudicateCommand("R"), rejected],
    [
      "a decision after more was asked for",
      over({ status: "NEEDS_INFO", round: 1 }),
      adjudicateCommand("R", { round: 1 }),
      rejected,
    ],
    ["another decision", over({ status: "DENIED", round: 1 }), adjudicateCommand("R"), rejected],
    [
      "the acknowledgement it had",
      over({ status: "ACKNOWLEDGED", acknowledgedSeq: 8 }),
      acknowledgeCommand("R"),
      { type: "unchanged" },
    ],
    ["the decision it had", over({ status: "APPROVED", round: 1 }), adjudicateCommand("R"), { type: "unchanged" }],
    ["the submit it had", over({}), submitCommand("R"), { type: "unchanged" }],
  ] as const)("%s", (_what, state, command, outcome) => {
    expect(decideRequest(state, command)).toEqual(outcome);
  });
});

describe("a correction's commit", () => {
  const planned = plan([submitCommand("R"), correcting("R2", "R", "INC-7")]);

  it("links both requests in the ledger, under one command", () => {
    expect(
      planned.entries.slice(1).map(({ encoded, commandId, commandIndex }) => ({
        commandId,
        commandIndex,
        type: encoded.entry.type,
        subject: encoded.entry.subject,
        data: encoded.entry.data,
      })),
    ).toEqual([
      {
        commandId: "default:R2",
        commandIndex: 0,
        type: "REQUEST_SUBMITTED",
        subject: hashOf("R2"),
        data: {
          tenant: "default",
          submitter: "workflow",
          insurer: INSURER,
          requestType: "CLAIM",
          corrects: hashOf("R"),
          incidentTicket: "INC-7",
        },
      },
      {
        commandId: "default:R2",
        commandIndex: 1,
        type: "REQUEST_CORRECTED",
        subject: hashOf("R"),
        data: { actor: "workflow", supersededBy: hashOf("R2"), incidentTicket: "INC-7" },
      },
    ]);
  });

  it("links both in the projection and answers with the new request's own entry", () => {
    expect(planned.requests).toMatchObject([
      { requestId: "R", supersededBy: hashOf("R2"), corrects: undefined },
      { requestId: "R2", supersededBy: undefined, corrects: hashOf("R"), incidentTicket: "INC-7" },
    ]);
    expect(planned.results[1]).toMatchObject({
      entry: { seq: 1 },
      state: { kind: "request", request: { requestId: "R2" } },
    });
  });

  it("tells receivers of the new request only: they know three types of event", () => {
    expect(planned.outbox.map(({ eventType, subject }) => [eventType, subject])).toEqual([
      ["REQUEST_SUBMITTED", hashOf("R")],
      ["REQUEST_SUBMITTED", hashOf("R2")],
    ]);
  });

  it("tells receivers of no erasure either, even one that asked for it", () => {
    const { entries, outbox } = plan([submitCommand("R"), eraseRequestCommand("R")]);
    expect(entries.map(({ encoded }) => encoded.entry.type)).toEqual(["REQUEST_SUBMITTED", "ERASED"]);
    expect(outbox.map(({ eventType }) => eventType)).toEqual(["REQUEST_SUBMITTED"]);
  });

  it("leaves the ticket out of the entries when there is none", () => {
    const { entries } = plan([submitCommand("R"), correcting("R2", "R")]);
    expect(entries.slice(1).map(({ encoded }) => "incidentTicket" in encoded.entry.data)).toEqual([false, false]);
  });

  it("lets one of two successors in the same group through, by whatever id they name it", () => {
    const erased = requestState({ requestId: hashOf("R"), erasedSeq: 3 });
    const requests = new Map([
      [aggregateKey("default", "R"), erased],
      [aggregateKey("default", hashOf("R")), erased],
    ]);
    const { results, entries } = plan([correcting("R2", "R"), correcting("R3", hashOf("R"))], { requests });
    expect(results.map(said)).toEqual(["committed", "superseded"]);
    expect(entries).toHaveLength(2);
  });

  it("refuses a request that corrects itself, new or taken", () => {
    expect(plan([correcting("R", "R")]).results.map(said)).toEqual(["corrects_unknown"]);
    expect(plan([submitCommand("R"), correcting("R", "R")]).results.map(said)).toEqual(["committed", "unchanged"]);
  });
});

describe("any sequence of submits, corrections, resends and erasures", () => {
  /** mulberry32: the same sequence for the same seed. */
  function randomOf(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    };
  }

  it.each([1, 2, 3, 4, 5, 6, 7, 8])("makes chains that have one successor each and never close (seed %i)", (seed) => {
    const random = randomOf(seed);
    const pick = () => `R${Math.floor(random() * 12)}`;
    const commands = Array.from({ length: 200 }, (_, i): Command => {
      // A resend draws another subject: its salt is new, and must come to nothing.
      const over = { requestIdHash: hashOf(`${i}`) };
      const roll = random();
      if (roll < 0.1) return eraseRequestCommand(pick());
      return roll < 0.3 ? submitCommand(pick(), over) : { ...correcting(pick(), pick()), ...over };
    });
    const { requests } = plan(commands);
    const bySubject = new Map(requests.map((request) => [request.requestIdHash, request]));
    expect(requests.filter(({ corrects }) => corrects !== undefined).length).toBeGreaterThan(0);
    const corrected = requests.flatMap(({ corrects }) => (corrects === undefined ? [] : [corrects]));
    expect(new Set(corrected).size).toBe(corrected.length);
    for (const request of requests) {
      if (request.supersededBy !== undefined) {
        const successor = bySubject.get(request.supersededBy);
        expect(successor?.corrects).toBe(request.requestIdHash);
        // Always newer: so no walk forward comes back.
        expect(successor?.submittedSeq).toBeGreaterThan(request.submittedSeq);
      }
      if (request.corrects !== undefined) {
        expect(bySubject.get(request.corrects)?.supersededBy).toBe(request.requestIdHash);
      }
    }
  });
});

describe("the current one of a chain", () => {
  const chain = (length: number) =>
    new Map(Array.from({ length }, (_, i): [string, string] => [hashOf(`${i}`), hashOf(`${i + 1}`)]));

  it.each([0, 1, 2, 50, MAX_SUCCESSORS])("after %i corrections is the last", (length) => {
    expect(currentOf(hashOf("0"), chain(length))).toEqual({ type: "current", requestIdHash: hashOf(`${length}`) });
  });

  it("is given up on past the bound, and in a ring that only damage could make", () => {
    expect(currentOf(hashOf("0"), chain(MAX_SUCCESSORS + 1))).toEqual({ type: "endless" });
    const ring = new Map([
      ["a", "b"],
      ["b", "a"],
    ]);
    expect(currentOf("a", ring)).toEqual({ type: "endless" });
  });
});
