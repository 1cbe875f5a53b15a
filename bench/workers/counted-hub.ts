/** medlink-hub as it is deployed, with a tally in front of its bindings. */
import type { AutoSubmitHint, HubEnv } from "../../src/medlink/env.ts";
import hub from "../../src/medlink/worker.ts";
import { answerTally, countedBatch, countedEnv, countsOf } from "./tally.ts";

export default {
  fetch(request, env, ctx) {
    const tally = answerTally(request);
    if (tally !== undefined) return tally;
    countsOf("request").requests += 1;
    return hub.fetch(request, countedEnv(env, "request"), ctx);
  },
  queue: (batch, env) => countedBatch(batch, "queue", (counted) => hub.queue(counted, countedEnv(env, "queue"))),
  scheduled(controller, env) {
    countsOf("cron").batches += 1;
    return hub.scheduled(controller, countedEnv(env, "cron"));
  },
} satisfies ExportedHandler<HubEnv, AutoSubmitHint>;
