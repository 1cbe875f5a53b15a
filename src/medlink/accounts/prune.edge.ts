/** Removes what has run out. Idempotent, and bounded a run. */
import { dayOf } from "../flags/flag.ts";
import { exposuresPrune } from "../flags/flags.store.ts";
import { EXPOSURE_DAYS } from "../flags/read-exposures.route.ts";
import type { Hub } from "../hub.edge.ts";
import { pruneSessions } from "./accounts.store.ts";
import { apiTokensPrune } from "./api-tokens.store.ts";
import { linksPrune } from "./links.store.ts";
import { LOCKOUT_WINDOW_MS } from "./lockout.ts";
import { pendingPrune } from "./second-factor.store.ts";
import { PENDING_MS, SESSION_IDLE_MS, SESSION_LIFETIME_MS } from "./session.ts";
import { attemptsPrune } from "./sign-in-attempts.store.ts";

const LIMIT = 1_000;
const DAY_MS = 86_400_000;

export async function pruneAccounts(hub: Hub): Promise<void> {
  const now = hub.now();
  await pruneSessions(hub.db, now - SESSION_IDLE_MS, now - SESSION_LIFETIME_MS, LIMIT);
  await hub.db.batch([
    attemptsPrune(hub.db, now - LOCKOUT_WINDOW_MS, LIMIT),
    pendingPrune(hub.db, now - PENDING_MS, LIMIT),
    ...linksPrune(hub.db, now, LIMIT),
    apiTokensPrune(hub.db, now, LIMIT),
    exposuresPrune(hub.db, dayOf(now - EXPOSURE_DAYS * DAY_MS), LIMIT),
  ]);
}
