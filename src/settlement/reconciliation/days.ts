/** Days of reconciliation: YYYY-MM-DD, UTC. */

const DAY_MS = 86_400_000;
/** Of one run. */
export const MAX_DAYS = 366;
/** Missed days that are caught up with. */
const MAX_CATCH_UP = 31;

export const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** Epoch ms of its first moment; undefined when it is no day. */
export function startOf(day: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) return undefined;
  const at = Date.parse(`${day}T00:00:00.000Z`);
  return Number.isNaN(at) || dayOf(at) !== day ? undefined : at;
}

export interface Span {
  /** Epoch ms. */
  readonly from: number;
  /** Not included. */
  readonly to: number;
}

/** @throws RangeError for what is no day. */
export function spanOf(fromDay: string, toDay = fromDay): Span {
  const [from, last] = [startOf(fromDay), startOf(toDay)];
  if (from === undefined || last === undefined) throw new RangeError("not a day");
  return { from, to: last + DAY_MS };
}

export const dayAfter = (day: string): string => dayOf(spanOf(day).to);

/** Why these days can not be compared; undefined when they can. */
export function rangeFault(fromDay: string, toDay: string, now: number): string | undefined {
  const [from, to] = [startOf(fromDay), startOf(toDay)];
  if (from === undefined || to === undefined) return "a day is written YYYY-MM-DD";
  if (to < from) return "it ends before it begins";
  if (to > now) return "it ends in the future";
  return (to - from) / DAY_MS >= MAX_DAYS ? `it is longer than ${MAX_DAYS} days` : undefined;
}

/**
 * Days whose daily run is due: those over for at least the tolerance and not yet begun. A new system begins with the last one.
 * @param newest day of the newest daily run.
 */
export function dueDays(newest: string | undefined, toleranceMs: number, now: number): readonly string[] {
  const last = dayOf(spanOf(dayOf(now - toleranceMs)).from - DAY_MS);
  if (newest === undefined) return [last];
  const due: string[] = [];
  for (let day = last; day > newest && due.length < MAX_CATCH_UP; day = dayOf(spanOf(day).from - DAY_MS))
    due.unshift(day);
  return due;
}
