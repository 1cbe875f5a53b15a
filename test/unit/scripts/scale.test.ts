import { expect, it } from "vitest";
import { NO_BILL } from "../../../scripts/lib/cost/bill.ts";
import {
  type Assumptions,
  databasesFor,
  daysUntilFull,
  groupsCeiling,
  ledgersFor,
  monthOf,
  simulateLedger,
} from "../../../scripts/lib/scale/model.ts";

const ASSUMED: Assumptions = { commitMs: 40, commandMs: 0.4, aroundMs: 30, coreBytes: 9_000, hubBytes: 5_000 };

const evenly = () => {
  let n = 0;
  return () => {
    n = (n + 0.618_033_988_749_895) % 1;
    return n;
  };
};

const simulate = (perSecond: number, assumed = ASSUMED) =>
  simulateLedger(perSecond, assumed, { commands: 20_000, random: evenly() });

it("a caller alone waits for one commit, and callers in a crowd share theirs", () => {
  const alone = simulate(0.5);
  expect(alone.group).toBeCloseTo(1, 1);
  expect(alone.p50Ms).toBeCloseTo(70.4, 0);
  const crowd = simulate(300);
  expect(crowd.group).toBeGreaterThan(10);
  expect(crowd.p95Ms).toBeLessThan(200);
  expect(crowd.busy).toBeLessThanOrEqual(1);
});

it("a ledger past its ceiling falls behind for good, which its latency shows", () => {
  const ceiling = groupsCeiling(ASSUMED);
  expect(simulate(0.5 * ceiling).p99Ms).toBeLessThan(500);
  expect(simulate(2 * ceiling).p99Ms).toBeGreaterThan(5_000);
});

it("as many ledgers share a rate as keep each under its safe share", () => {
  expect(ledgersFor(1, ASSUMED)).toBe(1);
  expect(ledgersFor(100, ASSUMED)).toBe(1);
  expect(ledgersFor(10_000, ASSUMED)).toBe(50);
  const slow = { ...ASSUMED, commitMs: 400 };
  expect(ledgersFor(100, slow)).toBe(2);
});

it("a month costs operations, what is awake, what goes on anyway and room, after what the plan includes", () => {
  const claim = { ...NO_BILL, rowsWritten: 100 };
  const bills = { claim, idleMinute: { ...NO_BILL, rowsWritten: 140 } };
  const month = monthOf(100, 1, 0.5, bills, ASSUMED);
  expect(month.claims).toBe(259_200_000);
  expect(month.operationsDollars).toBeCloseTo(25_870, 0);
  expect(month.idleDollars).toBe(0);
  expect(month.objectsDollars).toBeCloseTo(((3.5 * 0.128 * 2_592_000 - 400_000) * 12.5) / 1e6, 3);
  expect(month.storageDollars).toBeCloseTo(259_200_000 * 14e-6 * 0.75, 0);
  expect(daysUntilFull(1, 1, 9_000)).toBeCloseTo(10.9, 1);
  expect(databasesFor(1, 10, 9_000)).toBe(1);
  expect(databasesFor(1, 11, 9_000)).toBe(2);
});
