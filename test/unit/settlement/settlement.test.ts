import { describe, expect, it } from "vitest";
import { cents } from "../../../src/platform/cents.ts";
import {
  type Account,
  decideSettlement,
  evolveSettlement,
  evolveSettlements,
  isSettled,
  leftToPay,
  MAX_SETTLEMENTS,
  payableOf,
  SETTLEMENT_STATUSES,
  type SettlementCommand,
  type SettlementOutcome,
  type SettlementState,
  type SettlementStatus,
  settlementCommandId,
  withSettlements,
} from "../../../src/settlement/settlement.ts";
import { claimState, hashOf, newSettlement, refIdOf, requestState, settleCommand } from "../../support/commands.ts";

const CLAIM = claimState({ status: "FINALIZED", finalizedSeq: 4 });
const REQUEST = requestState({ status: "APPROVED", round: 1, adjudicatedSeq: 9 });
const P = refIdOf("P");
const COMMON = { tenantId: "default", actor: "driver", correlationId: "c" } as const;
const OF_CLAIM = { ...COMMON, subjectKind: "claim", subject: CLAIM.claimIdHash } as const;

const settlement = (name: string, over: Partial<SettlementState> = {}): SettlementState => ({
  refId: refIdOf(name),
  tenantId: "default",
  subject: CLAIM.claimIdHash,
  subjectKind: "claim",
  type: "payment",
  amountCents: cents(5_000),
  currency: "CAD",
  reverses: null,
  status: "PENDING",
  reason: undefined,
  operatorTransactionId: undefined,
  round: 0,
  createdSeq: 5,
  startedSeq: undefined,
  endedSeq: undefined,
  createdAt: 1_000,
  updatedAt: 1_000,
  ...over,
});

const account = (settlements: readonly SettlementState[] = [], over: Partial<Account> = {}): Account => ({
  claim: CLAIM,
  request: undefined,
  settlements,
  ...over,
});

function shown(outcome: SettlementOutcome): string {
  if (outcome.type === "accepted") return outcome.events.map(({ type }) => type).join(" ");
  if (outcome.type === "unchanged") return "unchanged";
  const { rejection } = outcome;
  return "why" in rejection ? rejection.why : rejection.code;
}

const create = (name: string, over: Parameters<typeof newSettlement>[1] = {}): SettlementCommand => ({
  ...OF_CLAIM,
  type: "CreateSettlement",
  settlement: newSettlement(name, over),
});

describe("a step of a settlement", () => {
  const STEPS: Readonly<Record<string, SettlementCommand>> = {
    start: { ...OF_CLAIM, type: "StartSettlement", refId: P },
    complete: { ...OF_CLAIM, type: "CompleteSettlement", refId: P, operatorTransactionId: "op-1" },
    reject: { ...OF_CLAIM, type: "RejectSettlement", refId: P, reason: "ACCOUNT-CLOSED" },
    fail: { ...OF_CLAIM, type: "FailSettlement", refId: P, reason: "ATTEMPTS-SPENT" },
    "resolve as completed": {
      ...OF_CLAIM,
      type: "ResolveSettlement",
      refId: P,
      outcome: "COMPLETED",
      reason: "TICKET-1",
    },
    "resolve as failed": { ...OF_CLAIM, type: "ResolveSettlement", refId: P, outcome: "FAILED", reason: "TICKET-1" },
    replay: { ...OF_CLAIM, type: "ReplaySettlement", refId: P },
  };
  const S = "settlement_conflict";
  //                 start            complete         reject         fail           resolve: completed   failed       replay
  const TABLE: Readonly<Record<SettlementStatus, readonly string[]>> = {
    PENDING: ["SETTLEMENT_STARTED", S, "SETTLEMENT_REJECTED", "SETTLEMENT_FAILED", S, "SETTLEMENT_FAILED", "unchanged"],
    PROCESSING: [
      "unchanged",
      "CLAIM_SETTLED",
      "SETTLEMENT_REJECTED",
      "SETTLEMENT_FAILED",
      "CLAIM_SETTLED",
      "SETTLEMENT_FAILED",
      "unchanged",
    ],
    COMPLETED: [S, "unchanged", S, S, "unchanged", S, S],
    REJECTED: [S, S, "unchanged", S, S, S, "SETTLEMENT_REPLAYED"],
    FAILED: [S, "CLAIM_SETTLED", S, "unchanged", "CLAIM_SETTLED", "unchanged", "SETTLEMENT_REPLAYED"],
  };
  const CASES = SETTLEMENT_STATUSES.flatMap((status) =>
    Object.entries(STEPS).map(([name, command], i) => ({ status, name, command, outcome: TABLE[status][i] ?? "" })),
  );

  it.each(CASES)("$status, $name: $outcome", ({ status, command, outcome }) => {
    expect(shown(decideSettlement(account([settlement("P", { status })]), command))).toBe(outcome);
  });

  it.each(Object.entries(STEPS))("%s: of a settlement that there is not, not_found", (_name, command) => {
    expect(shown(decideSettlement(account([settlement("OTHER")]), command))).toBe("not_found");
  });

  it.each(CASES.filter(({ outcome }) => /^[A-Z]/.test(outcome)))(
    "$status, $name: what was decided can follow, and replay names the same command",
    ({ status, command }) => {
      const before = settlement("P", { status });
      const outcome = decideSettlement(account([before]), command);
      if (outcome.type !== "accepted") throw new Error("it is accepted");
      const [event] = outcome.events;
      if (event === undefined) throw new Error("it has an event");
      expect(settlementCommandId(event, before)).toBe(outcome.commandId);
      const after = evolveSettlement(before, event, before, 20, 9_000);
      expect(after).toMatchObject({ updatedAt: 9_000, createdSeq: 5, createdAt: 1_000 });
      expect(after.status).not.toBe(status);
    },
  );

  it("is replayed twice at most", () => {
    const replay: SettlementCommand = { ...OF_CLAIM, type: "ReplaySettlement", refId: P };
    const failed = (round: number) => account([settlement("P", { status: "FAILED", round })]);
    expect([0, 1, 2].map((round) => shown(decideSettlement(failed(round), replay)))).toEqual([
      "SETTLEMENT_REPLAYED",
      "SETTLEMENT_REPLAYED",
      "replays-spent",
    ]);
  });

  it("goes on after its subject was erased, but for a replay, whose amount can not be checked any more", () => {
    const erased = { claim: claimState({ ...CLAIM, amountMinor: 0, currency: "XXX", erasedSeq: 11 }) };
    const under = account([settlement("P", { status: "PROCESSING" })], erased);
    expect(
      shown(decideSettlement(under, { ...OF_CLAIM, type: "CompleteSettlement", refId: P, operatorTransactionId: "o" })),
    ).toBe("CLAIM_SETTLED");
    const failed = account([settlement("P", { status: "FAILED" })], erased);
    expect(shown(decideSettlement(failed, { ...OF_CLAIM, type: "ReplaySettlement", refId: P }))).toBe("erased");
    expect(shown(decideSettlement(account([], erased), create("N")))).toBe("erased");
  });

  it("completes late what was given up only as far as the approval goes", () => {
    const others = [settlement("P", { status: "FAILED" }), settlement("N", { status: "COMPLETED" })];
    const complete: SettlementCommand = {
      ...OF_CLAIM,
      type: "CompleteSettlement",
      refId: P,
      operatorTransactionId: "o",
    };
    expect(shown(decideSettlement(account(others), complete))).toBe("over-approved");
  });
});

describe("what may be paid", () => {
  const refusalOf = (over: Partial<Account>): unknown => {
    const payable = payableOf(account([], over));
    return payable.type === "refused" ? payable.rejection : payable;
  };

  it.each<[string, Partial<Account>, unknown]>([
    ["a final claim", {}, { type: "payable", approved: 5_000, currency: "CAD" }],
    ["a claim that is not final", { claim: claimState() }, { code: "out_of_order", status: "CREATED" }],
    [
      "an approved request",
      { claim: undefined, request: REQUEST },
      { type: "payable", approved: 12_000, currency: "CAD" },
    ],
    [
      "a request that is not decided",
      { claim: undefined, request: requestState() },
      { code: "out_of_order", status: "SUBMITTED" },
    ],
    [
      "an approved pre-authorization",
      { claim: undefined, request: { ...REQUEST, requestType: "PREAUTH" } },
      { code: "settlement_refused", why: "not-payable" },
    ],
    [
      "a superseded request, naming its successor",
      { claim: undefined, request: { ...REQUEST, supersededBy: hashOf("next") } },
      { code: "superseded", successor: hashOf("next") },
    ],
    ["nothing", { claim: undefined }, { code: "not_found" }],
  ])("%s", (_what, over, expected) => {
    expect(refusalOf(over)).toEqual(expected);
  });
});

describe("what is taken of an approval of 50.00", () => {
  const done = (name: string, over: Partial<SettlementState> = {}) =>
    settlement(name, { status: "COMPLETED", ...over });
  const reversal = (name: string, amount: number, over: Partial<SettlementState> = {}) =>
    done(name, { type: "reversal", amountCents: cents(amount), reverses: P, ...over });
  const ofP = { type: "reversal", reverses: P } as const;

  it.each<[string, readonly SettlementState[], SettlementCommand, string]>([
    ["all at once", [], create("N"), "SETTLEMENT_CREATED"],
    ["a cent too much", [], create("N", { amountCents: cents(5_001) }), "over-approved"],
    ["beside what is under way", [settlement("P")], create("N", { amountCents: cents(1) }), "over-approved"],
    ["after a rejection", [settlement("P", { status: "REJECTED" })], create("N"), "SETTLEMENT_CREATED"],
    ["after a failure", [settlement("P", { status: "FAILED" })], create("N"), "SETTLEMENT_CREATED"],
    ["another currency", [], create("N", { currency: "USD" }), "wrong-currency"],
    ["nothing", [], create("N", { amountCents: cents(0) }), "wrong-amount"],
    ["a payment below zero", [], create("N", { amountCents: cents(-1) }), "wrong-amount"],
    ["a payment that reverses", [done("P")], create("N", { reverses: P }), "reverses-unknown"],
    ["a reversal of nothing", [], create("N", { type: "reversal" }), "reverses-unknown"],
    ["a reversal of what there is not", [], create("N", ofP), "reverses-unknown"],
    ["a reversal of what is under way", [settlement("P", { status: "PROCESSING" })], create("N", ofP), "not-completed"],
    ["a reversal of all", [done("P")], create("N", ofP), "SETTLEMENT_CREATED"],
    ["a reversal of a part", [done("P")], create("N", { ...ofP, amountCents: cents(1) }), "SETTLEMENT_CREATED"],
    ["a reversal of more", [done("P")], create("N", { ...ofP, amountCents: cents(5_001) }), "over-reversed"],
    [
      "a second reversal beside one under way",
      [done("P"), reversal("R", 4_999, { status: "PENDING" })],
      create("N", { ...ofP, amountCents: cents(2) }),
      "over-reversed",
    ],
    [
      "a second reversal of the rest",
      [done("P"), reversal("R", 4_999)],
      create("N", { ...ofP, amountCents: cents(1) }),
      "SETTLEMENT_CREATED",
    ],
    [
      "a reversal of a reversal",
      [done("P"), reversal("R", 5_000)],
      create("N", { type: "reversal", reverses: refIdOf("R"), amountCents: cents(1) }),
      "reverses-unknown",
    ],
    [
      "a payment while its reversal is under way",
      [done("P"), reversal("R", 5_000, { status: "PROCESSING" })],
      create("N"),
      "over-approved",
    ],
    ["a payment after its reversal", [done("P"), reversal("R", 5_000)], create("N"), "SETTLEMENT_CREATED"],
    [
      "an adjustment upward beyond it",
      [done("P")],
      create("N", { type: "adjustment", amountCents: cents(1) }),
      "over-approved",
    ],
    [
      "an adjustment downward",
      [done("P")],
      create("N", { type: "adjustment", amountCents: cents(-5_000) }),
      "SETTLEMENT_CREATED",
    ],
    [
      "an adjustment below nothing",
      [done("P")],
      create("N", { type: "adjustment", amountCents: cents(-5_001) }),
      "below-nothing",
    ],
    [
      "an adjustment downward beside a reversal under way",
      [done("P"), reversal("R", 5_000, { status: "PENDING" })],
      create("N", { type: "adjustment", amountCents: cents(-1) }),
      "below-nothing",
    ],
    ["the same name again", [settlement("N", { amountCents: cents(7) })], create("N"), "unchanged"],
    [
      "too many",
      Array.from({ length: MAX_SETTLEMENTS }, (_, i) => settlement(`S${i}`, { status: "REJECTED" })),
      create("N"),
      "too-many",
    ],
  ])("%s: %s", (_what, settlements, command, outcome) => {
    expect(shown(decideSettlement(account(settlements), command))).toBe(outcome);
  });

  it("is never more than was approved nor less than nothing, whatever is asked and answered in whatever order", () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    for (let life = 0; life < 300; life++) {
      let settlements: readonly SettlementState[] = [];
      for (let step = 0; step < 40; step++) {
        const one = settlements[random(Math.max(1, settlements.length))];
        const refId = one?.refId ?? P;
        const types = ["payment", "reversal", "adjustment"] as const;
        const type = types[random(3)] ?? "payment";
        const amountCents = cents(random(6_000) * (type === "adjustment" && random(2) === 0 ? -1 : 1));
        const commands: readonly SettlementCommand[] = [
          create(`${life}-${step}`, { type, amountCents, reverses: type === "reversal" ? refId : null }),
          { ...OF_CLAIM, type: "StartSettlement", refId },
          { ...OF_CLAIM, type: "CompleteSettlement", refId, operatorTransactionId: "o" },
          { ...OF_CLAIM, type: "CompleteSettlement", refId, operatorTransactionId: "o" },
          { ...OF_CLAIM, type: "RejectSettlement", refId, reason: "REFUSED" },
          { ...OF_CLAIM, type: "ResolveSettlement", refId, outcome: "FAILED", reason: "T" },
          { ...OF_CLAIM, type: "ReplaySettlement", refId },
        ];
        const command = commands[random(commands.length)];
        if (command === undefined) continue;
        const outcome = decideSettlement(account(settlements), command);
        if (outcome.type !== "accepted") continue;
        for (const event of outcome.events) {
          const of = { tenantId: "default", subject: CLAIM.claimIdHash, subjectKind: "claim" } as const;
          settlements = evolveSettlements(settlements, event, of, step, step);
        }
        const completed = settlements.filter(({ status }) => status === "COMPLETED");
        const moved = completed.reduce(
          (sum, { type, amountCents }) => sum + (type === "reversal" ? -amountCents : amountCents),
          0,
        );
        expect(moved).toBeLessThanOrEqual(5_000);
        expect(moved).toBeGreaterThanOrEqual(0);
      }
    }
  });
});

describe("settling a claim", () => {
  it.each<[string, Partial<Account>, readonly SettlementState[], string]>([
    ["that is final asks for all of it", {}, [], "SETTLEMENT_CREATED"],
    ["that is not final is out of order", { claim: claimState() }, [], "out_of_order"],
    ["again changes nothing", { claim: { ...CLAIM, status: "SETTLEMENT_PENDING" } }, [settlement("P")], "unchanged"],
    [
      "that is settled changes nothing",
      { claim: { ...CLAIM, status: "SETTLED" } },
      [settlement("P", { status: "COMPLETED" })],
      "unchanged",
    ],
    ["whose payment was refused asks again", {}, [settlement("P", { status: "REJECTED" })], "SETTLEMENT_CREATED"],
    ["of nothing is refused", { claim: { ...CLAIM, amountMinor: 0 } }, [], "nothing-left"],
    [
      "for another amount than is left looks again",
      {},
      [settlement("A", { type: "adjustment", amountCents: cents(1) })],
      "amount_moved",
    ],
    ["that there is not", { claim: undefined }, [], "not_found"],
  ])("%s", (_what, over, settlements, outcome) => {
    expect(shown(decideSettlement(account(settlements, over), settleCommand("C")))).toBe(outcome);
  });

  it("makes it pending, settled, and final again once it is reversed or refused", () => {
    const payment = settlement("P", { createdSeq: 5 });
    const back = settlement("R", { type: "reversal", reverses: P, status: "COMPLETED", createdSeq: 8 });
    const statusOf = (settlements: readonly SettlementState[]) => withSettlements(CLAIM, settlements);
    expect(statusOf([payment])).toMatchObject({ status: "SETTLEMENT_PENDING", settlementSeq: 5 });
    expect(statusOf([{ ...payment, status: "COMPLETED" }])).toMatchObject({ status: "SETTLED", settlementSeq: 5 });
    expect(statusOf([{ ...payment, status: "REJECTED" }])).toMatchObject({ status: "FINALIZED", settlementSeq: 5 });
    expect(statusOf([{ ...payment, status: "COMPLETED" }, back])).toMatchObject({ status: "FINALIZED" });
    expect(statusOf([])).toMatchObject({ status: "FINALIZED", settlementSeq: undefined });
  });

  it("leaves what was approved and is not taken", () => {
    expect(leftToPay(cents(5_000), [settlement("P", { amountCents: cents(1_999) })])).toBe(3_001);
    expect(leftToPay(cents(5_000), [settlement("P")])).toBe(0);
  });

  it("counts money that is on its way as settled, and money that came back not", () => {
    const back = settlement("R", { type: "reversal", reverses: P, status: "PROCESSING" });
    const paid = settlement("P", { status: "COMPLETED" });
    expect(isSettled([settlement("P")])).toBe(true);
    expect(isSettled([paid, back])).toBe(true);
    expect(isSettled([paid, { ...back, status: "COMPLETED" }])).toBe(false);
    expect(isSettled([])).toBe(false);
  });
});

describe("a settlement's evolution", () => {
  it("refuses events that can not follow", () => {
    const started = { type: "SETTLEMENT_STARTED", refId: P, actor: "d" } as const;
    const of = settlement("P");
    expect(() => evolveSettlement(undefined, started, of, 1, 1)).toThrow("without a settlement");
    expect(() => evolveSettlement(settlement("P", { status: "COMPLETED" }), started, of, 1, 1)).toThrow("COMPLETED");
    const reversed = {
      type: "SETTLEMENT_REVERSED",
      refId: P,
      actor: "d",
      operatorTransactionId: "o",
      reason: undefined,
    } as const;
    expect(() => evolveSettlement(settlement("P", { status: "PROCESSING" }), reversed, of, 1, 1)).toThrow(
      "of a payment",
    );
  });
});
