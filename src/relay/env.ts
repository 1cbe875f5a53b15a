/** What wrangler.relay.toml binds. */
import type { RelayPortApi } from "./port.ts";

export interface RelayEnv {
  readonly CORE: RelayPortApi;
  readonly LOG_LEVEL?: string;
  readonly DESTINATION_WRAPPING_KEY: string;
  readonly RELAY_WEBHOOK_SIGNING_SECRET: string;
}
