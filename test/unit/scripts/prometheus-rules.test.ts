import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { expressionOf, promDuration, rulesYaml } from "../../../scripts/lib/alert-expressions.ts";
import { PROMETHEUS_LIMITS } from "../../../scripts/lib/ops-files.ts";
import { routePaths } from "../../../scripts/lib/route-paths.ts";
import { alertRules } from "../../../src/operations/alerts/alert-rules.ts";
import { isMetricName, METRIC_NAMES, type MetricName, specOf } from "../../../src/operations/metrics.ts";
import { readPromql } from "../../support/promql.ts";

const file = (name: string): string => readFileSync(new URL(`../../../ops/${name}`, import.meta.url), "utf8");
const rules = alertRules(PROMETHEUS_LIMITS);
const open = { route: routePaths() };

/** Histograms have samples of their own names. */
function metricOf(sample: string): MetricName | undefined {
  if (isMetricName(sample)) return specOf(sample).type === "histogram" ? undefined : sample;
  const base = sample.replace(/_(?:bucket|count|sum)$/, "");
  return isMetricName(base) && specOf(base).type === "histogram" ? base : undefined;
}

test("the rules file is what the alerts make it: npm run build:ops", () => {
  expect(file("prometheus-rules.yml")).toBe(rulesYaml(rules, open));
});

test("every line of the rules file is one that every reader of YAML takes alike", () => {
  const lines = file("prometheus-rules.yml").trimEnd().split("\n");
  for (const line of lines) {
    if (line.startsWith("#")) continue;
    expect(line).toMatch(/^ *(?:- )?[a-z_]+:(?: (?:".*"|'[^']*'))?$/);
    const value = /: (".*")$/.exec(line)?.[1];
    if (value !== undefined) expect(typeof JSON.parse(value)).toBe("string");
  }
  expect(lines.filter((line) => line.includes("- alert:"))).toHaveLength(rules.length);
});

test.each(rules)("$name is an expression that Prometheus can read, over metrics and labels that there are", (rule) => {
  for (const { name, labels } of readPromql(expressionOf(rule.condition, open))) {
    const job = labels.job?.value ?? "";
    if (name === "up" || name === "probe_success") {
      expect(file("prometheus.yml")).toContain(`job_name: ${job}`);
      continue;
    }
    const metric = metricOf(name);
    expect(metric, name).toBeDefined();
    if (metric === undefined) continue;
    for (const [label, { operator, value }] of Object.entries(labels)) {
      const values = specOf(metric).labels[label];
      expect(values, `${name} ${label}`).toBeDefined();
      if (values === undefined) continue;
      const known = "from" in values ? open.route : values;
      const matches =
        operator === "=" ? (one: string) => one === value : (one: string) => new RegExp(`^(?:${value})$`).test(one);
      expect(known.some(matches), `${name}{${label}${operator}${value}}`).toBe(true);
    }
  }
});

test("a share, a quantile and a window come out as people write them", () => {
  const of = (name: string): string => {
    const rule = rules.find((each) => each.name === name);
    return rule === undefined ? "" : expressionOf(rule.condition, open);
  };
  expect(of("dead-letters")).toBe("(sum(itrans_core_outbox_dead_letters) or vector(0)) > 0");
  expect(of("dead-letters-accumulating")).toBe(
    '(sum(increase(itrans_core_delivery_attempts_total{outcome="dead"}[15m])) or vector(0)) >= 6',
  );
  expect(of("server-errors-critical")).toContain('status=~"500|502|503|504"}[2m]');
  expect(of("webhook-intake")).toContain('route="/api/itrans/webhooks/workflow"');
  expect(of("anchor-late")).toContain("sum(itrans_core_ledger_size_entries offset 15m)");
  expect(of("backup-never")).toMatch(/^absent\(itrans_core_backup_good_timestamp_seconds\) and on \(\) /);
});

test("a metric or function that there is not, and a range that nothing takes, are noticed", () => {
  expect(metricOf("itrans_core_nothing_total")).toBeUndefined();
  expect(metricOf("medlink_claim_callback_seconds")).toBeUndefined();
  expect(() => readPromql("summ(up)")).toThrow("no function");
  expect(() => readPromql("sum(up[5m]) > 1")).toThrow("takes a vector");
  expect(() => readPromql("increase(up) > 1")).toThrow("does not take");
  expect(() => readPromql("1 > 0")).toThrow("scalars");
  expect(() => readPromql("sum(up) > 0)")).toThrow("left over");
  expect(METRIC_NAMES.length).toBeGreaterThan(30);
});

test("durations are the largest unit that fits", () => {
  expect([0, 30_000, 90_000, 900_000, 93_600_000, 86_400_000].map(promDuration)).toEqual([
    "0s",
    "30s",
    "90s",
    "15m",
    "26h",
    "1d",
  ]);
});
