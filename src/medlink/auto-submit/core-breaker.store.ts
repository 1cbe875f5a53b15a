import { CLOSED, type CoreBreaker, coreBreakerSchema } from "./core-breaker.ts";

const NAME = "core";

export interface StoredBreaker {
  readonly breaker: CoreBreaker;
  /** 0: no row yet. */
  readonly version: number;
}

/** A row that cannot be read counts as closed: the attempts will show what core is. */
export const breakerOf = (state: string | null): CoreBreaker => {
  if (state === null) return CLOSED;
  const parsed = coreBreakerSchema.safeParse(JSON.parse(state));
  return parsed.success ? parsed.data : CLOSED;
};

export interface BreakerRow {
  readonly state: string;
  readonly version: number;
}

/** For a batch; `readBreakerRow` reads its row. @param name whose; without it, core's. */
export const breakerSelect = (db: D1Database, name: string = NAME): D1PreparedStatement =>
  db.prepare("SELECT state, version FROM breakers WHERE name = ?").bind(name);

export const readBreakerRow = (row: BreakerRow | null | undefined): StoredBreaker => ({
  breaker: breakerOf(row?.state ?? null),
  version: row?.version ?? 0,
});

/** @param name whose; without it, core's. */
export const readBreaker = async (db: D1Database, name: string = NAME): Promise<StoredBreaker> =>
  readBreakerRow(await breakerSelect(db, name).first<BreakerRow>());

/** @returns false when another writer was faster. */
export async function saveBreaker(
  db: D1Database,
  read: StoredBreaker,
  next: CoreBreaker,
  now: number,
  name: string = NAME,
): Promise<boolean> {
  const result = await db
    .prepare(
      `INSERT INTO breakers (name, state, version, updated_at) VALUES (?1, ?2, ?3 + 1, ?4)
       ON CONFLICT (name) DO UPDATE SET state = ?2, version = ?3 + 1, updated_at = ?4 WHERE version = ?3`,
    )
    .bind(name, JSON.stringify(next), read.version, now)
    .run();
  return result.meta.changes === 1;
}
