/** Comparing two books: the rules, the merge, the days, the table for people. */
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../scripts/lib/operator-simulator/behaviour.ts";
import { barOf, progressBar } from "../../../scripts/lib/progress-bar.ts";
import type { OperatorTransaction } from "../../../src/settlement/operator/gateway.ts";
import {
  compareBoth,
  compareOurs,
  compareTheirs,
  OUR_STATUSES,
  type OurSettlement,
} from "../../../src/settlement/reconciliation/compare.ts";
import { csvField, csvHeader, csvLine } from "../../../src/settlement/reconciliation/csv.ts";
import { dueDays, rangeFault, startOf } from "../../../src/settlement/reconciliation/days.ts";
import type { Item } from "../../../src/settlement/reconciliation/items.ts";
import { mergePages } from "../../../src/settlement/reconciliation/merge.ts";
import { afterStep, MAX_FAILURES, progressOf, type Run } from "../../../src/settlement/reconciliation/run.ts";

const NOW = Date.parse("2026-11-22T12:00:00Z");
const HOUR = 3_600_000;

const ours = (over: Partial<OurSettlement> = {}): OurSettlement => ({
  refId: "stl_1",
  tenantId: "clinic-a",
  type: "payment",
  amountCents: 12_000,
  currency: "CAD",
  status: "COMPLETED",
  reverses: null,
  operatorTransactionId: "op_1",
  createdAt: NOW - 5 * HOUR,
  updatedAt: NOW - 5 * HOUR,
  ...over,
});
const theirs = (over: Partial<OperatorTransaction> = {}): OperatorTransaction => ({
  transactionId: "stl_1",
  operatorTransactionId: "op_1",
  type: "payment",
  amountCents: 12_000,
  currency: "CAD",
  status: "completed",
  createdAt: new Date(NOW - 5 * HOUR).toISOString(),
  ...over,
});

describe("a settlement that both have", () => {
  it("agrees or differs by status as the table says, once it had time to land", () => {
    const table = OUR_STATUSES.map((status) =>
      (["accepted", "completed", "rejected"] as const)
        .map((there) => compareBoth(ours({ status }), theirs({ status: there }), HOUR, NOW).outcome)
        .join(" "),
    );
    expect(Object.fromEntries(OUR_STATUSES.map((status, i) => [status, table[i]]))).toEqual({
      PENDING: "mismatch mismatch mismatch",
      PROCESSING: "agreed mismatch mismatch",
      COMPLETED: "mismatch agreed mismatch",
      REJECTED: "mismatch mismatch agreed",
      FAILED: "mismatch mismatch agreed",
    });
  });

  it("may differ by status as long as it is in flight, and by nothing else", () => {
    const young = { updatedAt: NOW - HOUR + 1 };
    expect(compareBoth(ours({ status: "PROCESSING", ...young }), theirs(), HOUR, NOW).outcome).toBe("in_flight");
    expect(compareBoth(ours({ status: "PROCESSING", updatedAt: NOW - HOUR }), theirs(), HOUR, NOW).kinds).toEqual([
      "status",
    ]);
    expect(compareBoth(ours({ amountCents: 1, ...young }), theirs(), HOUR, NOW).kinds).toEqual(["amount"]);
  });

  it("says everything that differs", () => {
    const other = theirs({ type: "adjustment", amountCents: 1, currency: "USD", status: "rejected" });
    expect(compareBoth(ours(), other, HOUR, NOW)).toEqual({
      outcome: "mismatch",
      kinds: ["type", "amount", "currency", "status"],
    });
  });
});

describe("a settlement that one side has", () => {
  it("is missing at the operator when our books say that it is there", () => {
    const outcome = (status: OurSettlement["status"], age = 2 * HOUR) =>
      compareOurs(ours({ status, updatedAt: NOW - age }), true, HOUR, NOW);
    expect(OUR_STATUSES.map((status) => outcome(status).kinds.join() || outcome(status).outcome)).toEqual([
      "missing_at_operator",
      "missing_at_operator",
      "missing_at_operator",
      "agreed",
      "agreed",
    ]);
    expect(outcome("COMPLETED", HOUR - 1).outcome).toBe("in_flight");
  });

  it("is missing here unless it is new", () => {
    expect(compareTheirs(theirs(), HOUR, NOW).kinds).toEqual(["missing_here"]);
    expect(compareTheirs(theirs({ createdAt: new Date(NOW - 1).toISOString() }), HOUR, NOW).outcome).toBe("in_flight");
  });
});

describe("two streams", () => {
  const page = <One>(rows: readonly One[], ended: boolean) => ({ rows, ended });
  const mine = (...ids: readonly string[]) => ids.map((refId) => ours({ refId }));
  const listed = (...ids: readonly string[]) => ids.map((transactionId) => theirs({ transactionId }));
  const shown = (pairs: ReturnType<typeof mergePages>) =>
    pairs.map(
      ({ refId, ours: one, theirs: other }) =>
        `${refId}${one === undefined ? "" : "o"}${other === undefined ? "" : "t"}`,
    );

  it("are paired by refId as far as both reach", () => {
    expect(shown(mergePages(page(mine("a", "b", "d"), true), page(listed("b", "c", "d"), true), ""))).toEqual([
      "ao",
      "bot",
      "ct",
      "dot",
    ]);
    expect(shown(mergePages(page(mine("a", "d"), true), page(listed("b"), false), ""))).toEqual(["ao", "bt"]);
    expect(shown(mergePages(page(mine("a", "b"), false), page(listed("c", "d"), true), ""))).toEqual(["ao", "bo"]);
    expect(shown(mergePages(page(mine("a", "b"), true), page(listed("a", "b"), true), "a"))).toEqual(["bot"]);
    expect(shown(mergePages(page(mine("x"), true), page(listed("a"), false), "m"))).toEqual([]);
  });

  it("miss and double nothing, whatever the pages", () => {
    const random = seededRandom(5);
    for (let round = 0; round < 300; round++) {
      const ids = Array.from({ length: 40 }, (_, i) => `r${String(i).padStart(2, "0")}`);
      const left = ids.filter(() => random() < 0.6);
      const right = ids.filter(() => random() < 0.6);
      const size = 1 + Math.floor(random() * 6);
      let frontier = "";
      let at = 0;
      const seen: string[] = [];
      for (let step = 0; step < 200; step++) {
        const rows = left.filter((id) => id > frontier).slice(0, size);
        const oursEnded = left.filter((id) => id > frontier).length <= size;
        const slice = right.slice(at, at + size);
        const theirsEnded = at + size >= right.length;
        const pairs = mergePages(page(mine(...rows), oursEnded), page(listed(...slice), theirsEnded), frontier);
        seen.push(...shown(pairs));
        frontier = pairs.at(-1)?.refId ?? frontier;
        if (oursEnded && theirsEnded) break;
        if ((slice.at(-1) ?? "") <= frontier && !theirsEnded) at += size;
      }
      const expected = ids
        .filter((id) => left.includes(id) || right.includes(id))
        .map((id) => `${id}${left.includes(id) ? "o" : ""}${right.includes(id) ? "t" : ""}`);
      expect(seen).toEqual(expected);
    }
  });
});

describe("days", () => {
  it("are those of the calendar", () => {
    expect(startOf("2026-02-28")).toBe(Date.UTC(2026, 1, 28));
    expect(["2026-02-29", "2026-2-1", "yesterday", ""].map(startOf)).toEqual(Array(4).fill(undefined));
  });

  it("of a run are in order, over and not too many", () => {
    expect(rangeFault("2026-11-01", "2026-11-22", NOW)).toBeUndefined();
    expect(rangeFault("2026-11-02", "2026-11-01", NOW)).toBe("it ends before it begins");
    expect(rangeFault("2026-11-22", "2026-11-23", NOW)).toBe("it ends in the future");
    expect(rangeFault("2025-01-01", "2026-11-01", NOW)).toBe("it is longer than 366 days");
    expect(rangeFault("2026-11-31", "2026-11-31", NOW)).toBe("a day is written YYYY-MM-DD");
  });

  it("are due when what was in flight has landed, and missed ones are caught up with", () => {
    const midnight = Date.UTC(2026, 10, 22);
    expect(dueDays(undefined, HOUR, midnight + HOUR)).toEqual(["2026-11-21"]);
    expect(dueDays(undefined, HOUR, midnight + HOUR - 1)).toEqual(["2026-11-20"]);
    expect(dueDays("2026-11-21", HOUR, midnight + HOUR)).toEqual([]);
    expect(dueDays("2026-11-18", HOUR, midnight + HOUR)).toEqual(["2026-11-19", "2026-11-20", "2026-11-21"]);
    expect(dueDays("2026-01-01", HOUR, midnight + HOUR)).toHaveLength(31);
  });
});

describe("the report", () => {
  it("is a table whose fields no spreadsheet runs", () => {
    expect(["=1+1", "+1", "@x", "-1", "-1.50", "-x", "\tx", "a,b", 'a"b', "a\r\nb", "plain"].map(csvField)).toEqual([
      ...["'=1+1", "'+1", "'@x", "-1", "-1.50", "'-x", "'\tx", '"a,b"', '"a""b"', '"a\r\nb"', "plain"],
    ]);
    expect(csvField("=a,b")).toBe('"\'=a,b"');
  });

  it("shows both sides, amounts in the currency's own digits", () => {
    const item: Item = {
      itemId: 1,
      refId: "stl_1",
      kind: "amount",
      day: "2026-11-21",
      tenantId: "=cmd",
      ours: { type: "adjustment", amountCents: -12_050, currency: "CAD", status: "COMPLETED" },
      theirs: {
        type: "adjustment",
        amountCents: -12,
        currency: "JPY",
        status: "COMPLETED",
        operatorTransactionId: "op_1",
      },
      state: "open",
      owner: null,
      resolution: null,
      reason: null,
      resolvedBy: null,
      runId: "r",
      foundAt: NOW,
      seenAt: NOW,
      resolvedAt: null,
    };
    expect(csvLine(item)).toBe(
      "stl_1,amount,2026-11-21,'=cmd,adjustment,-120.50,CAD,COMPLETED,op_1,adjustment,-12,JPY,COMPLETED,open,,,,2026-11-22T12:00:00.000Z\r\n",
    );
    expect(csvHeader().split(",")).toHaveLength(csvLine({ ...item, ours: null, theirs: null }).split(",").length);
  });
});

describe("a run", () => {
  const run: Run = {
    ...{ runId: "r", kind: "custom", fromDay: "2026-11-01", toDay: "2026-11-02", state: "running", startedBy: "op" },
    ...{ day: "2026-11-01", frontier: "", cursor: null, listEnded: false, dayStartedAt: 0, expected: 10 },
    ...{ ours: 5, theirs: 0, agreed: 0, inFlight: 0, asked: 0, mismatches: 0, version: 1, leaseUntil: 0, dueAt: 0 },
    ...{ failures: 0, reason: null, startedAt: 0, endedAt: null },
  };

  it("asks an operator that does not answer less and less often, and gives up after hours", () => {
    let now = NOW;
    let state: Run = run;
    const waits: number[] = [];
    while (state.state === "running") {
      state = afterStep(state, { type: "waiting", waitMs: 10, reason: "no-answer" }, now);
      waits.push(state.dueAt - now);
      now = Math.max(now, state.dueAt);
    }
    expect(state).toMatchObject({ state: "failed", failures: MAX_FAILURES, reason: "no-answer" });
    expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(now - NOW).toBeGreaterThan(6 * HOUR);
  });

  it("shows how far it is, and the end only at its end", () => {
    expect([progressOf(run), progressOf({ ...run, ours: 12 }), progressOf({ ...run, expected: 0 })]).toEqual([
      0.5, 0.99, 0,
    ]);
    expect(progressOf({ ...run, state: "completed" })).toBe(1);
  });
});

it("a bar redraws itself on a terminal and is a line for each tenth elsewhere", () => {
  expect(barOf(0.5)).toBe("[###############...............]  50 %");
  const written = (isTTY: boolean) => {
    let text = "";
    const bar = progressBar({ isTTY, write: (more) => (text += more) });
    for (const share of [0, 0.01, 0.11, 1]) bar.show(share, "x");
    bar.end();
    return text;
  };
  expect(written(true).split("\r")).toHaveLength(5);
  expect(written(false).split("\n").filter(Boolean)).toHaveLength(3);
});
