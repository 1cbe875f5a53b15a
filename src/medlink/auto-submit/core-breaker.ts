/**
 * Whether core is there, as the whole hub knows it, and how many submissions may therefore be under way. Core that cannot be
 * reached opens the breaker; one job probes; then the window grows by one with every answer, so that what an outage held
 * back drains without a stampede.
 */
import * as z from "zod";

export const coreBreakerSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("closed"), outages: z.number() }),
  z.object({ type: z.literal("open"), since: z.number(), probeAt: z.number(), openings: z.number() }),
  z.object({ type: z.literal("ramping"), since: z.number(), window: z.number(), openings: z.number() }),
]);

/** `outages` in a row; `openings` in a row without closing between. Times in milliseconds since the epoch. */
export type CoreBreaker = Readonly<z.output<typeof coreBreakerSchema>>;

export const CLOSED: CoreBreaker = { type: "closed", outages: 0 };

export interface BreakerLimits {
  /** Attempts in a row that did not reach core and open the breaker. */
  readonly outagesToOpen: number;
  /** From opening to the first probe; doubles with each that fails, up to `maxProbeDelayMs`. */
  readonly probeDelayMs: number;
  readonly maxProbeDelayMs: number;
  /** Submissions under way at once when all is well. */
  readonly window: number;
}

/** What an attempt showed of core: any answer of its own is `reached`, however bad. */
export interface Observation {
  readonly reached: boolean;
  readonly startedAt: number;
}

const open = (openings: number, limits: BreakerLimits, now: number): CoreBreaker => {
  const delayMs = Math.min(limits.probeDelayMs * 2 ** Math.min(openings - 1, 30), limits.maxProbeDelayMs);
  return { type: "open", since: now, probeAt: now + delayMs, openings };
};

const ramp = (window: number, openings: number, since: number, limits: BreakerLimits): CoreBreaker =>
  window >= limits.window ? CLOSED : { type: "ramping", since, window, openings };

/** @returns the breaker after an observation; the same object when it says nothing new. */
export function observe(breaker: CoreBreaker, seen: Observation, limits: BreakerLimits, now: number): CoreBreaker {
  switch (breaker.type) {
    case "closed": {
      if (seen.reached) return breaker.outages === 0 ? breaker : CLOSED;
      const outages = breaker.outages + 1;
      return outages >= limits.outagesToOpen ? open(1, limits, now) : { type: "closed", outages };
    }
    case "open":
      if (now < breaker.probeAt) return breaker;
      if (seen.reached) return ramp(2, breaker.openings, now, limits);
      // An attempt from before the opening failed of the same outage.
      return seen.startedAt < breaker.since ? breaker : open(breaker.openings + 1, limits, now);
    case "ramping":
      if (seen.reached) return ramp(breaker.window + 1, breaker.openings, breaker.since, limits);
      return seen.startedAt < breaker.since ? breaker : open(breaker.openings + 1, limits, now);
  }
}

/** How many submissions may be under way at once: none while open, one to probe. */
export function jobsAllowed(breaker: CoreBreaker, limits: BreakerLimits, now: number): number {
  switch (breaker.type) {
    case "closed":
      return limits.window;
    case "open":
      return now < breaker.probeAt ? 0 : 1;
    case "ramping":
      return Math.min(breaker.window, limits.window);
  }
}

export interface Traffic {
  /** The hub's own switch; undefined: never set. */
  readonly hubSwitch: boolean | undefined;
  readonly breaker: CoreBreaker;
  /** Attempts under way. */
  readonly running: number;
  readonly startsLastSecond: number;
}

export type Admission =
  | { readonly type: "admitted"; readonly allowed: number }
  | { readonly type: "held"; readonly by: "switch" | "breaker" | "window" | "pace" };

/** Whether one more attempt may start now. */
export function admit(
  traffic: Traffic,
  limits: BreakerLimits & { readonly startsPerSecond: number },
  now: number,
): Admission {
  if (traffic.hubSwitch === false) return { type: "held", by: "switch" };
  const allowed = jobsAllowed(traffic.breaker, limits, now);
  if (allowed === 0) return { type: "held", by: "breaker" };
  if (traffic.running >= allowed) return { type: "held", by: "window" };
  if (traffic.startsLastSecond >= limits.startsPerSecond) return { type: "held", by: "pace" };
  return { type: "admitted", allowed };
}
