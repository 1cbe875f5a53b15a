/**
 * The circuit breaker of one destination. It opens when the destination fails as such, lets one probe through after a while, and
 * closes when that is answered. The calls are counted in the batch that records them; what follows is decided here.
 */
import type { PostResult } from "./port.ts";

export interface BreakerPolicy {
  /** How long calls are counted together. A window in which nothing succeeded does not end. */
  readonly windowMs: number;
  /** Calls before the failure rate means anything. */
  readonly minimumCalls: number;
  /** 0 to 1. */
  readonly failureRate: number;
  /** Calls that all failed open it sooner: few events must not use up their retries on an outage. */
  readonly minimumCallsAllFailed: number;
  /** One event that fails time after time is that event's failure: how much evidence there must be of more. */
  readonly minimumEvidence: number;
  /** How long it stays open the first time; twice as long each time a probe fails. */
  readonly openMs: number;
  readonly maxOpenMs: number;
}

export const BREAKER_POLICY: BreakerPolicy = {
  windowMs: 60_000,
  minimumCalls: 20,
  failureRate: 0.5,
  minimumCallsAllFailed: 5,
  minimumEvidence: 2,
  openMs: 5_000,
  maxOpenMs: 60_000,
};

export type BreakerState = "closed" | "open" | "half-open";

export interface Breaker {
  readonly state: BreakerState;
  /** Recorded in the current window; half-open: since the probe was let through. */
  readonly calls: number;
  readonly failures: number;
  /** Of these failures, first ones of an event, and connections that failed: those say nothing of the event. */
  readonly evidence: number;
  /** Times it opened in a row. */
  readonly opens: number;
}

export type BreakerChange =
  | { readonly type: "none" | "close" }
  | { readonly type: "open"; readonly untilMs: number; readonly opens: number };

/**
 * Whether this says that the destination is down, not that it minds the event. A 4xx is an answer, and a 429 has its own wait.
 */
export function isEndpointFailure(result: PostResult): boolean {
  switch (result.type) {
    case "timeout":
    case "connection-failed":
      return true;
    case "answered":
      return result.status === 408 || (result.status >= 500 && result.status <= 599);
  }
}

/** @param attempts of the event before this one. */
export const isEvidence = (result: PostResult, attempts: number): boolean =>
  isEndpointFailure(result) && (attempts === 0 || result.type === "connection-failed");

/** @param now epoch ms. */
export function breakerAfter(breaker: Breaker, policy: BreakerPolicy, now: number): BreakerChange {
  const { state, calls, failures, evidence, opens } = breaker;
  switch (state) {
    case "open":
      return { type: "none" }; // posts that were under way when it opened
    case "half-open":
      if (calls > failures) return { type: "close" };
      return failures > 0 ? open(opens + 1, policy, now) : { type: "none" };
    case "closed": {
      const allFailed = failures === calls && calls >= policy.minimumCallsAllFailed;
      const tooMany = calls >= policy.minimumCalls && failures >= calls * policy.failureRate;
      return (allFailed || tooMany) && evidence >= policy.minimumEvidence ? open(1, policy, now) : { type: "none" };
    }
  }
}

const open = (opens: number, { openMs, maxOpenMs }: BreakerPolicy, now: number): BreakerChange => ({
  type: "open",
  untilMs: now + Math.min(maxOpenMs, openMs * 2 ** Math.min(opens - 1, 20)),
  opens,
});
