import { describe, expect, it } from "vitest";
import {
  addBills,
  BILLED,
  type Bill,
  billOfTally,
  ceilings,
  dollarsOf,
  minus,
  monthlyDollars,
  NO_BILL,
  times,
} from "../../../scripts/lib/cost/bill.ts";
import { PRICES } from "../../../scripts/lib/cost/prices.ts";
import { type Counts, NO_COUNTS } from "../../../scripts/lib/cost/tally.ts";

const counts = (over: Partial<Counts>): Counts => ({ ...NO_COUNTS, ...over });

const bill = (over: Partial<Bill>): Bill => ({ ...NO_BILL, ...over });

describe("a bill", () => {
  it("has every price, and nothing without one", () => {
    expect(BILLED.toSorted()).toEqual(Object.keys(PRICES).toSorted());
  });

  it("adds up what a tally has, and leaves out what costs nothing", () => {
    const tally = {
      byLabel: {
        request: counts({ requests: 3, calls: 9, rowsWritten: 10, objectRequests: 2 }),
        queue: counts({ batches: 1, queueWrites: 1, queueReads: 1, queueDeletes: 1 }),
        LedgerAnchor: counts({ alarms: 2, objectRowsWritten: 4 }),
      },
      byTable: {},
      byStatement: {},
    };
    expect(billOfTally(tally)).toEqual(
      bill({ requests: 4, rowsWritten: 10, objectRequests: 4, objectRowsWritten: 4, queueOperations: 3 }),
    );
  });

  it("is added, multiplied and taken off, never below nothing", () => {
    const one = bill({ rowsWritten: 2 });
    expect(times(addBills(one, one), 3).rowsWritten).toBe(12);
    expect(minus(one, bill({ rowsWritten: 5 })).rowsWritten).toBe(0);
  });

  it("costs what the prices say: a million rows written a dollar, a million queue operations 40 cents", () => {
    expect(dollarsOf(bill({ rowsWritten: 1_000_000 }))).toBeCloseTo(1);
    expect(dollarsOf(bill({ queueOperations: 1_000_000, rowsRead: 1_000_000_000 }))).toBeCloseTo(1.4);
    expect(monthlyDollars(bill({ rowsWritten: 51_000_000, requests: 9_000_000 }))).toBeCloseTo(1);
  });
});

it("a claim may take so much, alone and under load", () => {
  const life = { rowsWritten: 120, queueOperations: 6, measuringRows: 0 };
  expect(ceilings({ ...life, queueOperations: 12 }, life).every(({ held }) => held)).toBe(true);
  const over = ceilings(
    { ...life, rowsWritten: 400, measuringRows: 280, queueOperations: 13 },
    { ...life, rowsWritten: 121 },
  );
  expect(over.map(({ held }) => held)).toEqual([true, false, false, true]);
});
