/** The worker medlink-hub: requests, the auto-submit queue and its dead letters, the minute's sweep. */

import { backUp } from "../backup/backup.cron.ts";
import { type CountedBucket, countBuckets } from "../operations/bucket-count.cron.ts";
import { flushIfDue, metricSink } from "../operations/meter.edge.ts";
import { HUB_JOBS } from "../operations/metrics.ts";
import { makeLog } from "../platform/clock.edge.ts";
import { loggedInvocation } from "../platform/invocation.edge.ts";
import { type LogFields, reasonOf } from "../platform/log.ts";
import { makeApp } from "./app.edge.ts";
import { sweepAttachments } from "./attachments/attachments.cron.ts";
import { sendWaitingActions } from "./audit/record-trail.edge.ts";
import { consumeAutoSubmit, consumeAutoSubmitDeadLetters } from "./auto-submit/auto-submit.consumer.ts";
import { pruneHub, sweepAutoSubmit } from "./auto-submit/auto-submit.cron.ts";
import { pruneEdi, sweepEdi } from "./edi/edi.edge.ts";
import type { HubEnv } from "./env.ts";
import { type Hub, startHub } from "./hub.edge.ts";
import { RE_ENCRYPT } from "./keys/re-encrypt.edge.ts";
import { RE_HASH } from "./keys/re-hash.edge.ts";
import { stepRenewal } from "./keys/renewal.edge.ts";
import { recordHubMetrics } from "./operations/record-metrics.cron.ts";
import { sweepRetention } from "./retention/retention.cron.ts";
import { recordSightings } from "./secrets/secret-ages.store.ts";
import { sightingsOf } from "./secrets/secret-ages.ts";
import { watchEvaluator } from "./watch/watch.cron.ts";

const RENEWED_ROWS_A_MINUTE = 2_000;

const logOf = (env: HubEnv) => makeLog("medlink-hub", env);
const app = makeApp(logOf);

/** One log event for each. @param work returns the event's `count`. */
const invocation = (
  env: HubEnv,
  event: "cron" | "queue",
  fields: LogFields,
  work: (hub: Hub) => Promise<number>,
): Promise<void> =>
  loggedInvocation(logOf(env), event, fields, async (log) => {
    const started = await startHub(env, log);
    if (!started.ok) throw new Error(started.detail);
    return work(started.hub);
  });

const bucketsOf = ({ ATTACHMENTS, BACKUPS }: HubEnv): readonly CountedBucket[] => [
  { name: "attachments", bucket: ATTACHMENTS },
  ...(BACKUPS === undefined ? [] : [{ name: "backups", bucket: BACKUPS }]),
];

/** The minute's jobs, one after another, since they share one database. One that fails holds up no other. */
async function runCron(hub: Hub, env: HubEnv, scheduledTime: number): Promise<number> {
  const lateness = hub.now() - scheduledTime;
  const jobs = {
    watch: () => watchEvaluator(hub, env),
    sweep: () => sweepAutoSubmit(hub),
    prune: () => pruneHub(hub),
    edi: async () => {
      await sweepEdi(hub);
      await pruneEdi(hub);
    },
    attachments: () => sweepAttachments(hub),
    retention: () => sweepRetention(hub),
    "re-encrypt": () => stepRenewal(RE_ENCRYPT, hub, RENEWED_ROWS_A_MINUTE),
    "re-hash": () => stepRenewal(RE_HASH, hub, RENEWED_ROWS_A_MINUTE),
    "secret-ages": () => recordSightings(hub.db, sightingsOf({ ...env }), hub.now()),
    backup: async () => {
      const { backup, settings, log } = hub;
      if (backup === undefined) return;
      await backUp(backup, { hourUtc: settings.BACKUP_HOUR_UTC, turnMs: settings.BACKUP_TURN_MS }, log);
    },
    "count-buckets": () => countBuckets(hub.db, bucketsOf(env), hub.settings.ALERT_TIME_SCALE),
    trail: () => sendWaitingActions(hub),
    // Last, so that the readings are those of after the jobs.
    metrics: () => recordHubMetrics(hub, env, lateness),
  };
  let failed = 0;
  const run = async (job: keyof typeof jobs): Promise<void> => {
    const startedAt = hub.now();
    let outcome: "ok" | "failed" = "ok";
    try {
      await jobs[job]();
    } catch (thrown) {
      outcome = "failed";
      failed += 1;
      hub.log("error", "cron.failed", { cron: job, reason: reasonOf(thrown) });
    }
    hub.measure.add("medlink_cron_runs_total", { job, outcome });
    hub.measure.observe("medlink_cron_duration_seconds", { job }, (hub.now() - startedAt) / 1_000);
  };
  for (const job of HUB_JOBS) await run(job);
  return failed;
}

export default {
  fetch: (request: Request, env: HubEnv, context: ExecutionContext) => app.fetch(request, env, context),

  async queue(batch, env) {
    await invocation(env, "queue", { queue: batch.queue, size: batch.messages.length }, (hub) =>
      batch.queue.startsWith("auto-submit-dead-letters")
        ? consumeAutoSubmitDeadLetters(hub, batch)
        : consumeAutoSubmit(hub, batch),
    );
    await flushIfDue("medlink-hub", env, metricSink(env));
  },

  scheduled: (controller, env) =>
    invocation(env, "cron", { cron: controller.cron }, (hub) => runCron(hub, env, controller.scheduledTime)),
} satisfies ExportedHandler<HubEnv>;
