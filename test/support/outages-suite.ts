/** Outages of the delivery path under the virtual clock: the queue wiped, and a destination down for six hours. */
import * as z from "zod";
import type { LongSuite } from "../../scripts/lib/long-suite.ts";
import { runSeeds } from "../simulation/run-seeds.ts";

const REQUESTS = 1_000;
/** A piece each. */
const OUTAGES = ["queue-wiped", "destination-down"] as const;

const countsSchema = z.object({ outage: z.enum(OUTAGES), entries: z.int(), posts: z.int(), virtualHours: z.number() });

export const outagesSuite: LongSuite = {
  name: "outages",
  about: `every hint wiped while ${REQUESTS} deliveries are pending and no relay is deployed; a destination down for six hours`,
  pieces: OUTAGES.length,
  // Pieces get seeds that follow one another: each gets another outage.
  async run({ seed, say }) {
    const outage = OUTAGES[seed % OUTAGES.length] ?? OUTAGES[0];
    const scenario = { name: outage, requests: REQUESTS };
    const { failures, entries, posts, virtualMs } = await runSeeds({ firstSeed: seed, runs: 1, scenario });
    const counts = { outage, entries, posts, virtualHours: virtualMs / 3_600_000 };
    say(JSON.stringify(counts));
    return { faults: failures.map(({ violation }) => `${outage}: ${violation?.rule}: ${violation?.detail}`), counts };
  },
  summarize(pieces) {
    const parsed = pieces.map((piece) => countsSchema.parse(piece));
    return {
      requests: REQUESTS,
      ...Object.fromEntries(parsed.map(({ outage, ...counts }) => [outage, counts])),
    };
  },
};
