/**
 * What the evaluator saw, and questions about a stretch of it. A signal that could not be read is absent from its observation:
 * every question then answers undefined, which is neither "yes" nor "no".
 */
import { quantileOf } from "../quantile.ts";

export interface Observation {
  /** Epoch ms. */
  readonly at: number;
  /** Gauges as they stood, counters as totals since ever. */
  readonly values: Readonly<Record<string, number>>;
  /** Histograms: totals of each bucket alone, the one without bound last. */
  readonly buckets: Readonly<Record<string, readonly number[]>>;
}

/** Oldest first. */
export type History = readonly Observation[];

export const latest = (history: History): Observation | undefined => history.at(-1);

export const valueNow = (history: History, signal: string): number | undefined => latest(history)?.values[signal];

/**
 * The observation that a window begins with: the last one at or before its start, else the first there is.
 * @param whole undefined when the history does not reach back that far.
 */
function startOf(history: History, windowMs: number, whole: boolean): Observation | undefined {
  const now = latest(history)?.at;
  if (now === undefined) return undefined;
  const before = history.findLast(({ at }) => at <= now - windowMs);
  return before ?? (whole ? undefined : history[0]);
}

/** What stood when the window began; undefined when the history does not reach back that far. */
export const valueThen = (history: History, signal: string, windowMs: number): number | undefined =>
  startOf(history, windowMs, true)?.values[signal];

/** From the first observation to the last, ms. */
export const spanOf = (history: History): number => (latest(history)?.at ?? 0) - (history[0]?.at ?? 0);

/** From the first observation that has the signal to the last, ms. */
export const spanSince = (history: History, signal: string): number =>
  (latest(history)?.at ?? 0) - (history.find(({ values }) => values[signal] !== undefined)?.at ?? 0);

/** A total that fell was begun anew: what it has now is what it rose by. */
const rise = (from: number, to: number): number => (to >= from ? to - from : to);

/**
 * How much a counter rose within the window.
 * @param whole true: undefined unless the window was observed from its beginning.
 */
export function increaseOf(history: History, signal: string, windowMs: number, whole = false): number | undefined {
  const from = startOf(history, windowMs, whole)?.values[signal];
  const to = valueNow(history, signal);
  return from === undefined || to === undefined ? undefined : rise(from, to);
}

/** A quantile of what a histogram observed within the window, and of how many. */
export function quantileWithin(
  history: History,
  signal: string,
  bounds: readonly number[],
  q: number,
  windowMs: number,
): { readonly count: number; readonly value: number | null } | undefined {
  const from = startOf(history, windowMs, false)?.buckets[signal];
  const to = latest(history)?.buckets[signal];
  if (from === undefined || to === undefined) return undefined;
  const begunAnew = to.some((count, index) => count < (from[index] ?? 0));
  const counts = to.map((count, index) => (begunAnew ? count : count - (from[index] ?? 0)));
  return { count: counts.reduce((sum, count) => sum + count, 0), value: quantileOf(bounds, counts, q) };
}

/** How much of what was seen is kept. */
export interface Memory {
  /** All of this time. */
  readonly fineMs: number;
  /** Older ones: one for each of `everyMs`, up to an age of `untilMs`. From the young to the old. */
  readonly thinned: readonly { readonly everyMs: number; readonly untilMs: number }[];
}

/** What is kept after a new observation. */
export function remember(history: History, seen: Observation, { fineMs, thinned }: Memory): History {
  const slots = new Set<string>();
  return [...history.filter(({ at }) => at < seen.at), seen].filter(({ at }) => {
    const age = seen.at - at;
    if (age <= fineMs) return true;
    const step = thinned.find(({ untilMs }) => age <= untilMs);
    if (step === undefined) return false;
    const slot = `${step.everyMs} ${Math.floor(at / step.everyMs)}`;
    const first = !slots.has(slot);
    slots.add(slot);
    return first;
  });
}
