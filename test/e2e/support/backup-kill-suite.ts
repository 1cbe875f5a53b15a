/** 50 kills of a snapshot under way and 50 of a restore, in ten pieces. */
import * as z from "zod";
import type { LongSuite } from "../../../scripts/lib/long-suite.ts";
import { runBackupKills } from "./backup-kill.ts";

const PIECES = 10;
const ROUNDS_A_PIECE = 5;

const countsSchema = z.object({
  snapshots: z.record(z.string(), z.int()),
  restores: z.record(z.string(), z.int()),
});

export const backupKillSuite: LongSuite = {
  name: "backup-kill",
  about: `SIGKILL while a snapshot is made and while one is restored, ${PIECES * ROUNDS_A_PIECE} times each`,
  pieces: PIECES,
  async run({ seed, dataDir, say }) {
    const { faults, ...counts } = await runBackupKills({ seed, rounds: ROUNDS_A_PIECE, dataDir, say });
    return { faults, counts };
  },
  summarize(counts) {
    const pieces = counts.map((piece) => countsSchema.parse(piece));
    const sum = (of: "snapshots" | "restores"): Readonly<Record<string, number>> => {
      const total: Record<string, number> = {};
      for (const piece of pieces) for (const [key, n] of Object.entries(piece[of])) total[key] = (total[key] ?? 0) + n;
      return total;
    };
    return { snapshotsKilledIn: sum("snapshots"), restores: sum("restores") };
  },
};
