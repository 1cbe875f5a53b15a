import { expect, it } from "vitest";
import { METRIC_NAMES, specOf } from "../../../src/operations/metrics.ts";
import { parseMetrics, renderMetrics } from "../../../src/operations/metrics-text.ts";

it("reads back what was rendered, odd label values included", () => {
  const totals = METRIC_NAMES.map((name, index) => {
    const spec = specOf(name);
    const labels = Object.keys(spec.labels).map((label) => `${label} "x"\\n,{y}="z"\n${index}`);
    return spec.type === "histogram"
      ? { name, labels, value: index / 8, buckets: [...spec.buckets, 0].map((_, at) => (at + index) % 3) }
      : { name, labels, value: index + 0.5 };
  });
  expect(parseMetrics(METRIC_NAMES, renderMetrics(METRIC_NAMES, totals))).toEqual(totals);
});

it("passes over what it was not asked for and lines that are none", () => {
  expect(
    parseMetrics(["itrans_core_relay_paused"], "nonsense\n# x\nother_total 3\nitrans_core_relay_paused 1\n"),
  ).toEqual([{ name: "itrans_core_relay_paused", labels: [], value: 1 }]);
});
