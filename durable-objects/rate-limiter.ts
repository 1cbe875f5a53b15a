import { DurableObject } from "cloudflare:workers";
import type { CoreEnv } from "../src/core/env.ts";
export class RateLimiter extends DurableObject<CoreEnv> {}
