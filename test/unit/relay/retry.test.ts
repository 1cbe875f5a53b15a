import { describe, expect, test } from "vitest";
import type { PostResult } from "../../../src/relay/port.ts";
import {
  backoffMs,
  classifyResponse,
  countsAsAttempt,
  type DeliveryState,
  destinationHoldMs,
  MAX_DESTINATION_HOLD_MS,
  MAX_RETRY_AFTER_MS,
  nextDueAt,
  type Retry,
  type RetryPolicy,
  retryAfterMs,
} from "../../../src/relay/retry.ts";

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);
const POLICY: RetryPolicy = {
  maxRetries: 8,
  initialBackoffMs: 1_000,
  maxBackoffMs: 60_000,
  notYetKnownWindowMs: 600_000,
  afterTimeoutWaitMs: 30_000,
};
const FRESH: DeliveryState = { attempts: 0, notYetKnownSince: undefined };

const answered = (status: number, extra: { retryAfter?: string; retryable?: boolean } = {}): PostResult => ({
  type: "answered",
  status,
  retryAfter: extra.retryAfter,
  retryable: extra.retryable ?? false,
});

const retry = (reason: string, extra: object = {}) => ({
  type: "retry",
  reason,
  retryAfterMs: undefined,
  notYetKnownSince: undefined,
  counted: reason !== "not-yet-known",
  mayStillApply: ["timeout", "connection-failed", "http-504"].includes(reason),
  ...extra,
});

describe("the answer table", () => {
  test.each([200, 201, 202, 204, 299])("%i is delivered", (status) => {
    expect(classifyResponse(answered(status), FRESH, POLICY, NOW)).toEqual({ type: "delivered" });
  });

  test.each([408, 429, 500, 501, 502, 503, 504, 599])("%i is tried again", (status) => {
    expect(classifyResponse(answered(status), FRESH, POLICY, NOW)).toEqual(retry(`http-${status}`));
  });

  test.each([100, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 409, 410, 413, 422, 451, 600])(
    "%i is a dead letter at once",
    (status) => {
      expect(classifyResponse(answered(status), FRESH, POLICY, NOW)).toEqual({
        type: "dead",
        reason: `http-${status}`,
      });
    },
  );

  test.each([400, 401, 409, 410])(
    "a retryable %i is a dead letter all the same: only 404 has that exception",
    (status) => {
      expect(classifyResponse(answered(status, { retryable: true }), FRESH, POLICY, NOW)).toMatchObject({
        type: "dead",
      });
    },
  );

  test("a timeout and a connection failure are tried again", () => {
    expect(classifyResponse({ type: "timeout" }, FRESH, POLICY, NOW)).toEqual(retry("timeout"));
    const failed: PostResult = { type: "connection-failed", reason: "refused" };
    expect(classifyResponse(failed, FRESH, POLICY, NOW)).toEqual(retry("connection-failed"));
  });

  test.each([
    [answered(503), "http-503"],
    [answered(408), "http-408"],
    [{ type: "timeout" }, "timeout"],
    [{ type: "connection-failed", reason: "refused" }, "connection-failed"],
  ] as const)("the eighth retry is the last: %o", (result, reason) => {
    expect(classifyResponse(result, { ...FRESH, attempts: 7 }, POLICY, NOW)).toMatchObject({ type: "retry" });
    expect(classifyResponse(result, { ...FRESH, attempts: 8 }, POLICY, NOW)).toEqual({ type: "dead", reason });
  });

  test("a retryable 404 is tried again for the whole window and uses up no retry", () => {
    const first = classifyResponse(answered(404, { retryable: true }), { ...FRESH, attempts: 8 }, POLICY, NOW);
    expect(first).toEqual(retry("not-yet-known", { notYetKnownSince: NOW }));
    expect(countsAsAttempt(first)).toBe(false);
    const since: DeliveryState = { attempts: 3, notYetKnownSince: NOW };
    const later = (elapsed: number) =>
      classifyResponse(answered(404, { retryable: true }), since, POLICY, NOW + elapsed);
    expect(later(600_000)).toEqual(retry("not-yet-known", { notYetKnownSince: NOW }));
    expect(later(600_001)).toEqual({ type: "dead", reason: "not-yet-known" });
  });

  test("time in which nobody asked does not count towards the window", () => {
    const state = { attempts: 0, notYetKnownSince: NOW - 4 * 3_600_000, lastAskedAt: NOW - 4 * 3_600_000 + 1_000 };
    const later = classifyResponse(answered(404, { retryable: true }), state, POLICY, NOW);
    expect(later).toEqual(retry("not-yet-known", { notYetKnownSince: NOW - 1_000 - 120_000 }));
    const asked = { ...state, lastAskedAt: NOW - 60_000 };
    expect(classifyResponse(answered(404, { retryable: true }), asked, POLICY, NOW)).toMatchObject({ type: "dead" });
  });

  test("while the breaker is not closed an outage uses up no retry, but an answer about the event does", () => {
    const state: DeliveryState = { attempts: 8, notYetKnownSince: undefined, outage: true };
    for (const result of [{ type: "timeout" }, answered(503), answered(408)] as const) {
      const meaning = classifyResponse(result, state, POLICY, NOW);
      expect(meaning).toMatchObject({ type: "retry", counted: false });
      expect(countsAsAttempt(meaning)).toBe(false);
    }
    expect(classifyResponse(answered(429), state, POLICY, NOW)).toMatchObject({ type: "dead" });
    expect(classifyResponse(answered(400), state, POLICY, NOW)).toMatchObject({ type: "dead" });
  });

  test.each([
    [answered(429, { retryAfter: "20" }), 20_000],
    [answered(429, { retryAfter: "3600" }), MAX_DESTINATION_HOLD_MS],
    [answered(429), undefined],
    [answered(503, { retryAfter: "20" }), undefined],
    [{ type: "timeout" } as const, undefined],
  ])("%o holds its destination as a whole for %s ms", (result, expected) => {
    expect(destinationHoldMs(result, NOW)).toBe(expected);
  });

  test("another failure in between does not start the window again", () => {
    const state: DeliveryState = { attempts: 0, notYetKnownSince: NOW - 500_000 };
    expect(classifyResponse(answered(503), state, POLICY, NOW)).toMatchObject({ notYetKnownSince: NOW - 500_000 });
  });

  test.each([
    [429, 7_000],
    [503, 7_000],
    [500, undefined],
    [408, undefined],
  ])("Retry-After on %i asks for %s ms", (status, asked) => {
    const answer = answered(status, { retryAfter: "7" });
    expect(classifyResponse(answer, FRESH, POLICY, NOW)).toMatchObject({ retryAfterMs: asked });
  });

  test("delivered, dead and failed answers count as attempts", () => {
    for (const status of [200, 400, 503]) {
      expect(countsAsAttempt(classifyResponse(answered(status), FRESH, POLICY, NOW))).toBe(true);
    }
  });
});

test.each([
  [undefined, undefined],
  ["", undefined],
  ["0", undefined],
  ["5", 5_000],
  [" 5 ", 5_000],
  ["-5", undefined],
  ["1.5", undefined],
  ["soon", undefined],
  ["99999999", MAX_RETRY_AFTER_MS],
  ["Sun, 22 Nov 2026 12:00:30 GMT", 30_000],
  ["Sun, 22 Nov 2026 11:59:30 GMT", undefined],
  ["Mon, 22 Nov 2027 12:00:00 GMT", MAX_RETRY_AFTER_MS],
  ["Someday, 99 Foo 2026", undefined],
])("Retry-After %j asks for %s ms", (value, expected) => {
  expect(retryAfterMs(value, NOW)).toBe(expected);
});

describe("backoff", () => {
  test.each([
    [1, 1_000],
    [2, 2_000],
    [3, 4_000],
    [6, 32_000],
    [7, 60_000],
    [50, 60_000],
  ])("after failure %i it lies anywhere below %i ms", (attempt, ceiling) => {
    expect(backoffMs(attempt, POLICY, () => 0)).toBe(0);
    expect(backoffMs(attempt, POLICY, () => 0.5)).toBe(ceiling / 2);
    expect(backoffMs(attempt, POLICY, () => 0.999_999_9)).toBe(ceiling - 1);
  });

  const retryOf = (reason: Retry["reason"], extra: Partial<Retry> = {}): Retry => ({
    type: "retry",
    reason,
    retryAfterMs: undefined,
    notYetKnownSince: undefined,
    counted: true,
    mayStillApply: false,
    ...extra,
  });

  test.each<PostResult>([
    { type: "timeout" },
    { type: "connection-failed", reason: "Network connection lost." },
    answered(504),
    answered(520),
    answered(524),
  ])("after %o, which the receiver may still be applying, the lane waits 30 s at least", (result) => {
    const dueAfter = (attempts: number, random: number): number => {
      const state = { ...FRESH, attempts };
      const meaning = classifyResponse(result, state, POLICY, NOW);
      if (meaning.type !== "retry") throw new Error(meaning.type);
      return nextDueAt(meaning, state, POLICY, NOW, () => random) - NOW;
    };
    expect(dueAfter(0, 0)).toBe(30_000);
    expect(dueAfter(7, 0.75)).toBe(45_000);
  });

  test.each([408, 429, 500, 502, 503, 521, 530])("after %i, which is an answer, it does not", (status) => {
    const meaning = classifyResponse(answered(status), FRESH, POLICY, NOW);
    if (meaning.type !== "retry") throw new Error(meaning.type);
    expect(nextDueAt(meaning, FRESH, POLICY, NOW, () => 0.5)).toBe(NOW + 500);
  });

  test("Retry-After is waited out, a longer backoff too", () => {
    const retryAfter = retryOf("http-429", { retryAfterMs: 20_000 });
    expect(nextDueAt(retryAfter, FRESH, POLICY, NOW, () => 0.5)).toBe(NOW + 20_000);
    expect(nextDueAt(retryAfter, { ...FRESH, attempts: 6 }, POLICY, NOW, () => 0.5)).toBe(NOW + 30_000);
  });

  test('"not yet known" is asked again at a pace that follows the time it has gone on', () => {
    const gap = (elapsed: number, random: number) =>
      nextDueAt(retryOf("not-yet-known", { notYetKnownSince: NOW - elapsed }), FRESH, POLICY, NOW, () => random) - NOW;
    expect(gap(0, 0.5)).toBe(1_000);
    expect(gap(10_000, 0)).toBe(5_000);
    expect(gap(10_000, 0.999_999)).toBe(9_999);
    expect(gap(500_000, 0.5)).toBe(60_000);
  });
});
