/** itrans-core as it is deployed, with a tally in front of its bindings. */
import type { CoreEnv } from "../../src/core/env.ts";
import core, {
  AlertEvaluator as RealAlertEvaluator,
  LedgerAnchor as RealLedgerAnchor,
  LedgerPublisher as RealLedgerPublisher,
  LedgerScrubber as RealLedgerScrubber,
  LedgerSequencer as RealLedgerSequencer,
  OperatorLimiter as RealOperatorLimiter,
  RateLimiter as RealRateLimiter,
  RelayPort as RealRelayPort,
} from "../../src/core/worker.ts";
import { answerTally, countedBatch, countedEnv, countStorage, countsOf } from "./tally.ts";

function watched(ctx: DurableObjectState, label: string): DurableObjectState {
  countStorage(ctx, label);
  return ctx;
}

export class AlertEvaluator extends RealAlertEvaluator {
  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(watched(ctx, "AlertEvaluator"), countedEnv(env, "AlertEvaluator"));
  }
  override alarm(): Promise<void> {
    countsOf("AlertEvaluator").alarms += 1;
    return super.alarm();
  }
}

export class LedgerAnchor extends RealLedgerAnchor {
  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(watched(ctx, "LedgerAnchor"), countedEnv(env, "LedgerAnchor"));
  }
  override alarm(): Promise<void> {
    countsOf("LedgerAnchor").alarms += 1;
    return super.alarm();
  }
}

export class LedgerPublisher extends RealLedgerPublisher {
  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(watched(ctx, "LedgerPublisher"), countedEnv(env, "LedgerPublisher"));
  }
  override alarm(): Promise<void> {
    countsOf("LedgerPublisher").alarms += 1;
    return super.alarm();
  }
}

export class LedgerScrubber extends RealLedgerScrubber {
  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(watched(ctx, "LedgerScrubber"), countedEnv(env, "LedgerScrubber"));
  }
}

export class LedgerSequencer extends RealLedgerSequencer {
  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(watched(ctx, "LedgerSequencer"), countedEnv(env, "LedgerSequencer"));
  }
}

export class OperatorLimiter extends RealOperatorLimiter {
  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(watched(ctx, "OperatorLimiter"), countedEnv(env, "OperatorLimiter"));
  }
}

export class RateLimiter extends RealRateLimiter {
  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(watched(ctx, "RateLimiter"), countedEnv(env, "RateLimiter"));
  }
}

export class RelayPort extends RealRelayPort {
  constructor(ctx: ExecutionContext, env: CoreEnv) {
    super(ctx, countedEnv(env, "RelayPort"));
  }
}

export default {
  fetch(request, env, ctx) {
    const tally = answerTally(request);
    if (tally !== undefined) return tally;
    countsOf("request").requests += 1;
    return core.fetch(request, countedEnv(env, "request"), ctx);
  },
  scheduled(controller, env) {
    countsOf("cron").batches += 1;
    return core.scheduled(controller, countedEnv(env, "cron"));
  },
  queue: (batch, env) => countedBatch(batch, "queue", (counted) => core.queue(counted, countedEnv(env, "queue"))),
} satisfies ExportedHandler<CoreEnv, Parameters<typeof core.queue>[0]["messages"][number]["body"]>;
