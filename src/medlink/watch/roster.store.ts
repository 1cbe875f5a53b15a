/** The hub's own copy of who is called: it tells people when core can not. */
import { type KeptRoster, rosterFrom, type StoredRoster } from "../../operations/alerts/roster.ts";
import { readTask, taskUpdate } from "../tasks/tasks.store.ts";

const TASK = "alert-contacts";

export async function readRoster(db: D1Database): Promise<KeptRoster> {
  const stored = await readTask(db, TASK);
  if (stored === undefined) return undefined;
  const { roster, putAt }: { readonly roster: unknown; readonly putAt: number } = JSON.parse(stored.state);
  return rosterFrom(roster, putAt);
}

/** Over whatever is there: changes nothing when another was put meanwhile. */
export async function rosterUpdate(db: D1Database, stored: StoredRoster): Promise<D1PreparedStatement> {
  return taskUpdate(db, TASK, await readTask(db, TASK), JSON.stringify(stored), stored.putAt);
}
