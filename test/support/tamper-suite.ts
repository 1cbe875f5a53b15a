/** 1,000 seeded changes, singly and in pairs, and 1,000 checks of what nobody changed while it grows. */
import * as z from "zod";
import type { LongSuite } from "../../scripts/lib/long-suite.ts";
import { checkWhileGrowing } from "./growing-world.ts";
import { TamperedCopies } from "./tampered-copies.ts";

const PIECES = 10;
const SINGLES_A_PIECE = 100;
const PAIRS_A_PIECE = 50;
const UNTOUCHED_A_PIECE = 100;
const SUBJECTS = 125;

const countsSchema = z.object({ singles: z.int(), pairs: z.int(), untouched: z.int() });

export const tamperSuite: LongSuite = {
  name: "tamper",
  about: `${PIECES * (SINGLES_A_PIECE + 2 * PAIRS_A_PIECE)} seeded changes of what is stored, and ${PIECES * UNTOUCHED_A_PIECE} rounds over what is not`,
  pieces: PIECES,
  async run({ seed, say }) {
    const faults: string[] = [];
    const copies = await TamperedCopies.make(SUBJECTS);
    for (let n = 0; n < SINGLES_A_PIECE; n++) faults.push(...(await copies.tamper(seed * 37 + n, seed * 1_000 + n, 1)));
    say(`${SINGLES_A_PIECE} single changes, ${faults.length} not named`);
    for (let n = 0; n < PAIRS_A_PIECE; n++) faults.push(...(await copies.tamper(seed * 41 + n, seed * 2_000 + n, 2)));
    say(`${PAIRS_A_PIECE} pairs, ${faults.length} changes not named so far`);
    faults.push(...(await checkWhileGrowing(UNTOUCHED_A_PIECE)));
    say(`${UNTOUCHED_A_PIECE} rounds under appends, ${faults.length} faults so far`);
    return { faults, counts: { singles: SINGLES_A_PIECE, pairs: PAIRS_A_PIECE, untouched: UNTOUCHED_A_PIECE } };
  },
  summarize(counts) {
    const pieces = counts.map((piece) => countsSchema.parse(piece));
    const sum = (name: "singles" | "pairs" | "untouched") => pieces.reduce((total, piece) => total + piece[name], 0);
    return { singleChanges: sum("singles"), pairsOfChanges: sum("pairs"), untouchedRounds: sum("untouched") };
  },
};
