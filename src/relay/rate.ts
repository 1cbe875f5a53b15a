/**
 * A destination's rate as a leaky bucket. Any 60 seconds hold at most `requestsPerMinute` leases: a burst of a tenth of it
 * first, then one lease an interval, where the interval leaves room for the burst.
 */
export interface Rate {
  readonly burst: number;
  readonly intervalUs: number;
}

const MINUTE_US = 60_000_000;

export function rateOf(requestsPerMinute: number): Rate {
  const burst = Math.max(1, Math.floor(requestsPerMinute / 10));
  return { burst, intervalUs: Math.ceil(MINUTE_US / (requestsPerMinute - burst + 1)) };
}
