/** The workers' own metrics, as far as the gates look at them. */
import { quantileOf } from "../../../src/operations/quantile.ts";

export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Lines of Prometheus text; what is no sample is passed over. */
export function seriesIn(text: string): readonly Series[] {
  return text.split("\n").flatMap((line) => {
    const [, name, labels = "", value = ""] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) return [];
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = "", text_ = ""]) => [key, text_]);
    return [
      { name, labels: Object.fromEntries(pairs), value: value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value) },
    ];
  });
}

export const sumOf = (series: readonly Series[], name: string): number =>
  series.filter((each) => each.name === name).reduce((sum, { value }) => sum + value, 0);

/** @returns observations up to each bound, by the bound. */
export function bucketsOf(series: readonly Series[], name: string): ReadonlyMap<number, number> {
  const buckets = new Map<number, number>();
  for (const { labels, value } of series.filter((each) => each.name === `${name}_bucket`)) {
    const bound = labels.le === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels.le);
    buckets.set(bound, (buckets.get(bound) ?? 0) + value);
  }
  return buckets;
}

/** What was observed between two looks. @returns quantiles in the metric's unit. */
export function observedBetween(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>) {
  const bounds = [...after.keys()].toSorted((a, b) => a - b);
  const upTo = bounds.map((bound) => (after.get(bound) ?? 0) - (before.get(bound) ?? 0));
  const alone = upTo.map((count, index) => count - (upTo[index - 1] ?? 0));
  const finite = bounds.filter(Number.isFinite);
  return {
    count: upTo.at(-1) ?? 0,
    quantile: (q: number): number | null => quantileOf(finite, alone, q),
  };
}
