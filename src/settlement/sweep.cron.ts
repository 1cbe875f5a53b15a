/** The sweep of settlements: whatever happened to the hints, what is due gets one, and what is under way too long is counted. */
import type { CoreEnv } from "../core/env.ts";
import type { Log } from "../platform/log.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { countStuck, driveUndriven, nextDriveDue } from "./drive.store.ts";
import { operatorFault } from "./operator/gateway.client.ts";

/** Under way longer than this, a settlement is stuck. */
export const STUCK_AFTER_MS = 300_000;
const MAX_UNDRIVEN = 100;

export interface SweptSettlements {
  readonly due: boolean;
  readonly undriven: number;
  readonly stuck: number;
}

/** @param now epoch ms. */
export async function sweepSettlements(
  env: CoreEnv,
  settings: CoreSettings,
  now: number,
  log: Log,
): Promise<SweptSettlements> {
  const ledgerId = settings.LEDGER_ID;
  const before = now - STUCK_AFTER_MS;
  const undriven = await driveUndriven(env.DB, ledgerId, before, now, MAX_UNDRIVEN);
  const stuck = await countStuck(env.DB, ledgerId, before);
  if (stuck > 0) log("warn", "settlement.stuck", { count: stuck });
  const nextDue = await nextDriveDue(env.DB, ledgerId);
  const due = nextDue !== undefined && nextDue <= now && operatorFault(env, settings) === undefined;
  // One wakes a consumer, which goes on to whatever is due.
  if (due) await env.SETTLEMENT_QUEUE.send({ refId: "", tenantId: "" });
  return { due, undriven, stuck };
}
