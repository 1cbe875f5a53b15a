/** 50 kills of migrations and 50 of re-wrapping and re-encryption, in ten pieces. */
import * as z from "zod";
import type { LongSuite } from "../../../scripts/lib/long-suite.ts";
import { killMigrations, killRenewals } from "./work-kill.ts";

const PIECES = 10;
const ROUNDS_A_PIECE = 5;

const metSchema = z.record(z.string(), z.int());
const countsSchema = z.object({ migrations: metSchema, renewals: metSchema });

export const workKillSuite: LongSuite = {
  name: "work-kill",
  about: `SIGKILL while migrations are applied, keys are wrapped and fields sealed anew, ${PIECES * ROUNDS_A_PIECE} times each`,
  pieces: PIECES,
  async run({ seed, dataDir, say }) {
    const options = { seed, rounds: ROUNDS_A_PIECE, say };
    const migrations = await killMigrations({ ...options, dataDir: `${dataDir}/migrations` });
    const renewals = await killRenewals({ ...options, dataDir: `${dataDir}/keys` });
    return {
      faults: [...migrations.faults, ...renewals.faults],
      counts: { migrations: migrations.met, renewals: renewals.met },
    };
  },
  summarize(counts) {
    const pieces = counts.map((piece) => countsSchema.parse(piece));
    const sum = (of: "migrations" | "renewals"): Readonly<Record<string, number>> => {
      const total: Record<string, number> = {};
      for (const piece of pieces) for (const [key, n] of Object.entries(piece[of])) total[key] = (total[key] ?? 0) + n;
      return total;
    };
    return { migrationsKilled: sum("migrations"), renewalsKilled: sum("renewals") };
  },
};
