import { describe, expect, it } from "vitest";
import type { Finding } from "../../../../src/medlink/edi/connector.ts";
import { benefitsOf, fateOf, type SandboxPolicy } from "../../../../src/medlink/edi/sandbox.ts";
import {
  applyFinding,
  type EdiTransaction,
  NOTHINGS_TO_RESEND,
  nextStep,
  startSending,
  type TransactionLimits,
} from "../../../../src/medlink/edi/transaction.ts";

const POLICY: SandboxPolicy = {
  seed: "s",
  errorPercent: 10,
  refusalPercent: 20,
  latencyMs: 300,
  adjudicationMs: 1_000,
};
const many = (policy: SandboxPolicy) => Array.from({ length: 2_000 }, (_, n) => fateOf(policy, "cdanet", n + 1));

describe("the sandbox", () => {
  it("deals the same fates for the same seed, and others for another", () => {
    expect(many(POLICY)).toEqual(many(POLICY));
    expect(many(POLICY)).not.toEqual(many({ ...POLICY, seed: "t" }));
  });

  it("fails and refuses about as often as it is told to", () => {
    const fates = many(POLICY);
    const failed = fates.filter(({ delivery }) => delivery !== "answered").length;
    const refused = fates.filter(({ decision }) => decision !== "approved").length;
    expect(failed).toBeGreaterThan(140);
    expect(failed).toBeLessThan(260);
    expect(refused).toBeGreaterThan(320);
    expect(refused).toBeLessThan(480);
    expect(new Set(fates.map(({ delivery }) => delivery)).size).toBe(4);
    expect(new Set(fates.map(({ decision }) => decision)).size).toBe(5);
  });

  it("never fails at 0 and always does at 100", () => {
    expect(many({ ...POLICY, errorPercent: 0 }).every(({ delivery }) => delivery === "answered")).toBe(true);
    expect(many({ ...POLICY, errorPercent: 100 }).some(({ delivery }) => delivery === "answered")).toBe(false);
  });

  it("takes no longer than the latency it is given", () => {
    expect(many(POLICY).every(({ latencyMs }) => latencyMs >= 0 && latencyMs < 300)).toBe(true);
  });

  it("pays nothing of what it does not approve, and never more than was claimed", () => {
    const claim = { decision: "partial", lines: [999, 1] } as const;
    expect(benefitsOf(claim)).toEqual([799, 0]);
    expect(benefitsOf({ ...claim, decision: "needs_info" })).toEqual([0, 0]);
  });
});

const LIMITS: TransactionLimits = {
  checkDelayMs: 1_000,
  maxCheckDelayMs: 60_000,
  giveUpAfterMs: 1_000_000,
  leaseMs: 50_000,
};
const NEW: EdiTransaction = {
  transactionId: "edi_1",
  clinicId: "c",
  claimId: "clm_1",
  claimType: "claim",
  connector: "cdanet",
  mode: "sandbox",
  reference: 1,
  licenceNumber: undefined,
  state: "unsent",
  outcome: undefined,
  benefitMinor: undefined,
  currency: "CAD",
  carrierReference: undefined,
  sends: 0,
  checks: 0,
  nextCheckAt: undefined,
  leaseUntil: undefined,
  correlationId: "x",
  sentBy: "u",
  version: 0,
  createdAt: 0,
  updatedAt: 0,
};

const on = (from: EdiTransaction, kind: "submit" | "status", finding: Finding, now = 10): EdiTransaction =>
  applyFinding(from, kind, finding, LIMITS, now)?.transaction ?? from;

describe("a transaction", () => {
  const sending = startSending(NEW, LIMITS, 10);
  const unknown = on(sending, "submit", { type: "unknown", code: "timeout" });

  it("is sent again only when it is known that the network has not taken it", () => {
    const findings: readonly [Finding, string][] = [
      [{ type: "notTaken", code: "http_503" }, "send"],
      [{ type: "unknown", code: "timeout" }, "wait"],
      [{ type: "acknowledged", carrierReference: "r" }, "wait"],
      [{ type: "rejected", code: "x" }, "done"],
    ];
    for (const [finding, step] of findings) expect(nextStep(on(sending, "submit", finding), 10)).toBe(step);
  });

  it("is asked about, not sent, after a timeout", () => {
    expect(unknown).toMatchObject({ state: "unknown", nextCheckAt: 2_010 });
    expect(nextStep(unknown, 2_010)).toBe("ask");
  });

  it("is sent again after the network said that it does not know it", () => {
    expect(nextStep(on(unknown, "status", { type: "notFound" }), 10)).toBe("send");
  });

  it("is sent again when several questions brought nothing, and not before", () => {
    let transaction = unknown;
    for (let asked = transaction.checks; asked < NOTHINGS_TO_RESEND - 1; asked++) {
      transaction = on(transaction, "status", { type: "nothing" });
      expect(transaction.state).toBe("unknown");
    }
    expect(on(transaction, "status", { type: "nothing" }).state).toBe("unsent");
  });

  it("stays unknown when the question itself fails", () => {
    for (const finding of [
      { type: "notTaken", code: "http_503" },
      { type: "unknown", code: "timeout" },
    ] as const) {
      expect(on(unknown, "status", finding).state).toBe("unknown");
    }
  });

  it("that crashed while it was sent is asked about, and a failed question does not make it safe to send", () => {
    expect(nextStep(sending, 50_009)).toBe("wait");
    expect(nextStep(sending, 50_010)).toBe("ask");
    expect(on(sending, "status", { type: "notTaken", code: "http_503" }).state).toBe("unknown");
  });

  it("once acknowledged is never sent again, whatever later questions bring", () => {
    let transaction = on(sending, "submit", { type: "acknowledged", carrierReference: "REF" });
    for (const finding of [
      { type: "notFound" },
      { type: "nothing" },
      { type: "nothing" },
      { type: "nothing" },
    ] as const) {
      transaction = on(transaction, "status", finding);
      expect(transaction).toMatchObject({ state: "acknowledged", carrierReference: "REF" });
    }
  });

  it("once decided stays decided", () => {
    const decided = on(unknown, "status", {
      type: "adjudicated",
      decision: "partial",
      benefitMinor: 5,
      carrierReference: "R",
    });
    expect(decided).toMatchObject({
      state: "adjudicated",
      outcome: "partial",
      benefitMinor: 5,
      nextCheckAt: undefined,
    });
    expect(
      applyFinding(decided, "submit", { type: "acknowledged", carrierReference: "Q" }, LIMITS, 20),
    ).toBeUndefined();
    expect(applyFinding(decided, "status", { type: "rejected", code: "x" }, LIMITS, 20)).toBeUndefined();
  });

  it("is asked about ever more rarely, and at last not any more", () => {
    let transaction = on(sending, "submit", { type: "acknowledged", carrierReference: undefined });
    let now = 10;
    const gaps: number[] = [];
    for (let asked = 0; transaction.nextCheckAt !== undefined && asked < 1_000; asked++) {
      gaps.push(transaction.nextCheckAt - now);
      now = transaction.nextCheckAt;
      transaction = on(transaction, "status", { type: "nothing" }, now);
    }
    expect(gaps.slice(0, 8)).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    expect(now).toBeGreaterThanOrEqual(1_000_000);
    expect(transaction).toMatchObject({ state: "acknowledged", outcome: "no_answer" });
  });

  it("tells the timeline of an acknowledgement once", () => {
    const first = applyFinding(sending, "submit", { type: "acknowledged", carrierReference: "R" }, LIMITS, 10);
    expect(first?.told).toBe("ediAcknowledged");
    const again =
      first && applyFinding(first.transaction, "status", { type: "acknowledged", carrierReference: "R" }, LIMITS, 20);
    expect(again?.told).toBeUndefined();
  });
});
