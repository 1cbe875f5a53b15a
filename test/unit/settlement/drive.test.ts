import { describe, expect, it } from "vitest";
import {
  afterAnswer,
  type DriveAnswer,
  type DriveStep,
  MAX_SENDS,
  nextSettlementAction,
} from "../../../src/settlement/drive.ts";
import type { OperatorAnswer } from "../../../src/settlement/operator/gateway.ts";
import type { SettlementStatus } from "../../../src/settlement/settlement.ts";

const NOW = 1_000_000;

describe("what is done next", () => {
  it.each<[SettlementStatus, boolean, number, number | undefined, string]>([
    ["PENDING", false, 0, undefined, "start"],
    ["PENDING", true, 0, undefined, "start"],
    ["PROCESSING", false, 0, undefined, "send"],
    ["PROCESSING", true, 0, undefined, "ask"],
    ["PROCESSING", true, MAX_SENDS, undefined, "ask"],
    ["PROCESSING", false, MAX_SENDS - 1, undefined, "send"],
    ["PROCESSING", false, MAX_SENDS, undefined, "fail"],
    ["PROCESSING", false, 0, NOW + 1, "wait"],
    ["PROCESSING", true, 0, NOW + 1, "wait"],
    ["PENDING", false, 0, NOW + 1, "wait"],
    ["PROCESSING", false, 0, NOW, "send"],
    ["COMPLETED", false, 0, undefined, "done"],
    ["REJECTED", true, 0, undefined, "done"],
    ["FAILED", false, 3, NOW + 1, "done"],
  ])("%s, in doubt: %s, lost sends: %d, held until %s: %s", (status, inDoubt, sends, holdUntil, action) => {
    expect(nextSettlementAction(status, { inDoubt, sends }, holdUntil, NOW).type).toBe(action);
  });
});

describe("what an answer makes of it", () => {
  const drive = (lastAnswer?: DriveAnswer) => ({ inDoubt: false, sends: 2, waits: 1, lastAnswer });
  const ID = "op-77";
  const later = (step: DriveStep) => {
    if (step.type !== "later") throw new Error("it is not decided");
    const { inDoubt, sends, waits, answer, dueAt, holdUntil } = step;
    return [inDoubt, sends, waits, answer, dueAt - NOW, holdUntil === undefined ? null : holdUntil - NOW];
  };

  it.each<["send" | "ask", OperatorAnswer, DriveAnswer | undefined, readonly unknown[]]>([
    ["send", { kind: "unknown" }, undefined, [true, 2, 2, "unknown", 60_000, null]],
    ["ask", { kind: "unknown" }, undefined, [true, 2, 2, "unknown", 60_000, null]],
    ["ask", { kind: "unknown" }, "accepted", [true, 2, 2, "accepted", 60_000, null]],
    ["send", { kind: "accepted", operatorTransactionId: ID }, undefined, [true, 2, 2, "accepted", 20_000, null]],
    ["ask", { kind: "accepted", operatorTransactionId: ID }, "unknown", [true, 2, 2, "accepted", 20_000, null]],
    ["send", { kind: "not_sent", retryAfterMs: 7_000 }, undefined, [false, 2, 1, "not_sent", 7_000, 7_000]],
    ["send", { kind: "not_sent", retryAfterMs: 9_000_000 }, undefined, [false, 2, 1, "not_sent", 300_000, 300_000]],
    ["ask", { kind: "not_sent", retryAfterMs: 7_000 }, "accepted", [false, 2, 1, "accepted", 7_000, 7_000]],
    ["ask", { kind: "unknown_transaction" }, "unknown", [false, 3, 0, "absent", 0, null]],
    ["ask", { kind: "unknown_transaction" }, "accepted", [true, 2, 1, "vanished", 3_600_000, null]],
    ["ask", { kind: "unknown_transaction" }, "vanished", [true, 2, 1, "vanished", 3_600_000, null]],
    ["send", { kind: "unknown_transaction" }, undefined, [true, 2, 2, "unknown", 60_000, null]],
    [
      "send",
      { kind: "completed", operatorTransactionId: "no id of a form" },
      undefined,
      [true, 2, 2, "unknown", 60_000, null],
    ],
  ])("%s, %o, after %s", (called, answer, last, expected) => {
    expect(later(afterAnswer(called, answer, drive(last), NOW, 0))).toEqual(expected);
  });

  it("records what is decided, in words of our own", () => {
    const completed: OperatorAnswer = { kind: "completed", operatorTransactionId: ID };
    expect(afterAnswer("ask", completed, drive(), NOW, 0)).toEqual({ type: "complete", operatorTransactionId: ID });
    const said = (reason: string) => afterAnswer("send", { kind: "rejected", reason }, drive(), NOW, 0);
    expect(said("insufficient_funds")).toEqual({ type: "reject", reason: "INSUFFICIENT-FUNDS" });
    expect(said("Anna Planted has no account")).toEqual({ type: "reject", reason: "REFUSED" });
  });

  it("keeps the doubt about a send when a question could not be asked", () => {
    const inDoubt = { ...drive("unknown"), inDoubt: true };
    expect(later(afterAnswer("ask", { kind: "not_sent", retryAfterMs: 1 }, inDoubt, NOW, 0))[0]).toBe(true);
  });

  it("waits longer each time, up to five minutes, and never at the same moment as the others", () => {
    const waits = (n: number, random: number) => {
      const step = afterAnswer("ask", { kind: "unknown" }, { ...drive(), waits: n }, NOW, random);
      return step.type === "later" ? step.dueAt - NOW : 0;
    };
    expect([0, 1, 2, 3, 4, 5, 1_000].map((n) => waits(n, 0))).toEqual([
      30_000, 60_000, 120_000, 240_000, 300_000, 300_000, 300_000,
    ]);
    expect(waits(0, 0.5)).toBe(33_750);
  });
});
