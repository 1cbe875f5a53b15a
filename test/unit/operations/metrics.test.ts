import { describe, expect, test } from "vitest";
import { isMetricName, METRIC_NAMES, type MetricName, metricsOf, specOf } from "../../../src/operations/metrics.ts";
import { bucketOf, labelValues, MetricsBuffer } from "../../../src/operations/metrics-buffer.ts";
import { type MetricTotal, renderMetrics } from "../../../src/operations/metrics-text.ts";
import { quantileOf } from "../../../src/operations/quantile.ts";
import { rowsAt } from "../../../src/operations/readings.ts";
import { readExposition } from "../../support/prometheus.ts";

const MINUTE = 60_000;

/** One series of a metric, with values that need escaping. */
function sampleOf(name: MetricName): MetricTotal {
  const spec = specOf(name);
  const labels = Object.keys(spec.labels).map((label) => `a "${label}"\\\n`);
  if (spec.type !== "histogram") return { name, labels, value: 3 };
  return { name, labels, value: 1.5, buckets: [5, ...spec.buckets.map(() => 2)] };
}

describe("the catalogue", () => {
  test("as Prometheus text it passes every rule of promtool, with all of its metrics in it", () => {
    const families = readExposition(renderMetrics(METRIC_NAMES, METRIC_NAMES.map(sampleOf)));
    expect(families.map(({ name }) => name)).toEqual(METRIC_NAMES);
    for (const { name, type, help } of families) {
      expect(isMetricName(name) ? specOf(name).type : undefined, name).toBe(type);
      expect(help.endsWith(".")).toBe(true);
    }
  });

  test("a metric's unit is the end of its name where it is one of Prometheus's", () => {
    for (const name of METRIC_NAMES) {
      const { unit } = specOf(name);
      const word = name
        .replace(/_total$/, "")
        .split("_")
        .at(-1);
      if (unit === "seconds" || unit === "bytes") expect(word, name).toBe(unit);
      else expect(["seconds", "bytes"], name).not.toContain(word);
    }
  });

  test("buckets rise, and no name belongs to two workers", () => {
    for (const name of METRIC_NAMES) {
      const spec = specOf(name);
      if (spec.type !== "histogram") continue;
      expect(spec.buckets, name).toEqual([...spec.buckets].sort((a, b) => a - b));
      expect(new Set(spec.buckets).size, name).toBe(spec.buckets.length);
    }
    const all = (["itrans-core", "itrans-relay", "medlink-hub"] as const).flatMap(metricsOf);
    expect(all.toSorted()).toEqual([...METRIC_NAMES].toSorted());
  });
});

describe("the reader of the text format", () => {
  const counter = "# HELP a_total Help.\n# TYPE a_total counter\n";
  const bucket = (le: string, value: number): string => `h_seconds_bucket{le="${le}"} ${value}\n`;
  const histogram = "# HELP h_seconds Help.\n# TYPE h_seconds histogram\n";
  test.each([
    ["a counter without _total", "# HELP a Help.\n# TYPE a counter\na 1\n"],
    ["a gauge with _total", "# HELP a_total Help.\n# TYPE a_total gauge\na_total 1\n"],
    ["a series twice", `${counter}a_total{x="1"} 1\na_total{x="1"} 2\n`],
    ["no HELP", "# TYPE a_total counter\na_total 1\n"],
    ["no TYPE", "# HELP a_total Help.\na_total 1\n"],
    ["milliseconds", "# HELP a_milliseconds Help.\n# TYPE a_milliseconds gauge\na_milliseconds 1\n"],
    ["a label that is not closed", `${counter}a_total{x="1} 1\n`],
    ["no +Inf bucket", `${histogram}${bucket("1", 1)}h_seconds_sum 1\nh_seconds_count 1\n`],
    [
      "buckets that are not cumulative",
      `${histogram}${bucket("1", 2)}${bucket("+Inf", 1)}h_seconds_sum 1\nh_seconds_count 1\n`,
    ],
    [
      "a count that is not the +Inf bucket",
      `${histogram}${bucket("1", 1)}${bucket("+Inf", 2)}h_seconds_sum 1\nh_seconds_count 1\n`,
    ],
  ])("refuses %s", (_, text) => {
    expect(() => readExposition(text)).toThrow();
  });
});

describe("a buffer", () => {
  const at = (minute: number) => () => minute * MINUTE + 5_000;

  test("adds up what happens in one minute of one series, and keeps minutes apart", () => {
    let minute = 7;
    const buffer = new MetricsBuffer("itrans-core", () => minute * MINUTE, 10);
    buffer.add("itrans_core_ledger_appends_total", { type: "CLAIM_CREATED" });
    buffer.add("itrans_core_ledger_appends_total", { type: "CLAIM_CREATED" }, 4);
    minute = 8;
    buffer.add("itrans_core_ledger_appends_total", { type: "CLAIM_CREATED" });
    const name = "itrans_core_ledger_appends_total";
    expect(buffer.take()).toEqual([
      { name, minute: 7, labels: ["CLAIM_CREATED"], value: 5 },
      { name, minute: 8, labels: ["CLAIM_CREATED"], value: 1 },
    ]);
    expect(buffer.size).toBe(0);
  });

  test("puts an observation into the first bucket that holds it, a bound included", () => {
    expect([0, 1, 1.1, 2, 3].map((value) => bucketOf([1, 2], value))).toEqual([0, 0, 1, 1, 2]);
    const buffer = new MetricsBuffer("itrans-core", at(1), 10);
    for (const value of [1, 2, 2.5, 9_999]) buffer.observe("itrans_core_ledger_commit_size_commands", {}, value);
    const [row] = buffer.take();
    expect(row).toMatchObject({ value: 10_004.5, labels: [] });
    expect(row?.buckets).toEqual([1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  });

  test("is bounded: what finds no room is counted", () => {
    const buffer = new MetricsBuffer("itrans-core", at(1), 2);
    for (const route of ["/a", "/b", "/c", "/d"]) {
      buffer.add("itrans_core_http_requests_total", { method: "GET", route, status: "200" });
    }
    expect(buffer.take().map(({ name, value }) => [name, value])).toEqual([
      ["itrans_core_http_requests_total", 1],
      ["itrans_core_http_requests_total", 1],
      ["itrans_core_metrics_dropped_total", 2],
    ]);
  });

  test("a counter never falls, and what is no number is not counted", () => {
    const buffer = new MetricsBuffer("itrans-core", at(1), 10);
    buffer.add("itrans_core_ledger_commits_total", { outcome: "committed" }, -1);
    buffer.add("itrans_core_ledger_commits_total", { outcome: "committed" }, Number.NaN);
    buffer.observe("itrans_core_ledger_commit_duration_seconds", {}, Number.POSITIVE_INFINITY);
    expect(buffer.take()).toEqual([]);
  });

  test("label values have the catalogue's order, whatever the caller's", () => {
    const spec = specOf("itrans_core_http_requests_total");
    expect(labelValues(spec, { status: "200", route: "/x", method: "GET" })).toEqual(["GET", "/x", "200"]);
  });

  test("what happened at a known time falls into that minute", () => {
    const rows = rowsAt("medlink-hub", (measure, setTime) => {
      setTime(5 * MINUTE);
      measure.add("medlink_logins_total", {}, 2);
      setTime(6 * MINUTE);
      measure.add("medlink_logins_total", {});
    });
    expect(rows.map(({ minute, value }) => [minute, value])).toEqual([
      [5, 2],
      [6, 1],
    ]);
  });
});

describe("quantiles", () => {
  test("are linear within a bucket, which begins where the one before it ends", () => {
    expect(quantileOf([1, 2, 4], [0, 10, 0, 0], 0.5)).toBe(1.5);
    expect(quantileOf([1, 2, 4], [10, 0, 0, 0], 0.5)).toBe(0.5);
    expect(quantileOf([1, 2, 4], [5, 0, 5, 0], 0.99)).toBeCloseTo(3.96);
  });

  test("beyond the last bound they are that bound, and of nothing they are unknown", () => {
    expect(quantileOf([1, 2], [0, 0, 3], 0.5)).toBe(2);
    expect(quantileOf([1, 2], [0, 0, 0], 0.5)).toBeNull();
  });
});
