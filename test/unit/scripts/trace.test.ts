import { describe, expect, it } from "vitest";
import { inOrder, momentOfLog, momentsOf, requestsOf, type TraceAnswer } from "../../../scripts/lib/trace.ts";

const answer: TraceAnswer = {
  correlationId: "c-1",
  entries: [
    { seq: 4, entryHash: "ab".repeat(32), subject: "0x12", type: "REQUEST_SUBMITTED", at: "1970-01-01T00:00:01.000Z" },
  ],
  deliveries: [
    {
      outboxId: 7,
      eventType: "REQUEST_SUBMITTED",
      destinationId: "clinic",
      requestIdHash: "0x12",
      seq: 4,
      state: "delivered",
      createdAt: 1_001,
      settledAt: 3_000,
      attempts: [
        { startedAt: 1_500, durationMs: 20, outcome: "retry", status: 503, error: null },
        { startedAt: 2_900, durationMs: 15, outcome: "delivered", status: 204, error: null },
      ],
    },
  ],
  settlements: [
    {
      refId: "stl_1",
      type: "payment",
      status: "COMPLETED",
      requestIdHash: "0x34",
      createdAt: 4_000,
      updatedAt: 5_000,
      askedAt: 4_900,
      lastAnswer: "accepted",
    },
  ],
  keys: [],
};

describe("a trace", () => {
  it("puts what ledger, relay, operator and logs know of a call into one order of time", () => {
    const log = momentOfLog({
      at: "1970-01-01T00:00:01.200Z",
      level: "info",
      worker: "itrans-core",
      event: "request",
      correlationId: "c-1",
      method: "POST",
      route: "/workflow/claims",
      status: 201,
      durationMs: 40,
    });
    const told = inOrder([...momentsOf(answer), log]).map(({ where, what, bad }) => [where, what, bad]);
    expect(told).toEqual([
      ["ledger", "REQUEST_SUBMITTED", false],
      ["itrans-core", "queued", false],
      ["itrans-core", "request", false],
      ["itrans-relay", "failed", true],
      ["itrans-relay", "posted", false],
      ["itrans-core", "delivered", false],
      ["itrans-core", "settlement", false],
      ["operator", "called last", false],
      ["itrans-core", "completed", false],
    ]);
    expect(log.detail).toBe("POST /workflow/claims, 201, 40 ms");
  });

  it("knows the requests that it is about, each once", () => {
    expect(requestsOf(answer)).toEqual(["0x12", "0x34"]);
  });
});
