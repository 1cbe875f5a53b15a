import { drizzle } from "drizzle-orm/d1";
import { flags } from "../schema.ts";
import type { Flag, FlagName } from "./flag.ts";

export interface StoredFlag extends Flag {
  readonly updatedBy: string;
  readonly updatedAt: number;
}

/** Those that an operator has set, by name. */
export async function readFlags(db: D1Database): Promise<ReadonlyMap<string, StoredFlag>> {
  const rows = await drizzle(db).select().from(flags).all();
  return new Map(rows.map(({ name, ...flag }) => [name, flag]));
}

export const flagUpsert = (db: D1Database, name: FlagName, flag: StoredFlag): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO flags (name, enabled, percentage, updated_by, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
       ON CONFLICT (name) DO UPDATE SET enabled = ?2, percentage = ?3, updated_by = ?4, updated_at = ?5`,
    )
    .bind(name, flag.enabled ? 1 : 0, flag.percentage, flag.updatedBy, flag.updatedAt);

export async function recordExposure(
  db: D1Database,
  exposure: { readonly name: FlagName; readonly day: string; readonly userId: string; readonly shown: boolean },
): Promise<void> {
  await db
    .prepare("INSERT INTO flag_exposures (name, day, user_id, shown) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
    .bind(exposure.name, exposure.day, exposure.userId, exposure.shown ? 1 : 0)
    .run();
}

export interface ExposureDay {
  /** UTC, YYYY-MM-DD. */
  readonly day: string;
  /** Different users who met the flag on, and off. Someone may have met both. */
  readonly on: number;
  readonly off: number;
}

/** Newest day first. */
export async function countExposures(db: D1Database, name: FlagName, days: number): Promise<readonly ExposureDay[]> {
  const rows = await db
    .prepare(
      `SELECT day, SUM(shown) AS "on", SUM(1 - shown) AS off FROM flag_exposures
       WHERE name = ? GROUP BY day ORDER BY day DESC LIMIT ?`,
    )
    .bind(name, days)
    .all<ExposureDay>();
  return rows.results;
}

export const exposuresPrune = (db: D1Database, beforeDay: string, limit: number): D1PreparedStatement =>
  db
    .prepare(
      `DELETE FROM flag_exposures WHERE (name, day, user_id, shown) IN
       (SELECT name, day, user_id, shown FROM flag_exposures WHERE day < ? LIMIT ?)`,
    )
    .bind(beforeDay, limit);
