/** What core's tests are bound to; apart from support.ts, which loads the whole of core. */
import type { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { CoreEnv } from "../../../src/core/env.ts";

interface TestEnv extends CoreEnv {
  readonly TEST_MIGRATIONS: Parameters<typeof applyD1Migrations>[1];
}

export const testEnv = env as unknown as TestEnv;
