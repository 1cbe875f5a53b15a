/** Many seeds over several threads: each has a database and a virtual time of its own, so they share nothing. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { SeedTask } from "./seed-worker.ts";
import type { SimulationResult } from "./simulate.ts";

export interface SeedsOptions {
  readonly firstSeed: number;
  readonly runs: number;
  /** Threads; by default one for each core. */
  readonly jobs?: number;
  readonly scenario?: SeedTask["scenario"];
  /** In the order in which they end. */
  readonly onResult?: (result: SimulationResult) => void;
}

export interface Tally {
  readonly runs: number;
  /** By seed. */
  readonly failures: readonly SimulationResult[];
  readonly entries: number;
  readonly posts: number;
  readonly deadLetters: number;
  readonly virtualMs: number;
}

/** Runs all of them, even when some fail. @throws Error when a thread dies. */
export async function runSeeds(options: SeedsOptions): Promise<Tally> {
  const { firstSeed, runs, scenario, onResult } = options;
  const results: SimulationResult[] = [];
  let next = 0;
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL("./seed-worker.ts", import.meta.url));
      const give = (): void => {
        if (next >= runs) {
          void worker.terminate();
          resolve();
          return;
        }
        const seed = firstSeed + next;
        next += 1;
        worker.postMessage({ seed, ...(scenario === undefined ? {} : { scenario }) } satisfies SeedTask);
      };
      worker.on("message", (result: SimulationResult) => {
        results.push(result);
        onResult?.(result);
        give();
      });
      worker.on("error", reject);
      give();
    });
  const jobs = Math.max(1, Math.min(options.jobs ?? availableParallelism(), runs));
  await Promise.all(Array.from({ length: jobs }, work));
  const sum = (of: (result: SimulationResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  return {
    runs: results.length,
    failures: results.filter(({ violation }) => violation !== undefined).sort((a, b) => a.seed - b.seed),
    entries: sum(({ entries }) => entries),
    posts: sum(({ posts }) => posts),
    deadLetters: sum(({ deadLetters }) => deadLetters),
    virtualMs: sum(({ virtualMs }) => virtualMs),
  };
}
