/** The hub's settings, parsed once at its edge. */
import * as z from "zod";
import {
  alertSettingsSchema,
  backupSettingsSchema,
  environment,
  flag,
  integer,
  logLevel,
  metricsSettingsSchema,
  optionalText,
} from "../platform/settings.ts";

export const hubSettingsSchema = z.object({
  ENVIRONMENT: environment,
  LOG_LEVEL: logLevel,
  ...metricsSettingsSchema.shape,
  ...backupSettingsSchema.shape,
  ...alertSettingsSchema.shape,
  /** The hub's cron tells people when core's alerts were not evaluated for this long. 0: it does not look. */
  ALERT_SILENT_AFTER_MS: integer(300_000, 0, 86_400_000),
  /** Core's base URL when it runs elsewhere; empty: the service binding. */
  ITRANS_API_URL: optionalText,
  ITRANS_API_TIMEOUT_MS: integer(20_000, 100, 60_000),
  /** How long a page waits for what core says of a claim before it shows the claim without it. */
  ITRANS_READ_TIMEOUT_MS: integer(3_000, 100, 20_000),
  ITRANS_WEBHOOK_TOLERANCE_MS: integer(300_000, 1_000, 3_600_000),

  ITRANS_AUTO_SUBMIT_ENABLED: flag(false),
  /** What files a claim also submits it, after its answer; false: the queue's consumers do. */
  ITRANS_AUTO_SUBMIT_AT_ONCE: flag(true),
  ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS: integer(4, 1, 50),
  ITRANS_AUTO_SUBMIT_BASE_DELAY_MS: integer(3_000, 1, 3_600_000),
  ITRANS_AUTO_SUBMIT_MAX_DELAY_MS: integer(60_000, 1, 86_400_000),
  /** Live jobs at once, all clinics together. */
  ITRANS_AUTO_SUBMIT_QUEUE_LIMIT: integer(1_000, 1, 1_000_000),
  ITRANS_AUTO_SUBMIT_JOB_RETENTION_MS: integer(86_400_000, 60_000, 31_536_000_000),
  /** Submissions under way at once, all clinics together. */
  ITRANS_AUTO_SUBMIT_CONCURRENCY: integer(12, 1, 100),
  /** Attempts begun in any second: well under what core allows a key. */
  ITRANS_AUTO_SUBMIT_STARTS_PER_SECOND: integer(50, 1, 1_000),
  /** From core's going silent to the first probe; doubles up to the second. */
  ITRANS_AUTO_SUBMIT_PROBE_DELAY_MS: integer(5_000, 1, 3_600_000),
  ITRANS_AUTO_SUBMIT_MAX_PROBE_DELAY_MS: integer(60_000, 1, 3_600_000),

  /** Base URL under which people reach the hub, for links that are handed to them; empty: that of the request. */
  HUB_PUBLIC_URL: optionalText,
  /** Requests of one API token, all isolates together. */
  API_TOKEN_REQUESTS_PER_MINUTE: integer(600, 1, 1_000_000),
  /** `seed:admin` refuses production unless this says production. */
  SEED_ALLOWED_ENVIRONMENT: optionalText,

  /** A flag's state while no operator has set it. */
  FEATURE_FLAG_NEW_UI: flag(false),
  FEATURE_FLAG_ADVANCED_ANALYTICS: flag(false),
  FEATURE_FLAG_BULK_OPERATIONS: flag(false),
  /** Messages leave for real networks only with `production` and the switch below it. */
  EDI_MODE: z.enum(["sandbox", "production"]).default("sandbox"),
  EDI_PRODUCTION_ENABLED: flag(false),
  /** Host names, separated by commas or spaces; nothing is sent elsewhere. */
  EDI_ALLOWED_HOSTS: optionalText,
  EDI_CDANET_URL: optionalText,
  EDI_ECLAIMS_URL: optionalText,
  EDI_PORTAL_URL: optionalText,
  EDI_TIMEOUT_MS: integer(20_000, 100, 60_000),
  /** Between an answer that did not come and the question after it; doubles. */
  EDI_RETRY_DELAY_MS: integer(1_000, 1, 60_000),
  EDI_MAX_SENDS: integer(3, 1, 10),
  EDI_EXCHANGE_RETENTION_DAYS: integer(365, 1, 3_650),
  EDI_CDANET_PREFIX: z.string().max(12).default(""),
  EDI_CDANET_SOFTWARE_ID: z.string().max(3).default(""),
  EDI_CDANET_OFFICE_NUMBER: z.string().max(4).default(""),
  /** The same seed gives the same fates, message by message, after a reset. */
  EDI_SANDBOX_SEED: z.string().max(64).default("sandbox"),
  EDI_SANDBOX_ERROR_PERCENT: integer(5, 0, 100),
  EDI_SANDBOX_REFUSAL_PERCENT: integer(20, 0, 100),
  EDI_SANDBOX_LATENCY_MS: integer(300, 0, 10_000),
  EDI_SANDBOX_ADJUDICATION_MS: integer(30_000, 0, 86_400_000),
});

export type HubSettings = z.output<typeof hubSettingsSchema>;

/** An attempt that outlives core's timeout by this much has crashed. */
export const LEASE_MARGIN_MS = 30_000;
/** Attempts in a row that do not reach core and stop the others. */
export const OUTAGES_TO_OPEN = 3;
/** At the longest gap between attempts, more than an hour and a half in which core answers others and never this job. */
export const MAX_DEFERRALS = 100;
/** Event ids are remembered for longer than the relay keeps anything to replay. */
export const WEBHOOK_EVENT_RETENTION_MS = 90 * 86_400_000;

/** Questions about an EDI transaction are this far apart at most, and end after this time. */
export const EDI_MAX_CHECK_DELAY_MS = 6 * 3_600_000;
export const EDI_GIVE_UP_AFTER_MS = 30 * 86_400_000;
/** A sending that outlives its timeout by this much has crashed. */
export const EDI_LEASE_MARGIN_MS = 30_000;
