/** Calls between processes: lost, answered in vain, slow, or to an isolate that vanishes while it works. */
import { Life } from "./scheduler.ts";
import type { World } from "./world.ts";

/**
 * Runs `work` in a process of its own.
 * @returns what it returned; rejects when the call broke, and never settles once the caller has ended.
 */
export function remoteCall<T>(
  world: World,
  caller: Life,
  name: string,
  work: (callee: Life) => Promise<T>,
): Promise<T> {
  const { random, scheduler, faults } = world;
  const { calls } = faults;
  return new Promise((resolve, reject) => {
    const settle = (afterMs: number, end: () => void): void => scheduler.within(caller, afterMs, end);
    const breaks = (afterMs: number, how: string): void => {
      world.trace("call", name, how);
      settle(afterMs, () => reject(new Error(`call ${how}`)));
    };
    if (random.chance(calls.lost)) {
      breaks(random.between(1, 1_000), "lost");
      return;
    }
    const callee = new Life();
    const answerLost = random.chance(calls.answerLost);
    const latencyMs = (): number => {
      if (!random.chance(calls.slow)) return random.between(1, 20);
      return random.chance(0.7) ? random.between(100, 10_000) : random.between(10_000, 60_000);
    };
    if (random.chance(calls.calleeKilled)) {
      scheduler.after(random.between(1, 500), () => {
        callee.end();
        breaks(random.between(1, 200), "callee killed");
      });
    }
    scheduler.after(latencyMs(), () => {
      work(callee).then(
        (value) => {
          if (answerLost) breaks(latencyMs(), "answer lost");
          else settle(latencyMs(), () => resolve(value));
        },
        (error: unknown) => settle(latencyMs(), () => reject(error)),
      );
    });
  });
}
