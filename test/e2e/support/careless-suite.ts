/** A receiver without deduplication and without a state machine: 10,000 requests under the virtual clock, 500 on the real thing. */
import * as z from "zod";
import type { LongSuite } from "../../../scripts/lib/long-suite.ts";
import { runSeeds } from "../../simulation/run-seeds.ts";
import { runCareless } from "./careless.ts";

const VIRTUAL_REQUESTS = 10_000;
const REAL_REQUESTS = 500;

const countsSchema = z.record(z.string(), z.record(z.string(), z.number()));

export const carelessSuite: LongSuite = {
  name: "careless",
  about: `${VIRTUAL_REQUESTS} requests under the virtual clock and ${REAL_REQUESTS} in real time end right at a careless receiver`,
  pieces: 1,
  async run({ seed, dataDir, say }) {
    const { faults: realFaults, ...real } = await runCareless({ seed, requests: REAL_REQUESTS, dataDir, say });
    say(`real: ${JSON.stringify(real)}`);
    const scenario = { name: "careless-receiver", requests: VIRTUAL_REQUESTS };
    const { failures, entries, posts, virtualMs } = await runSeeds({ firstSeed: seed, runs: 1, scenario });
    const virtual = { requests: VIRTUAL_REQUESTS, entries, posts, virtualHours: virtualMs / 3_600_000 };
    say(`virtual: ${JSON.stringify(virtual)}`);
    const virtualFaults = failures.map(({ violation }) => `virtual: ${violation?.rule}: ${violation?.detail}`);
    return { faults: [...realFaults, ...virtualFaults], counts: { real, virtual } };
  },
  summarize: ([counts]) => countsSchema.parse(counts),
};
