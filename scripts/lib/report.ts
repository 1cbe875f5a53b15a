/** What reports are made of: counts, distributions, rates and bursts. Pure: times are given. */

export interface Distribution {
  readonly count: number;
  readonly mean: number;
  readonly min: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Nearest rank. @returns undefined of nothing. */
export function distributionOf(values: readonly number[]): Distribution | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  if (min === undefined || max === undefined) return undefined;
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? max;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  return { count: sorted.length, mean, min, p50: at(0.5), p95: at(0.95), p99: at(0.99), max };
}

export interface Share {
  readonly name: string;
  readonly count: number;
  /** Of 1. */
  readonly share: number;
}

/** The most frequent first. */
export function sharesOf(names: readonly string[]): readonly Share[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .map(([name, count]) => ({ name, count, share: count / names.length }))
    .toSorted((a, b) => b.count - a.count || a.name.localeCompare(b.name));
}

export interface Slot {
  /** Epoch ms at which it begins. */
  readonly at: number;
  readonly count: number;
}

const MINUTE_MS = 60_000;
/** Slots of a chart: the shortest that gives at most so many. */
const MOST_SLOTS = 30;
const SLOT_MINUTES = [1, 5, 15, 60, 180, 360, 1_440, 10_080] as const;

/** How many there were in each slot between two times, empty ones too. */
export function rateOf(
  times: readonly number[],
  since: number,
  until: number,
): { readonly slotMs: number; readonly slots: readonly Slot[] } {
  const span = Math.max(1, until - since);
  const minutes = SLOT_MINUTES.find((one) => span / (one * MINUTE_MS) <= MOST_SLOTS) ?? 40_320;
  const slotMs = minutes * MINUTE_MS;
  const first = Math.floor(since / slotMs);
  const counts = new Map<number, number>();
  for (const at of times) {
    if (at < since || at >= until) continue;
    const slot = Math.floor(at / slotMs);
    counts.set(slot, (counts.get(slot) ?? 0) + 1);
  }
  const last = Math.floor((until - 1) / slotMs);
  const slots = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => ({
    at: (first + i) * slotMs,
    count: counts.get(first + i) ?? 0,
  }));
  return { slotMs, slots };
}

/** The seconds in which more than one happened, the busiest first. */
export function burstsOf(times: readonly number[], most: number): readonly Slot[] {
  const counts = new Map<number, number>();
  for (const at of times) {
    const second = Math.floor(at / 1_000);
    counts.set(second, (counts.get(second) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count > 1)
    .toSorted(([a, countOfA], [b, countOfB]) => countOfB - countOfA || a - b)
    .slice(0, most)
    .map(([second, count]) => ({ at: second * 1_000, count }));
}

/** The most in any minute of the clock. */
export function busiestMinute(times: readonly number[]): Slot | undefined {
  const counts = new Map<number, number>();
  for (const at of times) {
    const minute = Math.floor(at / MINUTE_MS);
    counts.set(minute, (counts.get(minute) ?? 0) + 1);
  }
  const [busiest] = [...counts].toSorted(([, a], [, b]) => b - a);
  return busiest === undefined ? undefined : { at: busiest[0] * MINUTE_MS, count: busiest[1] };
}
