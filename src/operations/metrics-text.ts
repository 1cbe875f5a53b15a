/** Prometheus text format 0.0.4. */

import { isMetricName, type MetricName, type MetricSpec, specOf } from "./metrics.ts";
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

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const PAIR = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;
const unescapeValue = (text: string): string =>
  text.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));

interface Sample {
  readonly name: string;
  readonly pairs: ReadonlyMap<string, string>;
  readonly value: number;
}

function parseSample(line: string): Sample | undefined {
  const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
  if (name === undefined || value === undefined) return undefined;
  const pairs = new Map([...labels.matchAll(PAIR)].map(([, label = "", text = ""]) => [label, unescapeValue(text)]));
  return { name, pairs, value: value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value) };
}

/** Longer expositions are cut here: ours have a few thousand lines. */
const MAX_LINES = 50_000;

/**
 * The reverse of `renderMetrics`.
 * @param names what is looked for. @param text an exposition of these workers' metrics; other lines are passed over.
 */
export function parseMetrics(names: readonly MetricName[], text: string): readonly MetricTotal[] {
  const wanted = new Set<string>(names);
  const series = new Map<string, { name: MetricName; labels: readonly string[]; value: number; below: number[] }>();
  const seriesOf = (name: MetricName, pairs: ReadonlyMap<string, string>) => {
    const labels = Object.keys(specOf(name).labels).map((label) => pairs.get(label) ?? "");
    const key = JSON.stringify([name, ...labels]);
    const held = series.get(key) ?? { name, labels, value: 0, below: [] };
    series.set(key, held);
    return held;
  };
  for (const line of text.split("\n", MAX_LINES)) {
    const sample = line.startsWith("#") ? undefined : parseSample(line);
    if (sample === undefined || !Number.isFinite(sample.value)) continue;
    const [, base = sample.name, part = ""] = /^(.*)_(bucket|sum|count)$/.exec(sample.name) ?? [];
    if (wanted.has(sample.name) && isMetricName(sample.name)) {
      seriesOf(sample.name, sample.pairs).value = sample.value;
    } else if (wanted.has(base) && isMetricName(base) && specOf(base).type === "histogram") {
      const held = seriesOf(base, sample.pairs);
      if (part === "bucket") held.below.push(sample.value);
      if (part === "sum") held.value = sample.value;
    }
  }
  return [...series.values()].map(({ name, labels, value, below }) => ({
    name,
    labels,
    value,
    ...(specOf(name).type === "histogram"
      ? { buckets: below.map((count, index) => count - (below[index - 1] ?? 0)) }
      : {}),
  }));
}
