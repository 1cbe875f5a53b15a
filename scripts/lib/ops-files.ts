/** What `npm run build:ops` writes into ops/ beside the dashboard. */
import { alertRules } from "../../src/operations/alerts/alert-rules.ts";
import { coreSettingsSchema } from "../../src/platform/settings.ts";
import { rulesYaml } from "./alert-expressions.ts";
import { routePaths } from "./route-paths.ts";

const { ANCHOR_INTERVAL_MS, ANCHOR_STUCK_AFTER_MS } = coreSettingsSchema.parse({});

/** As the evaluator has them with the settings that are shipped. */
export const PROMETHEUS_ANCHOR_MS = Math.max(ANCHOR_INTERVAL_MS, 5 * 60_000);
export const PROMETHEUS_ANCHOR_PENDING_MS = 4 * ANCHOR_STUCK_AFTER_MS;

export const prometheusRules = (): string =>
  rulesYaml(alertRules(PROMETHEUS_ANCHOR_MS, PROMETHEUS_ANCHOR_PENDING_MS), { route: routePaths() });
