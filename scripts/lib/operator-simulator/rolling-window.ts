/** Counts calls in any rolling window, as they arrive. */
export interface RollingWindow {
  /** @returns how long the caller must wait, ms, when this call is one too many; undefined when it is not. */
  arrive(now: number): number | undefined;
  readonly calls: number;
  readonly violations: number;
  /** Most that any window held so far, refused ones included. */
  readonly most: number;
}

/** Arrivals `windowMs` apart or more are not in one window. */
export function rollingWindow(windowMs: number, limit: () => number): RollingWindow {
  let recent: number[] = [];
  let calls = 0;
  let violations = 0;
  let most = 0;
  return {
    arrive(now) {
      recent = recent.filter((at) => now - at < windowMs);
      recent.push(now);
      calls += 1;
      most = Math.max(most, recent.length);
      if (recent.length <= limit()) return undefined;
      violations += 1;
      const oldest = recent[recent.length - limit()] ?? now;
      return Math.max(1, windowMs - (now - oldest));
    },
    get calls() {
      return calls;
    },
    get violations() {
      return violations;
    },
    get most() {
      return most;
    },
  };
}
