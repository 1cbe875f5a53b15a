/** The worker medlink-hub: requests, the auto-submit queue and its dead letters, the minute's sweep. */
import { makeLog } from "../platform/clock.edge.ts";
import { type LogFields, reasonOf } from "../platform/log.ts";
import { makeApp } from "./app.edge.ts";
import { sweepAttachments } from "./attachments/attachments.cron.ts";
import { consumeAutoSubmit, consumeAutoSubmitDeadLetters } from "./auto-submit/auto-submit.consumer.ts";
import { pruneHub, sweepAutoSubmit } from "./auto-submit/auto-submit.cron.ts";
import type { HubEnv } from "./env.ts";
import { type Hub, startHub } from "./hub.edge.ts";
import { stepReEncryption } from "./keys/re-encrypt.edge.ts";
import { sweepRetention } from "./retention/retention.cron.ts";

const RE_ENCRYPT_ROWS_A_MINUTE = 2_000;

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

export default {
  fetch: (request: Request, env: HubEnv, context: ExecutionContext) => app.fetch(request, env, context),

  queue: (batch, env) =>
    invocation(env, "queue", { queue: batch.queue, size: batch.messages.length }, (hub) =>
      batch.queue === "auto-submit-dead-letters"
        ? consumeAutoSubmitDeadLetters(hub, batch)
        : consumeAutoSubmit(hub, batch),
    ),

  scheduled: (controller, env) =>
    invocation(env, "sweep", { cron: controller.cron }, async (hub) => {
      const swept = await sweepAutoSubmit(hub);
      await pruneHub(hub);
      await sweepAttachments(hub);
      await sweepRetention(hub);
      await stepReEncryption(hub, RE_ENCRYPT_ROWS_A_MINUTE);
      return swept.hinted;
    }),
} satisfies ExportedHandler<HubEnv>;
