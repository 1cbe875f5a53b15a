/** Each day's run begins once the day is over and what was in flight has landed; and every running one goes on a little. */
import type { Log } from "../../platform/log.ts";
import type { CoreSettings } from "../../platform/settings.ts";
import { makeOperatorGateway, operatorFault } from "../operator/gateway.client.ts";
import { dueDays } from "./days.ts";
import { makeReconciler, type ReconciliationEnv } from "./reconcile.edge.ts";
import { newestDailyDay } from "./reconciliation.store.ts";

/** Of a cron that has other work: the rest goes on a minute later. */
const BUDGET_MS = 8_000;

export async function reconcileDaily(
  env: ReconciliationEnv,
  settings: CoreSettings,
  log: Log,
  now: number,
): Promise<void> {
  if (operatorFault(env, settings) !== undefined) return;
  const reconciler = makeReconciler(env, settings, log, makeOperatorGateway(env, settings, log));
  const newest = await newestDailyDay(env.DB, settings.LEDGER_ID);
  for (const day of dueDays(newest, settings.RECONCILIATION_TOLERANCE_MINUTES * 60_000, now)) {
    await reconciler.start({ runId: `daily-${day}`, kind: "daily", fromDay: day, toDay: day, startedBy: "cron" });
  }
  await reconciler.drive(undefined, BUDGET_MS);
}
