/** The isolate's side of the rate limit: spends leased permits, asks the owner for more. */
import type { RateLimiter } from "../../durable-objects/rate-limiter.ts";
import { leaseSize, type RateLease, type RateLimit, windowStart } from "./rate-limit.ts";

interface Held {
  readonly windowStartsAt: number;
  permits: number;
}

const MAX_KEYS_HELD = 1_000;
/** A request that finds its lease spent by others asks again this often before it is told to come back. */
const MAX_LEASES = 5;
/** How long a request waits for a call that another one made before it makes its own. */
const WAIT_FOR_ANOTHER_MS = 2_000;

const held = new Map<string, Held>();
interface Leasing {
  readonly lease: Promise<RateLease>;
  /** Epoch ms; one that is not answered by then is made again. */
  readonly until: number;
}
/** One lease call at a time for each key: a burst must not take the whole window for one isolate. */
const leasing = new Map<string, Leasing>();
/** Calls that wait for a permit now: a lease is at least as large, so that a burst within the limit passes whole. */
const waiting = new Map<string, number>();

/**
 * @param keepAlive the request's `waitUntil`.
 * @returns undefined when the call may pass, else how long to wait, ms.
 */
export async function takePermit(
  limiters: DurableObjectNamespace<RateLimiter>,
  keyId: string,
  limit: RateLimit,
  now: () => number,
  keepAlive: (call: Promise<unknown>) => void,
): Promise<number | undefined> {
  waiting.set(keyId, (waiting.get(keyId) ?? 0) + 1);
  try {
    for (let leases = 0; ; leases++) {
      const mine = held.get(keyId);
      if (mine !== undefined && mine.permits > 0 && mine.windowStartsAt === windowStart(now(), limit.windowMs)) {
        mine.permits -= 1;
        return undefined;
      }
      if (leases === MAX_LEASES) return 1_000;
      const lease = await leaseOnce(limiters, keyId, limit, now(), keepAlive);
      if (lease?.permits === 0) return lease.retryAfterMs;
    }
  } finally {
    const left = (waiting.get(keyId) ?? 1) - 1;
    if (left === 0) waiting.delete(keyId);
    else waiting.set(keyId, left);
  }
}

/** @returns undefined when the call that another request made has not been answered in time. */
function leaseOnce(
  limiters: DurableObjectNamespace<RateLimiter>,
  keyId: string,
  limit: RateLimit,
  now: number,
  keepAlive: (call: Promise<unknown>) => void,
): Promise<RateLease | undefined> {
  const underWay = leasing.get(keyId);
  if (underWay !== undefined && now < underWay.until) {
    // A request that waits for nothing of its own is taken for hung: the timer is its own.
    return Promise.race([underWay.lease, scheduler.wait(underWay.until - now).then(() => undefined)]);
  }
  const lease = limiters
    .get(limiters.idFromName(keyId))
    .lease(limit, Math.max(leaseSize(limit), waiting.get(keyId) ?? 1))
    .then((given) => {
      if (held.size >= MAX_KEYS_HELD) held.clear();
      held.set(keyId, { windowStartsAt: given.windowStartsAt, permits: given.permits });
      return given;
    })
    .finally(() => {
      if (leasing.get(keyId) === mine) leasing.delete(keyId);
    });
  const mine: Leasing = { lease, until: now + WAIT_FOR_ANOTHER_MS };
  leasing.set(keyId, mine);
  // Others wait for this call too: it must not die with the request that happened to make it.
  keepAlive(lease.catch(() => undefined));
  return lease;
}
