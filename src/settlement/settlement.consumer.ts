/** The consumer of queue `settlement` and of its dead-letter queue. Messages are hints: what a message names is never looked at. */
import type { CoreEnv } from "../core/env.ts";
import { systemNow, systemRandom } from "../platform/clock.edge.ts";
import { type Log, reasonOf } from "../platform/log.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { sequence } from "../workflow/sequencer.client.ts";
import { type DriveParts, drainSettlements } from "./drive.edge.ts";
import type { SettlementHint } from "./drive.ts";
import type { OperatorGateway } from "./operator/gateway.ts";

const RETRY_DELAY_SECONDS = 5;

export const DEAD_LETTER_QUEUE = "settlement-dead-letters";

export const driveParts = (env: CoreEnv, settings: CoreSettings, gateway: OperatorGateway, log: Log): DriveParts => ({
  db: env.DB,
  ledgerId: settings.LEDGER_ID,
  gateway,
  append: (command) => sequence(env, settings.LEDGER_ID, command),
  now: systemNow,
  sleep: (ms) => scheduler.wait(ms),
  random: systemRandom,
  log,
});

/** One hint or a hundred: whatever is due is driven once. @returns how many were. */
export async function consumeSettlements(
  batch: MessageBatch<SettlementHint>,
  env: CoreEnv,
  parts: DriveParts,
): Promise<number> {
  // Names end in the environment.
  if (batch.queue.startsWith(DEAD_LETTER_QUEUE)) {
    // Nothing is lost with them: the sweep finds the rows and sends new ones.
    parts.log("warn", "settlement.hints-given-up", { queue: batch.queue, count: batch.messages.length });
    batch.ackAll();
    return 0;
  }
  try {
    const { driven, more } = await drainSettlements(parts);
    const [hint] = batch.messages;
    if (more && hint !== undefined) await env.SETTLEMENT_QUEUE.send(hint.body);
    batch.ackAll();
    return driven;
  } catch (thrown) {
    parts.log("error", "settlement.not-drained", { queue: batch.queue, reason: reasonOf(thrown) });
    batch.retryAll({ delaySeconds: RETRY_DELAY_SECONDS });
    return 0;
  }
}
