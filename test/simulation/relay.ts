/** Invocations of the relay: the real delivery loop, in processes that vanish. */
import { runDeliveryLoop } from "../../src/relay/delivery-loop.ts";
import type { LeasedDelivery, PostResult } from "../../src/relay/port.ts";
import type { Core } from "./core.ts";
import type { Parts } from "./parts.ts";
import type { BatchEnd, Consume } from "./queue.ts";
import { Life } from "./scheduler.ts";
import type { World } from "./world.ts";

export type Post = (relay: Life, delivery: LeasedDelivery) => Promise<PostResult>;

export function relayConsumer(world: World, core: Core, post: Post, parts: Parts): Consume {
  let invocations = 0;
  return (end) => {
    invocations += 1;
    const name = `relay-${invocations}`;
    const { random, scheduler, faults } = world;
    const life = new Life();
    let ended = false;
    const finish = (how: BatchEnd): void => {
      if (ended) return;
      ended = true;
      end(how);
    };
    const kill = (when: string): void => {
      if (ended) return;
      world.trace(name, "killed", when);
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
    runDeliveryLoop(
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
      },
      world.options.delivery,
    ).then(
      ({ posted, delivered, released }) => {
        if (posted + released > 0)
          world.trace(name, "ended", posted, "posted", delivered, "delivered", released, "released");
        finish("acknowledged");
      },
      (error: unknown) => {
        world.trace(name, "threw", error instanceof Error ? error.message : String(error));
        finish("threw");
      },
    );
  };
}
