/** Maintenance: reads stay, what changes something is told to come back. */
import type { Problem } from "../../platform/problem.ts";

export interface Maintenance {
  /** Epoch ms; undefined: off. */
  readonly startedAt: number | undefined;
  /** When it is expected to end; it lasts until it is switched off. */
  readonly until: number | undefined;
  readonly reason: string | undefined;
}

export const NO_MAINTENANCE: Maintenance = { startedAt: undefined, until: undefined, reason: undefined };

const READS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const LEAST_WAIT_S = 30;
const MOST_WAIT_S = 3_600;

/** @returns what a call is refused with now; undefined when it may go on. @param now epoch ms. */
export function maintenanceProblem(maintenance: Maintenance, method: string, now: number): Problem | undefined {
  if (maintenance.startedAt === undefined || READS.has(method)) return undefined;
  const wait = Math.ceil(((maintenance.until ?? now) - now) / 1_000);
  return {
    code: "unavailable",
    detail:
      "Maintenance is under way: reading works, nothing is taken. Send the same request again as Retry-After says.",
    retryAfterSeconds: Math.min(MOST_WAIT_S, Math.max(LEAST_WAIT_S, wait)),
  };
}
