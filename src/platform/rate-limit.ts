/**
 * A fixed-window limit that is exact across isolates and still cheap: one owner hands out permits in small leases, each
 * good for one window only. What a holder leaves unused when the window ends is lost, never carried over, so a window never
 * passes more than its limit.
 */

export interface RateWindow {
  /** Start of the window, epoch ms; a multiple of the window's length. */
  readonly startsAt: number;
  readonly granted: number;
}

export interface RateLimit {
  readonly windowMs: number;
  readonly maxRequests: number;
}

export interface RateLease {
  readonly windowStartsAt: number;
  readonly permits: number;
  /** When permits is 0: how long until the next window. */
  readonly retryAfterMs: number;
}

export const windowStart = (nowMs: number, windowMs: number): number => nowMs - (nowMs % windowMs);

/** Permits asked for at once: few enough that isolates do not starve each other, many enough to save calls. */
export const leaseSize = (limit: RateLimit): number => Math.max(1, Math.min(100, Math.floor(limit.maxRequests / 20)));

/** The owner's side. */
export function grantLease(
  window: RateWindow | undefined,
  limit: RateLimit,
  wanted: number,
  nowMs: number,
): { readonly window: RateWindow; readonly lease: RateLease } {
  const startsAt = windowStart(nowMs, limit.windowMs);
  const granted = window?.startsAt === startsAt ? window.granted : 0;
  const permits = Math.max(0, Math.min(wanted, limit.maxRequests - granted));
  return {
    window: { startsAt, granted: granted + permits },
    lease: { windowStartsAt: startsAt, permits, retryAfterMs: startsAt + limit.windowMs - nowMs },
  };
}
