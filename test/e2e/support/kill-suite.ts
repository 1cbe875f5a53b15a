/** 200 kills, in ten pieces that are each drained and checked in full. */
import * as z from "zod";
import type { LongSuite } from "../../../scripts/lib/long-suite.ts";
import { describeSpread, MOMENTS, runKillRounds } from "./kill-rounds.ts";

const PIECES = 10;
const ROUNDS_A_PIECE = 20;

const spreadSchema = z.record(z.enum(MOMENTS), z.int());
const totals = {
  requests: z.int(),
  entries: z.int(),
  answers: z.int(),
  cutOff: z.int(),
  events: z.int(),
  posts: z.int(),
  repeated: z.int(),
};
const countsSchema = z.object({
  ...totals,
  rounds: z.array(z.object({ killedAfterMs: z.number(), restartMs: z.number(), spread: spreadSchema })),
});

const keysOf = z.object(totals).keyof().options;

export const killSuite: LongSuite = {
  name: "kill",
  about: `SIGKILL of workerd at a random moment under load and a new start, ${PIECES * ROUNDS_A_PIECE} times`,
  pieces: PIECES,
  async run({ seed, dataDir, say }) {
    const report = await runKillRounds({
      seed,
      rounds: ROUNDS_A_PIECE,
      dataDir,
      onRound: ({ round, killedAfterMs, restartMs }) =>
        say(`round ${round + 1} of ${ROUNDS_A_PIECE}: killed after ${killedAfterMs} ms, up again in ${restartMs} ms`),
    });
    for (const line of describeSpread(report.rounds)) say(line);
    return { faults: report.faults, counts: countsSchema.parse(report) };
  },
  summarize(counts) {
    const pieces = counts.map((piece) => countsSchema.parse(piece));
    const rounds = pieces.flatMap((piece) => piece.rounds);
    const restarts = rounds.map(({ restartMs }) => restartMs).sort((a, b) => a - b);
    return {
      rounds: rounds.length,
      ...Object.fromEntries(keysOf.map((key) => [key, pieces.reduce((sum, piece) => sum + piece[key], 0)])),
      spread: Object.fromEntries(
        MOMENTS.map((moment) => [
          moment,
          {
            submits: rounds.reduce((sum, { spread }) => sum + spread[moment], 0),
            rounds: rounds.filter(({ spread }) => spread[moment] > 0).length,
          },
        ]),
      ),
      restartMs: { median: restarts[Math.floor(restarts.length / 2)], max: restarts.at(-1) },
    };
  },
};
