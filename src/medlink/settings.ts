/** The hub's settings, parsed once at its edge. */
import * as z from "zod";
import { environment, flag, integer, optionalText } from "../platform/settings.ts";

export const hubSettingsSchema = z.object({
  ENVIRONMENT: environment,
  /** Core's base URL when it runs elsewhere; empty: the service binding. */
  ITRANS_API_URL: optionalText,
  ITRANS_API_TIMEOUT_MS: integer(20_000, 100, 60_000),
  /** How long a page waits for what core says of a claim before it shows the claim without it. */
  ITRANS_READ_TIMEOUT_MS: integer(3_000, 100, 20_000),
  ITRANS_WEBHOOK_TOLERANCE_MS: integer(300_000, 1_000, 3_600_000),

  ITRANS_AUTO_SUBMIT_ENABLED: flag(false),
  ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS: integer(4, 1, 50),
  ITRANS_AUTO_SUBMIT_BASE_DELAY_MS: integer(3_000, 1, 3_600_000),
  ITRANS_AUTO_SUBMIT_MAX_DELAY_MS: integer(60_000, 1, 86_400_000),
  /** Live jobs at once, all clinics together. */
  ITRANS_AUTO_SUBMIT_QUEUE_LIMIT: integer(1_000, 1, 1_000_000),
  ITRANS_AUTO_SUBMIT_JOB_RETENTION_MS: integer(86_400_000, 60_000, 31_536_000_000),
});

export type HubSettings = z.output<typeof hubSettingsSchema>;

/** An attempt that outlives core's timeout by this much has crashed. */
export const LEASE_MARGIN_MS = 30_000;
/** Event ids are remembered for longer than the relay keeps anything to replay. */
export const WEBHOOK_EVENT_RETENTION_MS = 90 * 86_400_000;
