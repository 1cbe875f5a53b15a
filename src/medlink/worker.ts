/** The worker medlink-hub: requests, the auto-submit queue and its dead letters, the minute's sweep. */
import { makeLog } from "../platform/clock.edge.ts";
import { makeApp } from "./app.edge.ts";
import { consumeAutoSubmit, consumeAutoSubmitDeadLetters } from "./auto-submit/auto-submit.consumer.ts";
import { pruneHub, sweepAutoSubmit } from "./auto-submit/auto-submit.cron.ts";
import type { HubEnv } from "./env.ts";
import { type Hub, startHub } from "./hub.edge.ts";

const log = makeLog("medlink-hub");
const app = makeApp(log);

async function mustStart(env: HubEnv): Promise<Hub> {
  const started = await startHub(env, log);
  if (!started.ok) throw new Error(started.detail);
  return started.hub;
}

export default {
  fetch: (request: Request, env: HubEnv, context: ExecutionContext) => app.fetch(request, env, context),

  async queue(batch, env) {
    const hub = await mustStart(env);
    const startedAt = hub.now();
    if (batch.queue === "auto-submit-dead-letters") await consumeAutoSubmitDeadLetters(hub, batch);
    else await consumeAutoSubmit(hub, batch);
    const { queue } = batch;
    log("info", "queue", { queue, count: batch.messages.length, durationMs: hub.now() - startedAt });
  },

  async scheduled(controller, env) {
    const hub = await mustStart(env);
    const startedAt = hub.now();
    const swept = await sweepAutoSubmit(hub);
    await pruneHub(hub);
    log("info", "sweep", { cron: controller.cron, count: swept.hinted, durationMs: hub.now() - startedAt });
  },
} satisfies ExportedHandler<HubEnv>;
