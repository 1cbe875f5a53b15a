/** When the night's snapshot begins. */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Failed ones of a night before it is left to the alert. */
const MAX_FAILURES = 4;

interface Run {
  readonly kind: "nightly" | "command";
  readonly state: string;
  readonly startedAt: number;
}

/**
 * Once in each 24 hours from `hourUtc` on; after a failure again an hour later, a few times. Crons that were missed are caught up with.
 * @param runs the newest ones.
 */
export function nightlyIsDue(runs: readonly Run[], now: number, hourUtc: number): boolean {
  if (runs.some(({ state }) => state === "running")) return false;
  const today = Math.floor(now / DAY_MS) * DAY_MS + hourUtc * HOUR_MS;
  const since = today > now ? today - DAY_MS : today;
  const own = runs.filter(({ kind, startedAt }) => kind === "nightly" && startedAt >= since);
  if (own.some(({ state }) => state !== "failed")) return false;
  const last = Math.max(0, ...own.map(({ startedAt }) => startedAt));
  return own.length < MAX_FAILURES && now - last >= HOUR_MS;
}

/** Minutes of an hour in which the limits of wrapped keys and of the tail are seen to: a cron that comes late or not at all is made up for. */
const LIMITS_WINDOW_MS = 3 * 60_000;

/** Every hour, whatever runs or fails: what may not be kept longer goes by the clock, not by the success of anything else. */
export const limitsAreDue = (now: number): boolean => now % HOUR_MS < LIMITS_WINDOW_MS;

interface Drill {
  readonly state: string;
  readonly startedAt: number;
}

const DRILL_EVERY_MS = 28 * DAY_MS;

/** Every four weeks; the day after one that failed again. */
export function drillIsDue(drills: readonly Drill[], now: number): boolean {
  if (drills.some(({ state }) => state === "running")) return false;
  const since = (state: string) =>
    now - Math.max(0, ...drills.filter((drill) => drill.state === state).map((drill) => drill.startedAt));
  return since("good") >= DRILL_EVERY_MS && since("failed") >= DAY_MS;
}
