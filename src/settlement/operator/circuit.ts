/**
 * The circuit breaker of the payer's operator. The rule is that of a webhook's destination (src/relay/breaker.ts); here are the
 * counting and the probe around it. It lives beside the permits: every call asks there already, from whatever isolate, so an open
 * circuit costs no call more and can not disagree with the pace.
 */
import { BREAKER_POLICY, type BreakerPolicy, type BreakerState, breakerAfter } from "../../relay/breaker.ts";

export interface Circuit {
  readonly state: BreakerState;
  readonly windowStartedAt: number;
  readonly calls: number;
  readonly failures: number;
  /** Failures of another transaction than the failure before: one that always fails is that one's failure. */
  readonly evidence: number;
  readonly lastFailedKey: string | null;
  readonly opens: number;
  /** Open: when a probe may go. Half-open: when the probe that is under way counts as lost. */
  readonly untilMs: number;
}

export const CLOSED_CIRCUIT: Circuit = {
  state: "closed",
  windowStartedAt: 0,
  calls: 0,
  failures: 0,
  evidence: 0,
  lastFailedKey: null,
  opens: 0,
  untilMs: 0,
};

export type Passage = { readonly type: "pass" | "probe" } | { readonly type: "stop"; readonly retryAfterMs: number };

/** May a call go? */
export const passage = ({ state, untilMs }: Circuit, now: number): Passage =>
  state === "closed"
    ? { type: "pass" }
    : now < untilMs
      ? { type: "stop", retryAfterMs: untilMs - now }
      : { type: "probe" };

/** A probe goes out; the others wait for what becomes of it, and no longer than `probeMs`. */
export const probing = (circuit: Circuit, probeMs: number, now: number): Circuit => ({
  ...circuit,
  state: "half-open",
  calls: 0,
  failures: 0,
  untilMs: now + probeMs,
});

export interface CallOutcome {
  /** The operator failed as such: no answer, 408 or a 5xx. */
  readonly failed: boolean;
  /** What the call was about; opaque. */
  readonly key: string;
}

/** @param now epoch ms. */
export function afterCall(
  before: Circuit,
  outcome: CallOutcome,
  now: number,
  policy: BreakerPolicy = BREAKER_POLICY,
): Circuit {
  const counted = counting(before, outcome, policy, now);
  const change = breakerAfter(counted, policy, now);
  switch (change.type) {
    case "none":
      return counted;
    case "close":
      return CLOSED_CIRCUIT;
    case "open":
      return { ...counted, state: "open", untilMs: change.untilMs, opens: change.opens };
  }
}

function counting(before: Circuit, { failed, key }: CallOutcome, policy: BreakerPolicy, now: number): Circuit {
  // A window in which nothing succeeded does not end: a few calls a minute must open it too.
  const ends =
    before.state === "closed" && now - before.windowStartedAt >= policy.windowMs && before.calls > before.failures;
  const from =
    ends || before.calls === 0 ? { ...before, windowStartedAt: now, calls: 0, failures: 0, evidence: 0 } : before;
  if (!failed) return { ...from, calls: from.calls + 1 };
  return {
    ...from,
    calls: from.calls + 1,
    failures: from.failures + 1,
    evidence: from.evidence + (key === from.lastFailedKey && from.evidence > 0 ? 0 : 1),
    lastFailedKey: key,
  };
}
