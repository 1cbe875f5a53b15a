/**
 * RateLimiter: one object per API key.
 *
 * Invariant: the permits handed out for one window never exceed the limit. The count is stored before the permits leave,
 * so an eviction does not give them out again.
 */
import { DurableObject } from "cloudflare:workers";
import type { CoreEnv } from "../src/core/env.ts";
import { systemNow } from "../src/platform/clock.edge.ts";
import { grantLease, type RateLease, type RateLimit, type RateWindow } from "../src/platform/rate-limit.ts";

export class RateLimiter extends DurableObject<CoreEnv> {
  lease(limit: RateLimit, wanted: number): RateLease {
    const stored = this.ctx.storage.kv.get<RateWindow>("window");
    const { window, lease } = grantLease(stored, limit, wanted, systemNow());
    if (lease.permits > 0) this.ctx.storage.kv.put("window", window);
    return lease;
  }
}
