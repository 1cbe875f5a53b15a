import { afterAll, describe, expect, it } from "vitest";
import { runCareless } from "./support/careless.ts";
import { temporaryDirectory } from "./support/stack.ts";

const REQUESTS = 40;

/** The proportions of the contract's settings, in a fraction of the time. */
const PACE = { timeoutMs: 500, afterTimeoutWaitMs: 1_500, initialBackoffMs: 50, maxBackoffMs: 800, stepMs: 1_000 };

describe("a receiver without deduplication and without a state machine, on real sockets", () => {
  const directory = temporaryDirectory();
  afterAll(() => directory.remove());

  it("ends every request in the right state under errors, late effects and ids it does not know yet", async () => {
    const report = await runCareless({ seed: 7, requests: REQUESTS, dataDir: directory.path, pace: PACE });
    expect(report.faults).toEqual([]);
    expect(report.requests).toBe(REQUESTS);
    expect(report.errors).toBeGreaterThan(10);
    expect(report.late).toBeGreaterThan(2);
    expect(report.notYetKnown).toBeGreaterThan(2);
  });
});
