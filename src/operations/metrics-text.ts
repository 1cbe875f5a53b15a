/** Prometheus text format 0.0.4. */

import { type MetricName, type MetricSpec, specOf } from "./metrics.ts";
import type { MetricRow } from "./metrics-buffer.ts";

export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** A series as it stands: a counter's or histogram's total since the first, a gauge's reading. */
export type MetricTotal = Pick<MetricRow, "name" | "labels" | "value" | "buckets">;

const escapeHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
const escapeValue = (text: string): string => escapeHelp(text).replaceAll('"', '\\"');

const numberText = (value: number): string =>
  value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);

function labelText(pairs: readonly (readonly [string, string])[]): string {
  if (pairs.length === 0) return "";
  return `{${pairs.map(([label, value]) => `${label}="${escapeValue(value)}"`).join(",")}}`;
}

/**
 * @param names what is exposed, in this order. @param totals of these; others are left out.
 * @returns the exposition, ending in a newline.
 */
export function renderMetrics(names: readonly MetricName[], totals: readonly MetricTotal[]): string {
  const byName = Map.groupBy(totals, ({ name }) => name);
  const lines: string[] = [];
  for (const name of names) {
    const spec = specOf(name);
    const series = byName.get(name) ?? (isPlainCounter(spec) ? [{ name, labels: [], value: 0 }] : []);
    if (series.length === 0) continue;
    lines.push(`# HELP ${name} ${escapeHelp(spec.help)}`, `# TYPE ${name} ${spec.type}`);
    for (const one of series) lines.push(...seriesLines(name, spec, one));
  }
  return `${lines.join("\n")}\n`;
}

/** Without labels there is one series, which is there from the start, so that its first event is an increase. */
const isPlainCounter = (spec: MetricSpec): boolean => spec.type === "counter" && Object.keys(spec.labels).length === 0;

function seriesLines(name: MetricName, spec: MetricSpec, { labels, value, buckets }: MetricTotal): readonly string[] {
  const pairs = Object.keys(spec.labels).map((label, index) => [label, labels[index] ?? ""] as const);
  if (spec.type !== "histogram") return [`${name}${labelText(pairs)} ${numberText(value)}`];
  let below = 0;
  const cumulative = [...spec.buckets, Number.POSITIVE_INFINITY].map((bound, index) => {
    below += buckets?.[index] ?? 0;
    return `${name}_bucket${labelText([...pairs, ["le", numberText(bound)]])} ${below}`;
  });
  return [
    ...cumulative,
    `${name}_sum${labelText(pairs)} ${numberText(value)}`,
    `${name}_count${labelText(pairs)} ${below}`,
  ];
}
