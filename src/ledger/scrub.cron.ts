/** The cron's part of the scrub: each minute a bounded part of the round. */
import type { CoreEnv } from "../core/env.ts";
import type { CoreSettings } from "../platform/settings.ts";
import type { ScrubReport } from "./scrub-state.ts";

export const scrubberOf = (env: Pick<CoreEnv, "SCRUBBER">, settings: Pick<CoreSettings, "LEDGER_ID">) =>
  env.SCRUBBER.getByName(settings.LEDGER_ID);

/** Safe to call at any time and as often as one likes. */
export function scrubLedger(
  env: Pick<CoreEnv, "SCRUBBER">,
  settings: Pick<CoreSettings, "LEDGER_ID">,
): Promise<ScrubReport> {
  return scrubberOf(env, settings).tick();
}
