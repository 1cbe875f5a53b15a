import { afterAll, describe, expect, it } from "vitest";
import { describeSpread, runKillRounds } from "./support/kill-rounds.ts";
import { temporaryDirectory } from "./support/stack.ts";

const ROUNDS = 20;

describe("SIGKILL of workerd under load, and a new start over the same data", () => {
  const directory = temporaryDirectory();
  afterAll(() => directory.remove());

  it(`loses no answered submit and no callback in ${ROUNDS} rounds, and gives none out of order or with another body`, async () => {
    const seed = Number(process.env.KILL_SEED ?? 20_261_122);
    const report = await runKillRounds({ seed, rounds: ROUNDS, dataDir: directory.path });
    const { rounds, faults, ...totals } = report;
    // Past vitest's silence for tests that pass: the spread is to be seen each time.
    process.stderr.write(`${[`kills: ${JSON.stringify(totals)}`, ...describeSpread(rounds)].join("\n")}\n`);
    expect(faults).toEqual([]);
    expect(rounds).toHaveLength(ROUNDS);
    expect(totals.cutOff).toBeGreaterThan(0);
  });
});
