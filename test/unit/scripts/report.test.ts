import { describe, expect, it } from "vitest";
import { burstsOf, busiestMinute, distributionOf, rateOf, sharesOf } from "../../../scripts/lib/report.ts";
import { barOf, tableOf } from "../../../scripts/lib/table.ts";
import { type Transaction, transactionsReport } from "../../../scripts/lib/transactions-report.ts";
import { type WebhookDelivery, webhooksReport } from "../../../scripts/lib/webhooks-report.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe("what reports are made of", () => {
  it("gives a distribution by nearest rank, and none of nothing", () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(distributionOf(values)).toEqual({ count: 100, mean: 50.5, min: 1, p50: 50, p95: 95, p99: 99, max: 100 });
    expect(distributionOf([])).toBeUndefined();
  });

  it("counts in slots that fit the time, empty ones too, and only what is within", () => {
    const { slotMs, slots } = rateOf([0, 1, 5 * MINUTE, HOUR, -1], 0, HOUR);
    expect(slotMs).toBe(5 * MINUTE);
    expect(slots).toHaveLength(12);
    expect(slots.slice(0, 3).map(({ count }) => count)).toEqual([2, 1, 0]);
  });

  it("names the seconds in which more than one happened, the busiest first, and the busiest minute", () => {
    const times = [1_000, 1_999, 5_000, 5_100, 5_200, 70_000];
    expect(burstsOf(times, 5)).toEqual([
      { at: 5_000, count: 3 },
      { at: 1_000, count: 2 },
    ]);
    expect(burstsOf(times, 1)).toHaveLength(1);
    expect(busiestMinute(times)).toEqual({ at: 0, count: 5 });
  });

  it("orders shares by how frequent they are", () => {
    expect(sharesOf(["b", "a", "b", "b"])).toEqual([
      { name: "b", count: 3, share: 0.75 },
      { name: "a", count: 1, share: 0.25 },
    ]);
  });

  it("draws bars to an eighth of a character, and tables whose figures stand right", () => {
    expect([barOf(1, 3), barOf(0.5, 1), barOf(2, 2), barOf(0, 4)]).toEqual(["███", "▌", "██", ""]);
    expect(tableOf(["name", "n"], [["a", "12"]])).toBe("name   n\na     12");
  });
});

const transaction = (over: Partial<Transaction>): Transaction => ({
  refId: "stl_1",
  tenantId: "default",
  type: "payment",
  status: "COMPLETED",
  amountCents: 1_000,
  currency: "CAD",
  reason: null,
  replays: 0,
  createdAt: 0,
  updatedAt: 2_000,
  ...over,
});

describe("the report of settlements", () => {
  const all = [
    transaction({}),
    transaction({ amountCents: 250, updatedAt: 4_000 }),
    transaction({ currency: "JPY", amountCents: 900, tenantId: "ten_2" }),
    transaction({ status: "FAILED", reason: "ATTEMPTS-SPENT", replays: 1 }),
    transaction({ status: "REJECTED", reason: "LIMIT_EXCEEDED" }),
    transaction({ refId: "stl_old", status: "PROCESSING" }),
    transaction({ refId: "stl_new", status: "PENDING", createdAt: 9 * MINUTE }),
  ];
  const report = transactionsReport(all, { since: 0, until: HOUR }, 10 * MINUTE);

  it("adds up money by currency and never across", () => {
    expect(report.byStatus.find(({ name }) => name === "COMPLETED")?.amounts).toEqual(["12.50 CAD", "900 JPY"]);
  });

  it("says who moved the most of what was confirmed", () => {
    expect(report.byTenant).toMatchObject([
      { name: "default", count: 2, amounts: ["12.50 CAD"] },
      { name: "ten_2", count: 1, amounts: ["900 JPY"] },
    ]);
  });

  it("counts technical failures of what ended, and times of what was confirmed", () => {
    expect(report.errorRate).toBeCloseTo(0.2);
    expect(report.duration).toMatchObject({ count: 3, min: 2_000, max: 4_000 });
    expect(report.reasons.map(({ name }) => name)).toEqual(["ATTEMPTS-SPENT", "LIMIT_EXCEEDED"]);
    expect(report.replayed).toBe(1);
  });

  it("names what has been under way for over five minutes", () => {
    expect(report.stuck).toEqual([{ refId: "stl_old", status: "PROCESSING", ageMs: 10 * MINUTE }]);
  });
});

const delivery = (over: Partial<WebhookDelivery>): WebhookDelivery => ({
  outboxId: 1,
  eventType: "REQUEST_SUBMITTED",
  destinationId: "clinic",
  state: "delivered",
  attempts: 1,
  lastStatus: 204,
  lastError: null,
  createdAt: 0,
  deliveredAt: 1_000,
  ...over,
});

describe("the report of deliveries", () => {
  const report = webhooksReport(
    [
      delivery({}),
      delivery({ outboxId: 2, attempts: 2, deliveredAt: 9_000, lastError: "timeout" }),
      delivery({
        outboxId: 3,
        state: "dead",
        attempts: 5,
        lastStatus: 422,
        deliveredAt: null,
        destinationId: "insurer",
      }),
      delivery({ outboxId: 4, state: "waiting", attempts: 0, deliveredAt: null }),
    ],
    { since: 0, until: HOUR },
  );

  it("counts as retried what needed more than one attempt, of what was posted", () => {
    expect(report.retryRate).toBeCloseTo(2 / 3);
    expect(report.meanAttempts).toBeCloseTo(8 / 3);
    expect(report.byAttempts.map(({ name }) => name)).toEqual(["1", "2", "5 and more"]);
  });

  it("measures from the event to its delivery, by destination too", () => {
    expect(report.duration).toMatchObject({ count: 2, min: 1_000, max: 9_000 });
    expect(report.byDestination).toMatchObject([
      { name: "clinic", count: 3, retried: 1, dead: 0, p95: 9_000 },
      { name: "insurer", count: 1, retried: 1, dead: 1 },
    ]);
  });

  it("names the dead letters and why they were given up", () => {
    expect(report.attention).toEqual([
      { outboxId: 3, destinationId: "insurer", eventType: "REQUEST_SUBMITTED", attempts: 5, error: "422" },
    ]);
  });
});
