/** What wrangler.toml binds. Secrets are strings in the environment; settings are parsed by platform/settings. */
import type { AlertEvaluator } from "../../durable-objects/alert-evaluator.ts";
import type { LedgerAnchor } from "../../durable-objects/ledger-anchor.ts";
import type { LedgerPublisher } from "../../durable-objects/ledger-publisher.ts";
import type { LedgerScrubber } from "../../durable-objects/ledger-scrubber.ts";
import type { LedgerSequencer } from "../../durable-objects/ledger-sequencer.ts";
import type { OperatorLimiter } from "../../durable-objects/operator-limiter.ts";
import type { RateLimiter } from "../../durable-objects/rate-limiter.ts";
import type { AnalyticsDataset } from "../operations/analytics.ts";
import type { RelayHint } from "../relay/port.ts";
import type { SettlementHint } from "../settlement/drive.ts";

export interface CoreEnv {
  readonly DB: D1Database;
  readonly LEDGER: R2Bucket;
  /** Snapshots; nothing is backed up without it. */
  readonly BACKUPS?: R2Bucket;
  /** A database for restore drills, and nothing else: each drill empties it. */
  readonly SCRATCH?: D1Database;
  readonly RELAY_QUEUE: Queue<RelayHint>;
  readonly SETTLEMENT_QUEUE: Queue<SettlementHint>;
  readonly SEQUENCER: DurableObjectNamespace<LedgerSequencer>;
  readonly PUBLISHER: DurableObjectNamespace<LedgerPublisher>;
  readonly SCRUBBER: DurableObjectNamespace<LedgerScrubber>;
  readonly ANCHOR: DurableObjectNamespace<LedgerAnchor>;
  readonly RATE_LIMITER: DurableObjectNamespace<RateLimiter>;
  readonly ALERTS: DurableObjectNamespace<AlertEvaluator>;
  readonly OPERATOR_LIMITER: DurableObjectNamespace<OperatorLimiter>;
  /** The least level that is logged: debug, info (default), warn, error. */
  readonly LOG_LEVEL?: string;
  /** A dataset of Workers Analytics Engine that measurements are written to as well. */
  readonly ANALYTICS?: AnalyticsDataset;
  readonly METRICS?: string;
  readonly METRICS_FLUSH_MS?: string;
  readonly WORKFLOW_API_KEY: string;
  readonly CLAIMS_API_KEY: string;
  readonly OPERATOR_API_KEY?: string;
  readonly PROVIDER_SIGNATURE_HMAC_SECRET: string;
  readonly PAYLOAD_MASTER_KEY: string;
  readonly BACKUP_ENCRYPTION_KEY?: string;
  readonly EVM_PRIVATE_KEY: string;
  readonly LEDGER_SIGNING_KEY: string;
  readonly OPERATOR_HMAC_SECRET?: string;
  readonly AUDITOR_TOKEN?: string;
  readonly METRICS_SCRAPE_TOKEN?: string;
  readonly DESTINATION_WRAPPING_KEY: string;
  readonly PAGERDUTY_ROUTING_KEY?: string;
  readonly SLACK_WEBHOOK_URL?: string;
  readonly EMAIL_API_KEY?: string;
}
