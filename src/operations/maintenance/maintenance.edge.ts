/** What an isolate knows of maintenance: read again every few seconds, by calls that would change something. */
import { systemNow } from "../../platform/clock.edge.ts";
import type { Problem } from "../../platform/problem.ts";
import { readMaintenance } from "./maintenance.store.ts";
import { type Maintenance, maintenanceProblem, NO_MAINTENANCE } from "./maintenance.ts";

/** How long a switch takes to reach every isolate. */
export const KNOWN_FOR_MS = 3_000;

const known = new WeakMap<D1Database, { readonly until: number; readonly maintenance: Maintenance }>();

/** The switch was just set by this isolate. */
export const forgetMaintenance = (db: D1Database): boolean => known.delete(db);

async function maintenanceNow(db: D1Database, now: number): Promise<Maintenance> {
  const held = known.get(db);
  if (held !== undefined && held.until > now) return held.maintenance;
  // A database that can not be read refuses the call by itself.
  const maintenance = await readMaintenance(db).catch(() => held?.maintenance ?? NO_MAINTENANCE);
  known.set(db, { until: now + KNOWN_FOR_MS, maintenance });
  return maintenance;
}

/** @returns what this call is refused with; undefined when it may go on. */
export async function refusedByMaintenance(db: D1Database, method: string): Promise<Problem | undefined> {
  if (method === "GET" || method === "HEAD") return undefined;
  const now = systemNow();
  return maintenanceProblem(await maintenanceNow(db, now), method, now);
}
