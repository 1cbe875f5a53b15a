import { describe, expect, test } from "vitest";
import {
  BREAKER_POLICY,
  type Breaker,
  breakerAfter,
  isEndpointFailure,
  isEvidence,
} from "../../../src/relay/breaker.ts";
import type { PostResult } from "../../../src/relay/port.ts";

const NOW = 1_790_000_000_000;
const POLICY = BREAKER_POLICY;
const closed = (calls: number, failures: number): Breaker => ({
  state: "closed",
  calls,
  failures,
  evidence: failures,
  opens: 0,
});
const halfOpen = (calls: number, failures: number, opens: number): Breaker => ({
  state: "half-open",
  calls,
  failures,
  evidence: failures,
  opens,
});

describe("a closed breaker", () => {
  test.each([
    [0, 0],
    [4, 4],
    [19, 18],
    [20, 9],
    [1_000, 499],
  ])("stays closed after %i calls of which %i failed", (calls, failures) => {
    expect(breakerAfter(closed(calls, failures), POLICY, NOW)).toEqual({ type: "none" });
  });

  test.each([
    [5, 5],
    [20, 10],
    [1_000, 500],
  ])("opens after %i calls of which %i failed", (calls, failures) => {
    expect(breakerAfter(closed(calls, failures), POLICY, NOW)).toEqual({
      type: "open",
      untilMs: NOW + POLICY.openMs,
      opens: 1,
    });
  });

  test("one event that fails time after time is that event's failure, not an outage", () => {
    const alone = { ...closed(8, 8), evidence: 1 };
    expect(breakerAfter(alone, POLICY, NOW)).toEqual({ type: "none" });
    expect(breakerAfter({ ...alone, evidence: 2 }, POLICY, NOW)).toMatchObject({ type: "open" });
  });

  test("the first failure of an event is evidence of an outage, and every connection that fails", () => {
    const failed: PostResult = { type: "answered", status: 503, retryAfter: undefined, retryable: false };
    expect(isEvidence(failed, 0)).toBe(true);
    expect(isEvidence(failed, 1)).toBe(false);
    expect(isEvidence({ type: "timeout" }, 1)).toBe(false);
    expect(isEvidence({ type: "connection-failed", reason: "refused" }, 7)).toBe(true);
    expect(isEvidence({ ...failed, status: 400 }, 0)).toBe(false);
  });
});

test("an open breaker is not moved by posts that were under way", () => {
  expect(breakerAfter({ state: "open", calls: 9, failures: 3, evidence: 3, opens: 1 }, POLICY, NOW)).toEqual({
    type: "none",
  });
});

describe("a half-open breaker", () => {
  test("closes when its probe was answered, and waits while it is under way", () => {
    expect(breakerAfter(halfOpen(1, 0, 3), POLICY, NOW)).toEqual({ type: "close" });
    expect(breakerAfter(halfOpen(0, 0, 3), POLICY, NOW)).toEqual({ type: "none" });
  });

  test("opens for twice as long with each probe that fails, up to a minute", () => {
    const openedFor = (opens: number) => {
      const change = breakerAfter(halfOpen(1, 1, opens), POLICY, NOW);
      return change.type === "open" ? change.untilMs - NOW : undefined;
    };
    expect([1, 2, 3, 4, 50, 5_000].map(openedFor)).toEqual([10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
  });
});

test("what says that the destination is down: silence, broken connections, 408 and 5xx", () => {
  const answered = (status: number) =>
    isEndpointFailure({ type: "answered", status, retryAfter: undefined, retryable: false });
  expect(isEndpointFailure({ type: "timeout" })).toBe(true);
  expect(isEndpointFailure({ type: "connection-failed", reason: "refused" })).toBe(true);
  expect([408, 500, 503, 599].map(answered)).toEqual([true, true, true, true]);
  expect([200, 301, 400, 401, 404, 409, 410, 429].map(answered)).not.toContain(true);
});
