import { describe, expect, test } from "vitest";
import { catchMutation, mutations } from "../../simulation/mutations.ts";
import { runSeeds } from "../../simulation/run-seeds.ts";
import { scenarios } from "../../simulation/scenarios.ts";
import { type SimulationResult, simulate } from "../../simulation/simulate.ts";

const SAMPLE = 150;

const broken = ({ seed, violation, trace }: SimulationResult): string =>
  `seed ${seed}: ${violation?.rule}: ${violation?.detail}\n${trace.join("\n")}`;

describe("the simulation", () => {
  test("holds every invariant and settles, whatever the faults of a sample of seeds", {
    timeout: 120_000,
  }, async () => {
    const { failures, entries, posts, deadLetters } = await runSeeds({ firstSeed: 10_000, runs: SAMPLE });
    expect(failures.map(broken)).toEqual([]);
    expect(entries).toBeGreaterThan(10 * SAMPLE);
    expect(posts).toBeGreaterThan(20 * SAMPLE);
    expect(deadLetters).toBeGreaterThan(0);
  });

  test("goes the same way again for the same seed, and another way for another", async () => {
    const traceOf = async (seed: number): Promise<readonly string[]> => {
      const lines: string[] = [];
      await simulate({ seed, print: (line) => lines.push(line) });
      return lines;
    };
    const first = await traceOf(7);
    await traceOf(8);
    expect(first.length).toBeGreaterThan(50);
    expect(await traceOf(7)).toEqual(first);
    expect(await traceOf(9)).not.toEqual(first);
  });

  test("ends every request in the right state at a careless receiver", { timeout: 120_000 }, async () => {
    const result = await scenarios["careless-receiver"]?.run({ seed: 1, requests: 100 });
    expect(result?.violation).toBeUndefined();
    expect(result?.posts).toBeGreaterThan(250);
  });

  test("delivers all in order, and gives nothing up, when a destination was down for six hours", {
    timeout: 120_000,
  }, async () => {
    const result = await scenarios["destination-down"]?.run({ seed: 1, requests: 40 });
    expect(result?.violation).toBeUndefined();
    expect(result?.virtualMs).toBeGreaterThan(6 * 3_600_000);
  });

  test("delivers from the sweep alone when the queue was wiped", { timeout: 120_000 }, async () => {
    const result = await scenarios["queue-wiped"]?.run({ seed: 1, requests: 100 });
    expect(result?.violation).toBeUndefined();
    expect(result?.posts).toBeGreaterThan(100);
  });
});

/** Rules broken on purpose that a few seeds notice; all of them are tried by the long suite. */
const QUICK = new Set([
  "callers are answered before the batch has committed",
  "a batch that failed is assumed to have committed",
  "a batch is not one transaction",
  "a lane does not wait after a timeout",
  "a lease ends with the timeout of its post",
  "an anchor rewrites bodies that were frozen",
  "nothing sweeps",
]);

describe("the simulation notices that", () => {
  test.each(mutations.filter(({ name }) => QUICK.has(name)))("$name", { timeout: 120_000 }, async (mutation) => {
    expect((await catchMutation(mutation, 60)).seed).toBeDefined();
  });

  test("every quick mutation exists", () => {
    expect(mutations.filter(({ name }) => QUICK.has(name))).toHaveLength(QUICK.size);
  });
});
