import { describe, expect, it } from "vitest";
import { EMPTY_HEAD } from "../../../src/ledger/head.ts";
import {
  aggregateKey,
  type Command,
  type CommitContext,
  type CommitPlan,
  commandBytes,
  type EventDestination,
  planCommit,
  sameAddress,
} from "../../../src/workflow/commit-plan.ts";
import {
  acknowledgeCommand,
  adjudicateCommand,
  claimState,
  createClaimCommand,
  finalizeCommand,
  hashOf,
  INSURER,
  requestState,
  settleCommand,
  submitCommand,
} from "../../support/commands.ts";

const NOW = Date.parse("2026-11-22T10:00:00.500Z");
const OTHER_INSURER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const ALL_EVENTS = ["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED", "REQUEST_ADJUDICATED"];

const destination = (destinationId: string, over: Partial<EventDestination> = {}): EventDestination => ({
  destinationId,
  tenantId: "default",
  kind: "MEDLINK",
  insurerAddress: undefined,
  deliverAfter: "commit",
  eventTypes: ALL_EVENTS,
  ...over,
});

const plan = (commands: readonly Command[], over: Partial<CommitContext> = {}): CommitPlan =>
  planCommit(
    EMPTY_HEAD,
    { requests: new Map(), claims: new Map(), settlements: new Map(), destinations: [], ...over },
    commands,
    NOW,
    {
      ledgerId: "main",
      chainId: 31_337,
    },
  );

const resultTypes = ({ results }: CommitPlan) => results.map(({ type }) => type);
const entryTypes = ({ entries }: CommitPlan) => entries.map(({ encoded }) => encoded.entry.type);
const existing = (over = {}) => new Map([[aggregateKey("default", "R"), requestState(over)]]);

describe("planning a commit", () => {
  it("makes one entry of duplicates in one group, and answers all of them with the same request", () => {
    const [first, second] = [submitCommand("R"), submitCommand("R", { payloadHash: hashOf("other content") })];
    const planned = plan([first, second, first]);
    expect(resultTypes(planned)).toEqual(["committed", "unchanged", "unchanged"]);
    expect(planned.entries.map(({ commandId, commandIndex }) => [commandId, commandIndex])).toEqual([["default:R", 0]]);
    expect(planned.requests).toHaveLength(1);
    expect(planned.payloads).toHaveLength(1);
    expect(planned.payloadKeys).toHaveLength(1);
    const states = planned.results.map((result) => ("state" in result ? result.state : undefined));
    expect(states[1]).toEqual(states[0]);
    expect(states[0]).toMatchObject({ kind: "request", request: { payloadHash: first.payloadHash } });
  });

  it("decides a group's commands for one request on the states before them, and writes its last state once", () => {
    const planned = plan([
      submitCommand("R"),
      acknowledgeCommand("R"),
      adjudicateCommand("R", { decision: "NEEDS_INFO" }),
      adjudicateCommand("R", { decision: "APPROVED", round: 1 }),
      adjudicateCommand("R", { decision: "DENIED", round: 2 }),
    ]);
    expect(resultTypes(planned)).toEqual(["committed", "committed", "committed", "committed", "rejected"]);
    expect(entryTypes(planned)).toEqual([...ALL_EVENTS, "REQUEST_ADJUDICATED"]);
    expect(planned.requests).toMatchObject([{ status: "APPROVED", round: 2, submittedSeq: 0, adjudicatedSeq: 3 }]);
    expect(planned.head).toMatchObject({ version: 1, frontier: { size: 4 } });
    expect(planned.entries.map(({ encoded }) => encoded.entry.prev).slice(1)).toEqual(
      planned.entries.map(({ encoded }) => encoded.hashHex).slice(0, -1),
    );
  });

  it("changes nothing and keeps the head when every command is unchanged or rejected", () => {
    const planned = plan([submitCommand("R"), adjudicateCommand("nobody"), finalizeCommand("nobody")], {
      requests: existing(),
    });
    expect(resultTypes(planned)).toEqual(["unchanged", "rejected", "rejected"]);
    expect(planned).toMatchObject({ changes: false, head: EMPTY_HEAD, entries: [], requests: [], outbox: [] });
  });

  it("keeps equal ids of two tenants and of requests and claims apart", () => {
    const planned = plan([submitCommand("X"), submitCommand("X", { tenantId: "other" }), createClaimCommand("X")]);
    expect(resultTypes(planned)).toEqual(["committed", "committed", "committed"]);
    expect(planned.entries.map(({ commandId }) => commandId)).toEqual(["default:X", "other:X", "claim:default:X"]);
  });

  it("takes a claim from creation to a settlement under way in one group", () => {
    const planned = plan([createClaimCommand("C"), settleCommand("C"), finalizeCommand("C"), settleCommand("C")]);
    expect(resultTypes(planned)).toEqual(["committed", "rejected", "committed", "committed"]);
    expect(entryTypes(planned)).toEqual(["CLAIM_CREATED", "CLAIM_FINALIZED", "SETTLEMENT_CREATED"]);
    expect(planned.claims).toEqual([
      claimState({ status: "SETTLEMENT_PENDING", createdSeq: 0, finalizedSeq: 1, settlementSeq: 2 }),
    ]);
    expect(planned.payloads.map(({ part }) => part)).toEqual(["payload"]);
  });

  it("puts only these facts into entries, none of them personal", () => {
    const planned = plan([
      submitCommand("R"),
      acknowledgeCommand("R"),
      adjudicateCommand("R"),
      createClaimCommand("C"),
    ]);
    expect(planned.entries.map(({ encoded }) => encoded.entry.data)).toEqual([
      { tenant: "default", submitter: "workflow", insurer: INSURER, requestType: "CLAIM" },
      { actor: "insurer-key", insurer: INSURER },
      { actor: "insurer-key", insurer: INSURER, decision: "APPROVED", decisionHash: hashOf("decision"), round: 0 },
      { tenant: "default", submitter: "claims" },
    ]);
    expect(planned.entries.map(({ encoded }) => encoded.entry.commitment)).toEqual([
      hashOf("payload R"),
      undefined,
      undefined,
      hashOf("payload C"),
    ]);
  });

  it("stores the notes of each round as a part of its own, and none where there are none", () => {
    const notes = (sealed: string) => ({ type: "inline", sealed }) as const;
    const planned = plan(
      [
        acknowledgeCommand("R", { notes: notes("a") }),
        adjudicateCommand("R", { decision: "NEEDS_INFO", round: 0, notes: notes("b") }),
        adjudicateCommand("R", { decision: "APPROVED", round: 1, notes: { type: "object", key: "k" } }),
      ],
      { requests: existing() },
    );
    expect(planned.payloads).toEqual([
      { subjectSeq: 7, subject: hashOf("R"), part: "ack", ciphertext: notes("a") },
      { subjectSeq: 7, subject: hashOf("R"), part: "adj:0", ciphertext: notes("b") },
      { subjectSeq: 7, subject: hashOf("R"), part: "adj:1", ciphertext: { type: "object", key: "k" } },
    ]);
    expect(plan([acknowledgeCommand("R")], { requests: existing() }).payloads).toEqual([]);
  });
});

describe("outbox rows", () => {
  const lifecycle = [submitCommand("R"), acknowledgeCommand("R"), adjudicateCommand("R")];
  const routed = (...destinations: readonly EventDestination[]) =>
    plan(lifecycle, { destinations }).outbox.map(({ destinationId, eventType }) => `${destinationId} ${eventType}`);

  it("go to the tenant's MedLink and to the request's insurer, in ledger order", () => {
    expect(
      routed(
        destination("medlink"),
        destination("insurer", { kind: "INSURER", insurerAddress: INSURER.toLowerCase() }),
      ),
    ).toEqual(ALL_EVENTS.flatMap((type) => [`medlink ${type}`, `insurer ${type}`]));
  });

  it.each<[string, EventDestination]>([
    ["another tenant's MedLink", destination("x", { tenantId: "other" })],
    [
      "another tenant's insurer of the same address",
      destination("x", { tenantId: "other", kind: "INSURER", insurerAddress: INSURER }),
    ],
    ["another insurer", destination("x", { kind: "INSURER", insurerAddress: OTHER_INSURER })],
    ["an insurer without an address", destination("x", { kind: "INSURER" })],
    ["one that asked for no event", destination("x", { eventTypes: [] })],
    ["one that asked for events nobody knows", destination("x", { eventTypes: ["REQUEST_CORRECTED"] })],
  ])("never go to %s", (_what, other) => {
    expect(routed(other)).toEqual([]);
  });

  it("are made only for the event types that a destination asked for", () => {
    expect(routed(destination("medlink", { eventTypes: ["REQUEST_ADJUDICATED"] }))).toEqual([
      "medlink REQUEST_ADJUDICATED",
    ]);
  });

  it("are due at once, or wait for the anchor where the destination wants it so", () => {
    const { outbox } = plan([submitCommand("R")], {
      destinations: [destination("now"), destination("later", { deliverAfter: "anchor" })],
    });
    expect(outbox.map(({ destinationId, state }) => [destinationId, state])).toEqual([
      ["now", "due"],
      ["later", "waiting"],
    ]);
  });

  it("carry a body with the event's facts and no chain fields yet, under an id made of chain, entry and destination kind", () => {
    const planned = plan([submitCommand("R", { correlationId: "corr-1" })], { destinations: [destination("medlink")] });
    const [row] = planned.outbox;
    const entryHash = planned.entries[0]?.encoded.hashHex;
    expect(row).toMatchObject({
      eventId: `31337:0x${entryHash}:0:MEDLINK`,
      seq: 0,
      subject: hashOf("R"),
      tenantId: "default",
      correlationId: "corr-1",
    });
    expect(JSON.parse(row?.body ?? "")).toEqual({
      eventId: row?.eventId,
      eventType: "REQUEST_SUBMITTED",
      chainId: null,
      contractAddress: null,
      blockNumber: null,
      blockHash: null,
      txHash: null,
      logIndex: null,
      requestIdHash: hashOf("R"),
      occurredAt: Math.floor(NOW / 1000),
      data: { payloadHash: hashOf("payload R"), submitter: "workflow", insurer: INSURER, requestType: "CLAIM" },
      ledger: { id: "main", seq: 0, entryHash },
    });
  });

  it("carry what the contract lists for each type of event and nothing else", () => {
    const bodies = plan(lifecycle, { destinations: [destination("medlink")] }).outbox.map(
      ({ body }) => JSON.parse(body).data,
    );
    expect(bodies.slice(1)).toEqual([
      { insurer: INSURER },
      { insurer: INSURER, decisionHash: hashOf("decision"), decision: "APPROVED" },
    ]);
  });

  it("are not made for direct claims", () => {
    expect(plan([createClaimCommand("C")], { destinations: [destination("medlink")] }).outbox).toEqual([]);
  });
});

describe("what a commit is bounded by", () => {
  it("counts a command's rows and the ciphertext it carries, not what is in R2", () => {
    const empty = commandBytes(finalizeCommand("C"));
    expect(commandBytes(submitCommand("R", { payload: { type: "inline", sealed: "A".repeat(9_000) } }))).toBe(
      empty + 9_000,
    );
    expect(commandBytes(acknowledgeCommand("R", { notes: { type: "inline", sealed: "A".repeat(50) } }))).toBe(
      empty + 50,
    );
    expect(commandBytes(submitCommand("R", { payload: { type: "object", key: "k".repeat(9_000) } }))).toBe(empty);
  });

  it("compares addresses without regard to case, and an address with none as different", () => {
    expect(sameAddress(INSURER, INSURER.toLowerCase())).toBe(true);
    expect(sameAddress(INSURER, OTHER_INSURER)).toBe(false);
    expect(sameAddress(undefined, INSURER)).toBe(false);
  });
});
