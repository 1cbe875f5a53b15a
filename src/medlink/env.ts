/** What wrangler.medlink.toml binds. Secrets are strings in the environment; settings are parsed by settings.ts. */
import type { AnalyticsDataset } from "../operations/analytics.ts";

export interface AutoSubmitHint {
  readonly jobId: string;
}

export interface HubEnv {
  readonly DB: D1Database;
  readonly ATTACHMENTS: R2Bucket;
  /** Snapshots; nothing is backed up without it. */
  readonly BACKUPS?: R2Bucket;
  readonly CORE: Pick<Fetcher, "fetch">;
  readonly AUTO_SUBMIT_QUEUE: {
    send(hint: AutoSubmitHint, options: { readonly delaySeconds: number }): Promise<unknown>;
    sendBatch(hints: readonly { readonly body: AutoSubmitHint }[]): Promise<unknown>;
  };
  readonly ENVIRONMENT?: string;
  readonly LOG_LEVEL?: string;
  /** A dataset of Workers Analytics Engine that measurements are written to as well. */
  readonly ANALYTICS?: AnalyticsDataset;
  readonly METRICS?: string;
  readonly METRICS_FLUSH_MS?: string;
  readonly METRICS_SCRAPE_TOKEN?: string;
  readonly SESSION_SECRET: string;
  readonly ENCRYPTION_KEY: string;
  readonly HASH_KEY: string;
  readonly BACKUP_ENCRYPTION_KEY?: string;
  readonly ITRANS_WORKFLOW_API_KEY: string;
  readonly ITRANS_CLAIMS_API_KEY: string;
  /** Core's operator key, for operations pages; without it they show the hub alone. */
  readonly ITRANS_OPERATOR_API_KEY?: string;
  readonly ITRANS_PROVIDER_SIGNATURE_HMAC_SECRET: string;
  readonly ITRANS_WEBHOOK_SIGNING_SECRET: string;
  /** An mTLS certificate binding: EDI networks are called under it. */
  readonly EDI_CLIENT_CERTIFICATE?: Pick<Fetcher, "fetch">;
  readonly PAGERDUTY_ROUTING_KEY?: string;
  readonly SLACK_WEBHOOK_URL?: string;
  readonly EMAIL_API_KEY?: string;
  readonly EDI_CDANET_API_KEY?: string;
  readonly EDI_ECLAIMS_API_KEY?: string;
  readonly EDI_PORTAL_API_KEY?: string;
}
