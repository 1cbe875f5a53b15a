/** The cron's part of publishing: what a lost wake or a failed round left is published now. */
import type { PublisherStatus } from "../../durable-objects/ledger-publisher.ts";
import type { CoreEnv } from "../core/env.ts";
import type { CoreSettings } from "../platform/settings.ts";

export const publisherOf = (env: Pick<CoreEnv, "PUBLISHER">, settings: Pick<CoreSettings, "LEDGER_ID">) =>
  env.PUBLISHER.getByName(settings.LEDGER_ID);

/** Safe to call at any time and as often as one likes. */
export function publishLedger(
  env: Pick<CoreEnv, "PUBLISHER">,
  settings: Pick<CoreSettings, "LEDGER_ID">,
): Promise<PublisherStatus> {
  return publisherOf(env, settings).publish();
}
