/** A thread that runs the seeds it is sent, one after another; see run-seeds.ts. */
import { parentPort } from "node:worker_threads";
import { scenarios } from "./scenarios.ts";
import { simulate } from "./simulate.ts";

export interface SeedTask {
  readonly seed: number;
  /** Undefined: the world is drawn from the seed. */
  readonly scenario?: { readonly name: string; readonly requests: number };
}

parentPort?.on("message", async ({ seed, scenario }: SeedTask) => {
  const run = scenario === undefined ? undefined : scenarios[scenario.name]?.run;
  const result = scenario !== undefined && run !== undefined ? run({ seed, ...scenario }) : simulate({ seed });
  parentPort?.postMessage(await result);
});
