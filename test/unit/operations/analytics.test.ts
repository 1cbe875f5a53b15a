import { expect, test } from "vitest";
import {
  ANALYTICS_LIMITS,
  type AnalyticsPoint,
  AnalyticsWriter,
  analyticsPointOf,
} from "../../../src/operations/analytics.ts";
import { METRIC_NAMES, specOf } from "../../../src/operations/metrics.ts";
import type { MetricRow } from "../../../src/operations/metrics-buffer.ts";

const bytes = (text: string): number => new TextEncoder().encode(text).length;

const request = (value: number): MetricRow => ({
  name: "itrans_core_http_requests_total",
  minute: 30_000_000,
  labels: ["GET", "/health", "200"],
  value,
});

test("a counter's point has its worker, its labels in the catalogue's order, its minute and its increase", () => {
  expect(analyticsPointOf(request(7))).toEqual({
    indexes: ["itrans_core_http_requests_total"],
    blobs: ["itrans-core", "GET", "/health", "200"],
    doubles: [1_800_000_000, 7, 0],
  });
});

test("every metric fits the platform's limits with labels of the greatest length, and no observation is lost", () => {
  for (const name of METRIC_NAMES) {
    const spec = specOf(name);
    const labels = Object.keys(spec.labels).map(() => "é".repeat(120));
    const buckets = spec.type === "histogram" ? [...spec.buckets, Infinity].map((_, i) => i + 1) : undefined;
    const row = { name, minute: 1, labels, value: 1, ...(buckets === undefined ? {} : { buckets }) };
    const point = analyticsPointOf(row);
    if (point === undefined) throw new Error(name);
    expect(point.indexes.map(bytes), name).toEqual([bytes(name)]);
    expect(bytes(name)).toBeLessThanOrEqual(ANALYTICS_LIMITS.indexBytes);
    expect(point.blobs).toHaveLength(1 + labels.length);
    expect(point.blobs.length).toBeLessThanOrEqual(ANALYTICS_LIMITS.blobs);
    expect(point.blobs.reduce((sum, blob) => sum + bytes(blob), 0)).toBeLessThanOrEqual(ANALYTICS_LIMITS.blobBytes);
    expect(point.doubles.length, name).toBeLessThanOrEqual(ANALYTICS_LIMITS.doubles);
    const count = (buckets ?? []).reduce((sum, n) => sum + n, 0);
    expect(point.doubles[2]).toBe(count);
    expect(point.doubles.slice(3).reduce((sum, n) => sum + n, 0)).toBe(count);
  }
});

test("an invocation writes as many points as it may, the rest wait, and of too many the oldest are lost", () => {
  const written: AnalyticsPoint[] = [];
  const dataset = { writeDataPoint: (point: AnalyticsPoint) => written.push(point) };
  const writer = new AnalyticsWriter(100);
  writer.write(
    dataset,
    Array.from({ length: 400 }, (_, i) => request(i)),
  );
  expect(written).toHaveLength(ANALYTICS_LIMITS.points);
  writer.write(dataset, []);
  expect(written.map(({ doubles }) => doubles[1])).toEqual([
    ...Array.from({ length: 250 }, (_, i) => i),
    ...Array.from({ length: 100 }, (_, i) => 300 + i),
  ]);
});

test("what is held back goes with the next points of the invocation, within its one limit", () => {
  const written: AnalyticsPoint[] = [];
  const writer = new AnalyticsWriter(1_000);
  writer.hold(Array.from({ length: 200 }, (_, i) => request(i)));
  writer.write(
    { writeDataPoint: (point: AnalyticsPoint) => written.push(point) },
    Array.from({ length: 100 }, (_, i) => request(200 + i)),
  );
  expect(written.map(({ doubles }) => doubles[1])).toEqual(Array.from({ length: 250 }, (_, i) => i));
});

test("a dataset that refuses fails nothing, and what it refused is not written again", () => {
  let calls = 0;
  const writer = new AnalyticsWriter(100);
  const refusing = {
    writeDataPoint() {
      calls += 1;
      throw new Error("too many points");
    },
  };
  expect(() => writer.write(refusing, [request(1), request(2)])).not.toThrow();
  writer.write(refusing, []);
  expect(calls).toBe(1);
});
