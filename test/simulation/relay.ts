/** Invocations of the relay: the real delivery loop, in processes that vanish. */
import { startDeliveryLoop } from "../../src/relay/delivery-loop.ts";
import { KnownReceivers } from "../../src/relay/known-receivers.ts";
import type { LeasedDelivery, PostResult } from "../../src/relay/port.ts";
import type { Core } from "./core.ts";
import type { Parts } from "./parts.ts";
import type { BatchEnd, Consume } from "./queue.ts";
import { Life } from "./scheduler.ts";
import type { World } from "./world.ts";

/** What the platform gives an invocation beyond its answer. */
const AFTER_ANSWER_MS = 30_000;

export type Post = (relay: Life, delivery: LeasedDelivery) => Promise<PostResult>;

export function relayConsumer(world: World, core: Core, post: Post, parts: Parts): Consume {
  let invocations = 0;
  // Invocations share an isolate until one of them brings it down.
  let receivers = new KnownReceivers();
  return (end) => {
    invocations += 1;
    const name = `relay-${invocations}`;
    const { random, scheduler, faults } = world;
    const life = new Life();
    let ended = false;
    let over = false;
    const finish = (how: BatchEnd): void => {
      if (ended) return;
      ended = true;
      end(how);
    };
    const kill = (when: string): void => {
      if (over) return;
      over = true;
      world.trace(name, "killed", when);
      receivers = new KnownReceivers();
      life.end();
      finish("vanished");
    };
    const stall = (when: string): void => {
      const stallMs = random.between(1_000, 90_000);
      life.stalledUntil = world.now() + stallMs;
      world.trace(name, "stalls", when, stallMs, "ms");
    };
    if (random.chance(faults.relayStalls)) scheduler.after(random.between(1, 10_000), () => stall("at some time"));
    if (random.chance(faults.relayKilled)) scheduler.after(random.between(1, 30_000), () => kill("at some time"));
    const port = core.port(life);
    const run = startDeliveryLoop(
      {
        port: {
          ...port,
          lease: async (limit, exclude) => {
            const lease = await port.lease(limit, exclude);
            if (random.chance(world.faults.relayStalls)) {
              stall("with a lease in its hands");
              await scheduler.sleep(life, 0);
            }
            return { ...lease, deliveries: lease.deliveries.map(parts.received) };
          },
        },
        post: async (delivery) => {
          const result = await post(life, delivery);
          if (random.chance(world.faults.relayKilledBeforeRecord)) {
            kill("between post and record");
            await new Promise(() => {});
          }
          return parts.reported(result);
        },
        now: world.relayClock.now,
        sleep: (ms) => scheduler.sleep(life, ms),
        receivers,
      },
      world.options.delivery,
    );
    run.free.then(
      () => {
        finish("acknowledged");
        scheduler.after(AFTER_ANSWER_MS, () => kill("long after its answer"));
      },
      () => {},
    );
    run.ended.then(
      ({ posted, delivered, released }) => {
        over = true;
        if (posted + released > 0)
          world.trace(name, "ended", posted, "posted", delivered, "delivered", released, "released");
        finish("acknowledged");
      },
      (error: unknown) => {
        over = true;
        world.trace(name, "threw", error instanceof Error ? error.message : String(error));
        finish("threw");
      },
    );
  };
}
