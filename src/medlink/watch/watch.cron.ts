/** The minute's look at core's evaluator: it needs core for nothing but the answer that it is about. */
import { readContacts } from "../../operations/alerts/escalation.ts";
import { calledNow } from "../../operations/alerts/roster.ts";
import { channelsOf, sendNotification } from "../../operations/alerts/send.client.ts";
import type { HubEnv } from "../env.ts";
import type { Hub } from "../hub.edge.ts";
import { readTask, type StoredTask, taskUpdate } from "../tasks/tasks.store.ts";
import { readRoster } from "./roster.store.ts";
import { afterSend, dueOf, evaluatedAtOf, firstWatch, stepWatch, type WatchState } from "./watch.ts";

const TASK = "watch";
const CORE_TIMEOUT_MS = 5_000;
/** A cron that runs once a second, in a rehearsal, is no silence yet. */
const LEAST_SILENCE_MS = 5_000;
/** Of one channel after another: what has not gone by then goes with the next cron. */
const MAX_ROUNDS = 10;

async function coreSays(hub: Hub): Promise<number | undefined> {
  const answer = await hub.core.call({
    method: "GET",
    path: "/health",
    surface: "open",
    correlationId: hub.newUuid(),
    timeoutMs: CORE_TIMEOUT_MS,
  });
  return answer.type === "answered" ? evaluatedAtOf(answer.text) : undefined;
}

export async function watchEvaluator(hub: Hub, env: HubEnv): Promise<void> {
  const { settings, db, log } = hub;
  const scale = settings.ALERT_TIME_SCALE;
  if (settings.ALERT_SILENT_AFTER_MS === 0) return;
  const evaluatedAt = await coreSays(hub);
  const stored = await readTask(db, TASK);
  const before: WatchState = stored === undefined ? firstWatch(hub.now()) : JSON.parse(stored.state);
  const { contacts, fault } = calledNow(await readRoster(db), readContacts(settings.ALERT_CONTACTS), hub.now());
  if (fault !== null) log("error", "alerts.contacts", { reason: fault });
  const silentAfterMs = Math.max(LEAST_SILENCE_MS, settings.ALERT_SILENT_AFTER_MS / scale);
  const audience = { contacts, pagedFrom: settings.PAGERDUTY_FROM_GRADE };
  let state = stepWatch(before, evaluatedAt, hub.now(), silentAfterMs, audience, scale);
  let kept = await keep(hub, stored, state);
  // Another cron is at it.
  if (kept === undefined) return;
  if (state.alert.phase !== before.alert.phase) {
    const kind = state.alert.phase === "open" ? "opened" : "resolved";
    log(kind === "resolved" ? "info" : "warn", `alert.${kind}`, { code: "evaluator-silent" });
  }
  const channels = channelsOf(settings, env);
  const place = { environment: settings.ENVIRONMENT, runbookUrl: settings.ALERT_RUNBOOK_URL ?? "" };
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const due = dueOf(state, hub.now());
    if (due.length === 0) return;
    const sent = await Promise.all(
      due.map(async ({ notification }) => {
        const result = await sendNotification(notification, place, channels);
        const ended = result.type === "failed" ? (result.retryable ? "again" : "refused") : "done";
        return { id: notification.id, ended } as const;
      }),
    );
    for (const { id, ended } of sent) state = afterSend(state, id, ended, hub.now());
    kept = await keep(hub, kept, state);
    if (kept === undefined) return;
  }
}

/** @returns what is stored now; undefined when another cron was faster. */
async function keep(hub: Hub, before: StoredTask | undefined, after: WatchState): Promise<StoredTask | undefined> {
  const state = JSON.stringify(after);
  const { meta } = await taskUpdate(hub.db, TASK, before, state, hub.now()).run();
  return meta.changes === 0 ? undefined : { state, version: before === undefined ? 0 : before.version + 1 };
}
