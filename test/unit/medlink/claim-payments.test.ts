import { describe, expect, it } from "vitest";
import { type ClaimPayment, sumsOf } from "../../../src/medlink/claims/claim-payments.ts";

const payment = (over: Partial<ClaimPayment> & { readonly minor: number }): ClaimPayment => ({
  refId: "stl_1",
  type: over.type ?? "payment",
  status: over.status ?? "COMPLETED",
  amount: { minor: over.minor, currency: "CAD" },
  at: 0,
});

describe("the payments of a claim", () => {
  it("add up to what the clinic has: reversals take away, adjustments go either way", () => {
    const sums = sumsOf([
      payment({ minor: 10_000 }),
      payment({ minor: 2_500, type: "reversal" }),
      payment({ minor: -500, type: "adjustment" }),
    ]);
    expect(sums).toEqual({ paid: { minor: 7_000, currency: "CAD" }, onItsWay: undefined });
  });

  it("count what is under way apart, and what was refused or failed not at all", () => {
    const sums = sumsOf([
      payment({ minor: 10_000, status: "REJECTED" }),
      payment({ minor: 9_000, status: "FAILED" }),
      payment({ minor: 8_000, status: "PENDING" }),
      payment({ minor: 700, status: "PROCESSING", type: "reversal" }),
    ]);
    expect(sums).toEqual({ paid: { minor: 0, currency: "CAD" }, onItsWay: { minor: 7_300, currency: "CAD" } });
  });

  it("are nothing where none was asked for", () => {
    expect(sumsOf([])).toBeUndefined();
  });
});
