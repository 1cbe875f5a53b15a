/** 10,000 settlements on virtual time, each exactly once. */
import * as z from "zod";
import type { LongSuite } from "../../scripts/lib/long-suite.ts";
import { settleMany } from "./settle-many.ts";

const PIECES = 5;
const SETTLEMENTS_A_PIECE = 2_000;

const countsSchema = z.object({
  settlements: z.int(),
  reconciled: z.int(),
  calls: z.int(),
  sends: z.int(),
  lostAnswers: z.int(),
  crashes: z.int(),
  mostAMinute: z.int(),
  leastAMinute: z.int(),
  virtualMinutes: z.int(),
});

export const settleSuite: LongSuite = {
  name: "settlements",
  about: `${PIECES * SETTLEMENTS_A_PIECE} settlements through an operator that loses answers while isolates end, each exactly once`,
  pieces: PIECES,
  async run({ seed, say }) {
    const { faults, ...counts } = await settleMany(SETTLEMENTS_A_PIECE, seed);
    say(`${SETTLEMENTS_A_PIECE} settlements in ${counts.virtualMinutes} virtual minutes, ${faults.length} faults`);
    return { faults, counts: { settlements: SETTLEMENTS_A_PIECE, ...counts } };
  },
  summarize(counts) {
    const pieces = counts.map((piece) => countsSchema.parse(piece));
    const sum = (
      name: "settlements" | "reconciled" | "calls" | "sends" | "lostAnswers" | "crashes" | "virtualMinutes",
    ) => pieces.reduce((total, piece) => total + piece[name], 0);
    return {
      settlements: sum("settlements"),
      reconciled: sum("reconciled"),
      calls: sum("calls"),
      sends: sum("sends"),
      lostAnswers: sum("lostAnswers"),
      isolatesEnded: sum("crashes"),
      mostCallsAMinute: Math.max(...pieces.map(({ mostAMinute }) => mostAMinute)),
      leastCallsAMinute: Math.min(...pieces.map(({ leastAMinute }) => leastAMinute)),
      virtualMinutes: sum("virtualMinutes"),
    };
  },
};
