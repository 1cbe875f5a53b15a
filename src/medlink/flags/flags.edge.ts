/** A flag for a user, read anew each time: what an operator changes holds from the next request on. */
import type { Hub } from "../hub.edge.ts";
import { dayOf, type Flag, type FlagName, isOnFor } from "./flag.ts";
import { readFlags, recordExposure, type StoredFlag } from "./flags.store.ts";

const SEEN_LIMIT = 10_000;
/** What this isolate has recorded already: one write for a user, a flag, a day and an outcome. */
const seen = new Set<string>();

export const flagAsSet = (hub: Hub, stored: ReadonlyMap<string, StoredFlag>, name: FlagName): Flag =>
  stored.get(name) ?? { enabled: hub.settings[name], percentage: 100 };

/** Whether the flag is on for this user, who is now counted among those who met it. */
export async function flagIsOn(hub: Hub, user: { readonly userId: string }, name: FlagName): Promise<boolean> {
  const shown = isOnFor(flagAsSet(hub, await readFlags(hub.db), name), name, user.userId);
  const day = dayOf(hub.now());
  const key = `${name} ${day} ${user.userId} ${shown}`;
  if (!seen.has(key)) {
    await recordExposure(hub.db, { name, day, userId: user.userId, shown });
    if (seen.size >= SEEN_LIMIT) seen.clear();
    seen.add(key);
  }
  return shown;
}

/** All flags for this user. Nobody is counted: it is not known which of them is looked at. */
export async function flagsFor(
  hub: Hub,
  user: { readonly userId: string },
): Promise<Readonly<Record<FlagName, boolean>>> {
  const stored = await readFlags(hub.db);
  const on = (name: FlagName): boolean => isOnFor(flagAsSet(hub, stored, name), name, user.userId);
  return {
    FEATURE_FLAG_NEW_UI: on("FEATURE_FLAG_NEW_UI"),
    FEATURE_FLAG_ADVANCED_ANALYTICS: on("FEATURE_FLAG_ADVANCED_ANALYTICS"),
    FEATURE_FLAG_BULK_OPERATIONS: on("FEATURE_FLAG_BULK_OPERATIONS"),
  };
}
