/** The cron's part of anchoring: it starts the owner of the signer, which goes on by its own alarm while something is pending. */
import type { AnchorStatus } from "../../durable-objects/ledger-anchor.ts";
import type { CoreEnv } from "../core/env.ts";
import type { CoreSettings } from "../platform/settings.ts";

export const anchorOf = (env: Pick<CoreEnv, "ANCHOR">, settings: Pick<CoreSettings, "LEDGER_ID">) =>
  env.ANCHOR.getByName(settings.LEDGER_ID);

/** One tick; safe to call at any time and as often as one likes. */
export function driveAnchor(
  env: Pick<CoreEnv, "ANCHOR">,
  settings: Pick<CoreSettings, "LEDGER_ID">,
): Promise<AnchorStatus> {
  return anchorOf(env, settings).tick();
}
