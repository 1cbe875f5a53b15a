import { describe, expect, it } from "vitest";
import { grantLease, leaseSize, type RateWindow, windowStart } from "../../../src/platform/rate-limit.ts";

const LIMIT = { windowMs: 60_000, maxRequests: 10 };
const T0 = 1_790_000_040_000; // a multiple of the window

describe("granting permits", () => {
  it("hands out exactly the limit in a window, whatever the leases, then tells how long to wait", () => {
    let window: RateWindow | undefined;
    const permits = [4, 4, 4, 4].map((wanted, i) => {
      const granted = grantLease(window, LIMIT, wanted, T0 + i * 1_000);
      window = granted.window;
      return granted.lease.permits;
    });
    expect(permits).toEqual([4, 4, 2, 0]);
    expect(grantLease(window, LIMIT, 1, T0 + 59_999).lease).toEqual({
      windowStartsAt: T0,
      permits: 0,
      retryAfterMs: 1,
    });
  });

  it("starts over with the next window, and carries nothing over", () => {
    const spent = grantLease(undefined, LIMIT, 10, T0).window;
    const next = grantLease(spent, LIMIT, 100, T0 + 60_000);
    expect(next.lease).toEqual({ windowStartsAt: T0 + 60_000, permits: 10, retryAfterMs: 60_000 });
    expect(next.window).toEqual({ startsAt: T0 + 60_000, granted: 10 });
    const idle = grantLease(grantLease(undefined, LIMIT, 1, T0).window, LIMIT, 100, T0 + 60_000);
    expect(idle.lease.permits).toBe(10);
  });

  it("hands out nothing more when the limit was lowered under what is out", () => {
    const { lease, window } = grantLease({ startsAt: T0, granted: 8 }, { ...LIMIT, maxRequests: 5 }, 4, T0 + 1);
    expect(lease.permits).toBe(0);
    expect(window.granted).toBe(8);
  });

  it("aligns windows to their length", () => {
    expect(windowStart(T0 + 59_999, 60_000)).toBe(T0);
    expect(windowStart(T0 + 60_000, 60_000)).toBe(T0 + 60_000);
  });

  it.each([
    [1, 1],
    [20, 1],
    [240, 12],
    [6_000, 100],
    [1_000_000, 100],
  ])("with a limit of %i asks for %i at once", (maxRequests, size) => {
    expect(leaseSize({ windowMs: 60_000, maxRequests })).toBe(size);
  });
});
