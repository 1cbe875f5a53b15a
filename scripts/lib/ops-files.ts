/** What `npm run build:ops` writes into ops/ beside the dashboard. */
import { alertLimitsOf, alertRules } from "../../src/operations/alerts/alert-rules.ts";
import { coreSettingsSchema } from "../../src/platform/settings.ts";
import { rulesYaml } from "./alert-expressions.ts";
import { routePaths } from "./route-paths.ts";

/** As the evaluator has them with the settings that are shipped. */
export const SHIPPED_LIMITS = alertLimitsOf(coreSettingsSchema.parse({}));

export const prometheusRules = (): string => rulesYaml(alertRules(SHIPPED_LIMITS), { route: routePaths() });
