/** Retention: what was delivered or given up long ago goes, a bounded number of rows each time. */
import type { CoreEnv } from "../core/env.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { dropExpiredSecrets } from "./destination-secrets.store.ts";
import { pruneDeadLetters, pruneSettled } from "./retention.store.ts";

const DAY_MS = 86_400_000;
const ROWS_A_ROUND = 500;
const MAX_ROUNDS = 10;
const MAX_DEAD_LETTERS = 200;

export interface Pruned {
  readonly deleted: number;
  /** Dead letters discarded, and the rest of their lanes. */
  readonly discarded: number;
  readonly rest: number;
  readonly secrets: number;
}

/** @param now epoch ms. */
export async function pruneRelay(
  env: Pick<CoreEnv, "DB">,
  settings: Pick<CoreSettings, "RELAY_DELIVERED_RETENTION_DAYS" | "RELAY_DEAD_LETTER_RETENTION_DAYS">,
  now: number,
): Promise<Pruned> {
  const deadBefore = now - settings.RELAY_DEAD_LETTER_RETENTION_DAYS * DAY_MS;
  const { discarded, rest } = await pruneDeadLetters(env.DB, deadBefore, MAX_DEAD_LETTERS, now);
  const settledBefore = now - settings.RELAY_DELIVERED_RETENTION_DAYS * DAY_MS;
  let deleted = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const gone = await pruneSettled(env.DB, settledBefore, ROWS_A_ROUND);
    deleted += gone;
    if (gone === 0) break;
  }
  return { deleted, discarded, rest, secrets: await dropExpiredSecrets(env.DB, now) };
}
