/** A flag for a user, read anew each time: what an operator changes holds from the next request on. */
import type { Hub } from "../hub.edge.ts";
import { readFlag } from "./flags.store.ts";

/** Off unless it is set. */
export const flagIsOn = (hub: Hub, _user: { readonly userId: string }, name: string): Promise<boolean> =>
  readFlag(hub.db, name);
