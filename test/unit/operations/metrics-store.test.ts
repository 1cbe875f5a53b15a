import { beforeEach, describe, expect, test } from "vitest";
import {
  pruneMetrics,
  readSeries,
  readTotals,
  rolledUpTo,
  rollUp,
  writeMetrics,
} from "../../../src/operations/metrics.store.ts";
import { type MetricRow, MetricsBuffer } from "../../../src/operations/metrics-buffer.ts";
import { planSeries, type SeriesAnswer, type SeriesQuery } from "../../../src/operations/series.ts";
import { migratedCore } from "../../support/d1-sqlite.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** A whole hour. */
const T0 = 500_000 * HOUR;
const minute = (epochMs: number): number => epochMs / MINUTE;

let { db, sqlite } = migratedCore();
beforeEach(() => {
  ({ db, sqlite } = migratedCore());
});

const commits = (at: number, value: number, outcome = "committed"): MetricRow => ({
  name: "itrans_core_ledger_commits_total",
  minute: minute(at),
  labels: [outcome],
  value,
});
const depth = (at: number, destination: string, value: number): MetricRow => ({
  name: "itrans_core_outbox_pending_deliveries",
  minute: minute(at),
  labels: [destination],
  value,
});
const beat = (at: number): MetricRow => ({
  name: "itrans_core_cron_lateness_seconds",
  minute: minute(at),
  labels: [],
  value: 0,
});

function latencies(at: number, values: readonly number[]): readonly MetricRow[] {
  const buffer = new MetricsBuffer("itrans-core", () => at, 10);
  for (const value of values) buffer.observe("itrans_core_ledger_commit_duration_seconds", {}, value);
  return buffer.take();
}

let flushes = 0;
const write = (...rows: MetricRow[]) => writeMetrics(db, `flush-${++flushes}`, rows, T0);

async function series(query: SeriesQuery, now: number): Promise<SeriesAnswer> {
  const planned = planSeries(query, now);
  if (!planned.ok) throw new Error(planned.problem.detail);
  return readSeries(db, planned.plan);
}

const valuesOf = ({ points }: SeriesAnswer): readonly (number | null)[] => points.map(([, value]) => value);

describe("batches", () => {
  test("add up in minutes and totals, bucket by bucket; a gauge is what was read last", async () => {
    await write(commits(T0, 2), depth(T0, "d", 9), ...latencies(T0, [0.001, 0.3]));
    await write(commits(T0, 3), depth(T0, "d", 4), ...latencies(T0, [0.002]));
    const totals = await readTotals(db, [
      "itrans_core_ledger_commits_total",
      "itrans_core_ledger_commit_duration_seconds",
      "itrans_core_outbox_pending_deliveries",
    ]);
    expect(totals).toEqual([
      {
        name: "itrans_core_ledger_commit_duration_seconds",
        labels: [],
        value: expect.closeTo(0.303),
        buckets: [2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
      },
      { name: "itrans_core_ledger_commits_total", labels: ["committed"], value: 5 },
    ]);
    const { results } = await db
      .prepare("SELECT value, buckets FROM metric_minutes ORDER BY name")
      .all<{ value: number; buckets: string | null }>();
    expect(results.map(({ value }) => value)).toEqual([expect.closeTo(0.303), 5, 4]);
    expect(results[0]?.buckets).toBe("[2,0,0,0,0,0,1,0,0,0,0,0,0,0,0]");
  });

  test("sent twice under one id count once", async () => {
    expect(await writeMetrics(db, "same", [commits(T0, 2)], T0)).toBe(true);
    expect(await writeMetrics(db, "same", [commits(T0, 2)], T0)).toBe(false);
    expect(await readTotals(db, ["itrans_core_ledger_commits_total"])).toMatchObject([{ value: 2 }]);
  });
});

describe("the roll-up", () => {
  const hours = async () =>
    (
      await db
        .prepare("SELECT name, hour, labels, value, buckets FROM metric_hours ORDER BY hour, name, labels")
        .all<{ name: string; hour: number; labels: string; value: number; buckets: string | null }>()
    ).results;

  test("sums counters and buckets, keeps a gauge's worst reading, and waits until an hour's late batches are in", async () => {
    await write(commits(T0, 2), commits(T0 + 59 * MINUTE, 3), commits(T0, 1, "uncertain"), commits(T0 + HOUR, 100));
    await write(depth(T0, "d", 3), depth(T0 + MINUTE, "d", 8), depth(T0 + 2 * MINUTE, "d", 5));
    await write(...latencies(T0, [0.001]), ...latencies(T0 + MINUTE, [0.001, 20]));
    expect(await rollUp(db, T0 + HOUR + 9 * MINUTE)).toBe(0);
    expect(await rollUp(db, T0 + HOUR + 10 * MINUTE)).toBe(1);
    const hour = T0 / HOUR;
    expect(await hours()).toEqual([
      {
        name: "itrans_core_ledger_commit_duration_seconds",
        hour,
        labels: "[]",
        value: expect.closeTo(20.002),
        buckets: "[2,0,0,0,0,0,0,0,0,0,0,0,0,1,0]",
      },
      { name: "itrans_core_ledger_commits_total", hour, labels: '["committed"]', value: 5, buckets: null },
      { name: "itrans_core_ledger_commits_total", hour, labels: '["uncertain"]', value: 1, buckets: null },
      { name: "itrans_core_outbox_pending_deliveries", hour, labels: '["d"]', value: 8, buckets: null },
    ]);
    expect(await rolledUpTo(db)).toBe(hour + 1);
  });

  test("catches up a bounded number of hours a run, and again gives the same", async () => {
    for (let i = 0; i < 10; i++) await write(commits(T0 + i * HOUR, i + 1));
    const now = T0 + 10 * HOUR + 30 * MINUTE;
    expect(await rollUp(db, now)).toBe(6);
    expect(await rollUp(db, now)).toBe(4);
    expect(await rollUp(db, now)).toBe(0);
    const before = await hours();
    expect(before.map(({ value }) => value)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    sqlite.exec("DELETE FROM metric_marks");
    for (let i = 0; i < 3; i++) await rollUp(db, now);
    expect(await hours()).toEqual(before);
  });

  test("minutes go after 30 days and hours after a year; totals stay", async () => {
    await write(commits(T0, 2));
    await rollUp(db, T0 + 2 * HOUR);
    const left = async () => (await db.prepare("SELECT 1 FROM metric_minutes").all()).results.length;
    await pruneMetrics(db, T0 + 30 * 24 * HOUR);
    expect([await left(), (await hours()).length]).toEqual([1, 1]);
    await pruneMetrics(db, T0 + 30 * 24 * HOUR + MINUTE);
    expect([await left(), (await hours()).length]).toEqual([0, 1]);
    await pruneMetrics(db, T0 + 367 * 24 * HOUR);
    expect((await hours()).length).toBe(0);
    expect(await readTotals(db, ["itrans_core_ledger_commits_total"])).toMatchObject([{ value: 2 }]);
  });
});

describe("series", () => {
  const range = { from: T0 / 1000, to: T0 / 1000 + 300, step: 60 };

  test("of a counter are its increases: 0 where something was recorded, unknown elsewhere", async () => {
    await write(commits(T0, 2), commits(T0, 1, "uncertain"), beat(T0), beat(T0 + MINUTE), commits(T0 + 3 * MINUTE, 7));
    const answer = await series({ name: "itrans_core_ledger_commits_total", ...range }, T0 + HOUR);
    expect(answer.points).toEqual([
      [T0 / 1000, 3],
      [T0 / 1000 + 60, 0],
      [T0 / 1000 + 120, null],
      [T0 / 1000 + 180, 7],
      [T0 / 1000 + 240, null],
    ]);
    expect(answer).toMatchObject({ type: "counter", unit: "runs", step: 60 });
  });

  test("of a gauge are the worst reading of each destination, together", async () => {
    await write(depth(T0, "a", 3), depth(T0 + MINUTE, "a", 5), depth(T0 + MINUTE, "b", 10));
    const name = "itrans_core_outbox_pending_deliveries";
    const answer = await series(
      { name, from: T0 / 1000, to: T0 / 1000 + 240, step: 120, by: "destination" },
      T0 + HOUR,
    );
    expect(valuesOf(answer)).toEqual([15, null]);
    expect(answer.series?.map(({ label, points }) => [label, points[0]?.[1]])).toEqual([
      ["a", 5],
      ["b", 10],
    ]);
  });

  test("of a histogram are its mean and its quantiles, or the number of its observations", async () => {
    await write(...latencies(T0, [0.006, 0.006, 0.008, 0.008]), beat(T0 + MINUTE));
    const name = "itrans_core_ledger_commit_duration_seconds";
    const answer = await series({ name, ...range }, T0 + HOUR);
    expect(answer.points[0]?.[1]).toBeCloseTo(0.007);
    expect(answer.quantiles?.p50[0]?.[1]).toBeCloseTo(0.0075);
    expect(answer.quantiles?.p99[1]?.[1]).toBeNull();
    const p95 = await series({ name, ...range, quantile: 0.95 }, T0 + HOUR);
    expect(p95.points).toEqual(p95.quantiles?.p95);
    expect(valuesOf(await series({ name: `${name}_count`, ...range }, T0 + HOUR))).toEqual([4, 0, null, null, null]);
  });

  test("are narrowed by labels; a class stands for its statuses, and no value is a pattern", async () => {
    const request = (status: string, value: number, route = "/a"): MetricRow => ({
      name: "itrans_core_http_requests_total",
      minute: minute(T0),
      labels: ["GET", route, status],
      value,
    });
    await write(
      request("200", 1),
      request("500", 2),
      request("503", 4),
      request("503", 8, "/b"),
      request("200", 16, "/*"),
    );
    const name = "itrans_core_http_requests_total";
    const sum = async (match: string) => valuesOf(await series({ name, ...range, match }, T0 + HOUR))[0];
    expect(await sum("status:5xx")).toBe(14);
    expect(await sum("status:5xx,route:/a")).toBe(6);
    expect(await sum("status:503")).toBe(12);
    expect(await sum("route:/*")).toBe(16);
  });

  test("of a long range are read from hours, and from minutes where the roll-up has not been", async () => {
    await write(commits(T0, 2), commits(T0 + HOUR, 3), commits(T0 + 2 * HOUR, 4));
    await write(depth(T0, "a", 9), depth(T0 + HOUR, "a", 1), depth(T0 + 2 * HOUR, "a", 4));
    await rollUp(db, T0 + 2 * HOUR + 10 * MINUTE);
    sqlite.exec(`DELETE FROM metric_minutes WHERE minute < ${minute(T0 + 2 * HOUR)}`);
    const query = { from: T0 / 1000, to: T0 / 1000 + 3 * 3_600 };
    const now = T0 + 2 * HOUR + 30 * MINUTE;
    const name = "itrans_core_ledger_commits_total";
    expect(valuesOf(await series({ name, ...query, step: 3_600 }, now))).toEqual([2, 3, 4]);
    const day = { from: T0 / 1000, to: T0 / 1000 + 1, step: 86_400 };
    const gauge = await series({ name: "itrans_core_outbox_pending_deliveries", ...day }, now);
    expect(valuesOf(gauge)).toContain(9);
  });
});

describe("what a series is not asked for", () => {
  const now = T0 + HOUR;
  const name = "itrans_core_ledger_commits_total";
  const refused = (query: SeriesQuery): string | undefined => {
    const planned = planSeries(query, now);
    return planned.ok ? undefined : `${planned.problem.code}: ${planned.problem.issues?.[0]?.path ?? ""}`;
  };
  const s = now / 1000;
  test.each([
    ["an unknown name", { name: "nothing" }, "not_found: "],
    ["a time before it begins", { name, from: s, to: s - 1 }, "invalid_query: from"],
    ["more than a year ago", { name, from: s - 367 * 86_400, to: s, step: 86_400 }, "invalid_query: from"],
    ["seconds", { name, step: 30 }, "invalid_query: step"],
    ["part of a minute", { name, step: 90 }, "invalid_query: step"],
    ["a fine step over weeks", { name, from: s - 7 * 86_400, step: 60 }, "invalid_query: step"],
    [
      "minutes that are gone",
      { name, from: s - 40 * 86_400, to: s - 40 * 86_400 + 3_600, step: 60 },
      "invalid_query: step",
    ],
    ["more points than 2,000", { name, from: s - 2 * 86_400, step: 60 }, "invalid_query: step"],
    ["a label it has not", { name, match: "route:/x" }, "invalid_query: match"],
    ["no pair", { name, match: "committed" }, "invalid_query: match"],
    ["a grouping it has not", { name, by: "route" }, "invalid_query: by"],
    ["a quantile of a counter", { name, quantile: 0.5 }, "invalid_query: quantile"],
  ])("%s is refused", (_, query, problem) => {
    expect(refused(query)).toBe(problem);
  });

  test("without a range it is the last hour, by minutes; a year has at most 2,000 points", () => {
    const planned = planSeries({ name }, now);
    expect(planned).toMatchObject({ ok: true, plan: { from: s - 3_600, to: s, step: 60 } });
    const year = planSeries({ name, from: s - 366 * 86_400 }, now);
    if (!year.ok) throw new Error("refused");
    expect((year.plan.to - year.plan.from) / year.plan.step).toBeLessThanOrEqual(2_000);
  });
});
