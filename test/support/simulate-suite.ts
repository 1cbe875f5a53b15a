/** 2,000 drawn seeds of the simulation, and each rule broken on purpose. */
import * as z from "zod";
import type { LongSuite } from "../../scripts/lib/long-suite.ts";
import { catchMutation, MUTATION_SEEDS, mutations } from "../simulation/mutations.ts";
import { runSeeds } from "../simulation/run-seeds.ts";

const PIECES = 10;
const SEEDS_A_PIECE = 200;
const SAY_EVERY = 50;

const counts = {
  seeds: z.int(),
  entries: z.int(),
  posts: z.int(),
  deadLetters: z.int(),
  virtualHours: z.number(),
  rulesBroken: z.int(),
};
const countsSchema = z.object(counts);
const keysOf = countsSchema.keyof().options;

/** Piece p breaks every tenth rule from the p-th on. */
const mutationsOf = (piece: number) => mutations.filter((_, index) => index % PIECES === piece % PIECES);

export const simulateSuite: LongSuite = {
  name: "simulate",
  about: `${PIECES * SEEDS_A_PIECE} seeds of the simulation, and ${mutations.length} rules broken to see that it notices`,
  pieces: PIECES,
  async run({ seed, say }) {
    let done = 0;
    // Pieces get seeds that follow one another: each begins where no other has been.
    const tally = await runSeeds({
      firstSeed: seed * SEEDS_A_PIECE,
      runs: SEEDS_A_PIECE,
      onResult: () => {
        done += 1;
        if (done % SAY_EVERY === 0) say(`${done} of ${SEEDS_A_PIECE} seeds`);
      },
    });
    const faults = tally.failures.map(
      ({ seed: failed, violation }) => `seed ${failed}: ${violation?.rule}: ${violation?.detail}`,
    );
    const broken = mutationsOf(seed);
    for (const mutation of broken) {
      const caught = await catchMutation(mutation, MUTATION_SEEDS);
      if (caught.seed === undefined) faults.push(`not noticed: ${mutation.name}`);
      else say(`seed ${caught.seed} notices: ${mutation.name}`);
    }
    const { runs, entries, posts, deadLetters, virtualMs } = tally;
    const virtualHours = virtualMs / 3_600_000;
    return { faults, counts: { seeds: runs, entries, posts, deadLetters, virtualHours, rulesBroken: broken.length } };
  },
  summarize(pieces) {
    const parsed = pieces.map((piece) => countsSchema.parse(piece));
    const sum = (key: keyof typeof counts): number => parsed.reduce((total, piece) => total + piece[key], 0);
    return Object.fromEntries(keysOf.map((key) => [key, Math.round(sum(key))]));
  },
};
