/** Which snapshots are kept, told by their names alone: the newest of each of 30 days, and of each of 12 months. */

export const DAILY_KEPT = 30;
export const MONTHLY_KEPT = 12;

const DAY_MS = 86_400_000;

/** Wrapped keys are not kept longer than this, whatever else is. */
export const KEYS_KEPT_MS = 30 * DAY_MS;

/** A run or drill that did not end by then is given up, so that another can begin. */
export const RUN_GIVEN_UP_MS = DAY_MS;
/** Older than this, everything is in the bucket: the tail goes there each minute, and a minute may come late. */
export const TAIL_GRACE_MS = 5 * 60_000;
/** Rows of runs that failed or whose snapshot is gone. */
export const RUNS_KEPT_MS = 40 * DAY_MS;

/** A keys file is written anew at this age; each segment on a day of its own, so that a night writes a few. */
export const keysDueAfter = (from: number, segmentEntries: number): number =>
  (14 + (Math.floor(from / segmentEntries) % 7)) * DAY_MS;

const TAG = /^[A-Za-z0-9-]{1,32}$/;
export const isTag = (tag: string): boolean => TAG.test(tag);

/** `2026-11-22T02-00-00Z`, and the tag after a hyphen. */
export function snapshotName(epochMs: number, tag: string | undefined): string {
  const time = new Date(epochMs).toISOString().slice(0, 19).replaceAll(":", "-");
  return tag === undefined ? `${time}Z` : `${time}Z-${tag}`;
}

const NAME = /^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})Z(?:-[A-Za-z0-9-]{1,32})?$/;

/** Epoch ms; undefined for what is not a snapshot's name. */
export function timeOfName(name: string): number | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [, day = "", hour = "", minute = "", second = ""] = match;
  const time = Date.parse(`${day}T${hour}:${minute}:${second}.000Z`);
  return Number.isNaN(time) ? undefined : time;
}

/** @returns the names that are no longer kept. A name that is not a snapshot's is nobody's to delete. */
export function expiredNames(names: readonly string[], now: number): readonly string[] {
  const known = names
    .flatMap((name) => {
      const time = timeOfName(name);
      return time === undefined ? [] : [{ name, time }];
    })
    .sort((a, b) => b.time - a.time || (a.name < b.name ? 1 : -1));
  const kept = new Set<string>();
  const keepNewestOf = (periodOf: (time: number) => string, limit: number) => {
    const seen = new Set<string>();
    for (const { name, time } of known) {
      const period = periodOf(time);
      if (seen.has(period)) continue;
      if (seen.size >= limit) break;
      seen.add(period);
      kept.add(name);
    }
  };
  keepNewestOf((time) => new Date(time).toISOString().slice(0, 10), DAILY_KEPT);
  keepNewestOf((time) => new Date(time).toISOString().slice(0, 7), MONTHLY_KEPT);
  // A day's snapshots stay until the day is over: one was made on command for a reason.
  return known.filter(({ name, time }) => !kept.has(name) && now - time > DAY_MS).map(({ name }) => name);
}
