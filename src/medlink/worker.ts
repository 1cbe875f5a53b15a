/** The worker medlink-hub: requests, the auto-submit queue and its dead letters, the minute's sweep. */
import { makeLog } from "../platform/clock.edge.ts";
import { type LogFields, reasonOf } from "../platform/log.ts";
import { databaseSink, flushIfDue } from "../platform/meter.edge.ts";
import { makeApp } from "./app.edge.ts";
import { consumeAutoSubmit, consumeAutoSubmitDeadLetters } from "./auto-submit/auto-submit.consumer.ts";
import { pruneHub, sweepAutoSubmit } from "./auto-submit/auto-submit.cron.ts";
import { pruneEdi, sweepEdi } from "./edi/edi.edge.ts";
import type { HubEnv } from "./env.ts";
import { type Hub, startHub } from "./hub.edge.ts";
import { recordHubMetrics } from "./operations/record-metrics.cron.ts";
import { recordSightings } from "./secrets/secret-ages.store.ts";
import { sightingsOf } from "./secrets/secret-ages.ts";

const logOf = (env: HubEnv) => makeLog("medlink-hub", env);
const app = makeApp(logOf);

/** One log event for an invocation, whether it ends well or throws. @param work returns the event's `count`. */
async function invocation(
  env: HubEnv,
  event: string,
  fields: LogFields,
  work: (hub: Hub) => Promise<number>,
): Promise<void> {
  const log = logOf(env);
  const startedAt = Date.now();
  try {
    const started = await startHub(env, log);
    if (!started.ok) throw new Error(started.detail);
    const count = await work(started.hub);
    log("info", event, { ...fields, count, durationMs: Date.now() - startedAt });
  } catch (thrown) {
    log("error", event, { ...fields, reason: reasonOf(thrown), durationMs: Date.now() - startedAt });
    throw thrown;
  }
}

async function measuredJob<Result>(hub: Hub, job: "sweep" | "metrics", work: () => Promise<Result>): Promise<Result> {
  const startedAt = hub.now();
  let outcome: "ok" | "failed" = "failed";
  try {
    const result = await work();
    outcome = "ok";
    return result;
  } finally {
    hub.measure.add("medlink_cron_runs_total", { job, outcome });
    hub.measure.observe("medlink_cron_duration_seconds", { job }, (hub.now() - startedAt) / 1_000);
  }
}

export default {
  fetch: (request: Request, env: HubEnv, context: ExecutionContext) => app.fetch(request, env, context),

  async queue(batch, env) {
    await invocation(env, "queue", { queue: batch.queue, size: batch.messages.length }, (hub) =>
      batch.queue === "auto-submit-dead-letters"
        ? consumeAutoSubmitDeadLetters(hub, batch)
        : consumeAutoSubmit(hub, batch),
    );
    await flushIfDue("medlink-hub", env, databaseSink(env.DB));
  },

  scheduled: (controller, env) =>
    invocation(env, "sweep", { cron: controller.cron }, async (hub) => {
      await recordSightings(hub.db, sightingsOf({ ...env }), hub.now());
      const lateness = hub.now() - controller.scheduledTime;
      const swept = await measuredJob(hub, "sweep", async () => {
        const { hinted } = await sweepAutoSubmit(hub);
        await pruneHub(hub);
        await sweepEdi(hub);
        await pruneEdi(hub);
        return hinted;
      });
      await measuredJob(hub, "metrics", () => recordHubMetrics(hub, env, lateness));
      return swept;
    }),
} satisfies ExportedHandler<HubEnv>;
