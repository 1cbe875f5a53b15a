/** What wrangler.relay.toml binds. */
import type { AnalyticsDataset } from "../operations/analytics.ts";
import type { MetricsPortApi, PingPortApi, RelayPortApi, SecretsPortApi } from "./port.ts";

export interface RelayEnv {
  readonly CORE: RelayPortApi & PingPortApi & MetricsPortApi & SecretsPortApi;
  readonly ENVIRONMENT?: string;
  readonly LOG_LEVEL?: string;
  /** A dataset of Workers Analytics Engine that measurements are written to as well. */
  readonly ANALYTICS?: AnalyticsDataset;
  readonly METRICS?: string;
  readonly METRICS_FLUSH_MS?: string;
  readonly METRICS_SCRAPE_TOKEN?: string;
  readonly DESTINATION_WRAPPING_KEY: string;
  readonly RELAY_WEBHOOK_SIGNING_SECRET: string;
  /** While the secret is rotated: signs beside it. */
  readonly RELAY_WEBHOOK_SIGNING_SECRET_PREVIOUS?: string;
}
