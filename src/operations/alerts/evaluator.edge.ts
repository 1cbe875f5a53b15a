/** The evaluator of this ledger's deployment. */
import type { CoreEnv } from "../../core/env.ts";
import type { CoreSettings } from "../../platform/settings.ts";

export const evaluatorOf = (env: Pick<CoreEnv, "ALERTS">, settings: Pick<CoreSettings, "LEDGER_ID">) =>
  env.ALERTS.getByName(settings.LEDGER_ID);
