/** itrans-relay as it is deployed, with a tally in front of its bindings. */
import type { RelayEnv } from "../../src/relay/env.ts";
import type { RelayHint } from "../../src/relay/port.ts";
import relay, { Deliveries as RealDeliveries } from "../../src/relay/worker.ts";
import { answerTally, countedBatch, countedEnv, countsOf } from "./tally.ts";

export class Deliveries extends RealDeliveries {
  constructor(ctx: ExecutionContext, env: RelayEnv) {
    super(ctx, countedEnv(env, "Deliveries"));
  }
}

export default {
  fetch(request, env, context) {
    const tally = answerTally(request);
    if (tally !== undefined) return tally;
    countsOf("request").requests += 1;
    return relay.fetch(request, countedEnv(env, "request"), context);
  },
  queue: (batch, env, ctx) =>
    countedBatch(batch, "queue", (counted) => relay.queue(counted, countedEnv(env, "queue"), ctx)),
} satisfies ExportedHandler<RelayEnv, RelayHint>;
