/** `npm run test:long -- alerts`: every alert caused and mended in the running system, one world after another. */
import type { LongSuite } from "../../../scripts/lib/long-suite.ts";
import { alertRules } from "../../../src/operations/alerts/alert-rules.ts";
import {
  ACTS_OF_DAYS,
  ACTS_OF_MINUTES,
  ACTS_OF_QUARTERS,
  type Act,
  faultsOf,
  NO_BACKUP_KEY,
  perform,
  type Transcript,
  USUAL_TRAFFIC,
} from "./alert-proofs.ts";
import { startWorld, type WorldOptions } from "./alert-world.ts";

export interface Play {
  readonly name: string;
  readonly world: WorldOptions;
  /** Claims a second that come by themselves. */
  readonly traffic: number;
  readonly acts: readonly Act[];
}

const small = { withChain: false, withOperator: false } as const;

export const PLAYS: readonly Play[] = [
  { name: "minutes", world: { scale: 120 }, traffic: USUAL_TRAFFIC, acts: ACTS_OF_MINUTES },
  {
    name: "days",
    world: { ...small, scale: 4_000, secrets: NO_BACKUP_KEY, hubCron: false },
    traffic: 0,
    acts: ACTS_OF_DAYS,
  },
  {
    name: "quarters",
    // The hub watches core on its own clock, which at this pace has no time for a restart.
    world: { ...small, scale: 400_000, hubSettings: { ALERT_SILENT_AFTER_MS: "0" } },
    traffic: 0,
    acts: ACTS_OF_QUARTERS,
  },
];

export const ALERT_NAMES: readonly string[] = alertRules({
  anchorEveryMs: 1,
  anchorPendingMs: 1,
  databaseBytes: 1,
  bucketDailyBytes: 1,
}).map(({ name }) => name);

export async function play(
  { world: options, traffic, acts }: Play,
  say: (line: string) => void,
): Promise<{ readonly transcripts: readonly Transcript[]; readonly faults: readonly string[] }> {
  const world = await startWorld(options);
  try {
    const transcripts: Transcript[] = [];
    for (const act of acts) {
      world.traffic(traffic);
      transcripts.push(...(await perform(world, act, say)));
    }
    return { transcripts, faults: [...world.receivers.faults] };
  } finally {
    await world.dispose();
  }
}

export const alertSuite: LongSuite = {
  name: "alerts",
  about: "every alert caused and mended in the running system, told once at PagerDuty, Slack and e-mail",
  pieces: PLAYS.length,
  async run({ piece, say }) {
    const chosen = PLAYS[piece];
    if (chosen === undefined) throw new Error("there is nothing to play");
    const { transcripts, faults } = await play(chosen, say);
    return {
      faults: [...faults, ...transcripts.flatMap(faultsOf)],
      counts: { play: chosen.name, alerts: transcripts.map(({ alert }) => alert) },
    };
  },
  summarize: (counts) => ({ plays: counts }),
};
