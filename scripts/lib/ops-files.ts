/** What `npm run build:ops` writes into ops/ beside the dashboard. */
import { type AlertLimits, alertRules } from "../../src/operations/alerts/alert-rules.ts";
import { coreSettingsSchema } from "../../src/platform/settings.ts";
import { rulesYaml } from "./alert-expressions.ts";
import { routePaths } from "./route-paths.ts";

const { ANCHOR_INTERVAL_MS, ANCHOR_STUCK_AFTER_MS, D1_LIMIT_BYTES, BUCKET_DAILY_BYTES } = coreSettingsSchema.parse({});

/** As the evaluator has them with the settings that are shipped. */
export const PROMETHEUS_LIMITS: AlertLimits = {
  anchorEveryMs: Math.max(ANCHOR_INTERVAL_MS, 5 * 60_000),
  anchorPendingMs: 4 * ANCHOR_STUCK_AFTER_MS,
  databaseBytes: D1_LIMIT_BYTES,
  bucketDailyBytes: BUCKET_DAILY_BYTES,
};

export const prometheusRules = (): string => rulesYaml(alertRules(PROMETHEUS_LIMITS), { route: routePaths() });
