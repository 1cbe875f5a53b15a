/** The sweep: finds what queue messages lost, takes back what crashed, removes what has ended long ago. Idempotent. */
import { pruneAccounts } from "../accounts/prune.edge.ts";
import type { Hub } from "../hub.edge.ts";
import { pruneWebhookEvents } from "../intake/webhook-events.store.ts";
import { WEBHOOK_EVENT_RETENTION_MS } from "../settings.ts";
import { wakeConsumers } from "./drain.edge.ts";
import { crashedJobIds, pruneJobs } from "./jobs.store.ts";
import { changeJob } from "./submit.edge.ts";

const RECOVER_LIMIT = 200;
const PRUNE_LIMIT = 1_000;
/** A job due for less than this has its first hint still on the way. */
const GRACE_MS = 5_000;

export async function sweepAutoSubmit(hub: Hub): Promise<{ readonly recovered: number; readonly hinted: number }> {
  const now = hub.now();
  const crashed = await crashedJobIds(hub.db, now, RECOVER_LIMIT);
  for (const jobId of crashed) await changeJob(hub, jobId, { type: "recover" });
  return {
    recovered: crashed.length,
    hinted: await wakeConsumers(hub, crashed.length > 0 ? hub.now() : now - GRACE_MS),
  };
}

export async function pruneHub(hub: Hub): Promise<void> {
  const now = hub.now();
  await pruneJobs(hub.db, now - hub.settings.ITRANS_AUTO_SUBMIT_JOB_RETENTION_MS, PRUNE_LIMIT);
  await pruneAccounts(hub);
  await pruneWebhookEvents(hub.db, now - WEBHOOK_EVENT_RETENTION_MS, PRUNE_LIMIT);
}
