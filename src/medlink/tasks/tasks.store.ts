/** Long tasks: where each is, so that the next call, whoever makes it, goes on from there. */
export interface StoredTask {
  /** JSON of the task's own module. */
  readonly state: string;
  readonly version: number;
}

export async function readTask(db: D1Database, name: string): Promise<StoredTask | undefined> {
  const row = await db.prepare("SELECT state, version FROM tasks WHERE name = ?").bind(name).first<StoredTask>();
  return row ?? undefined;
}

/**
 * Writes a task's new state over the one that was read. `meta.changes` is 0 when another driver of the task was faster; its
 * state stands then.
 * @param before undefined: there was none.
 */
export const taskUpdate = (
  db: D1Database,
  name: string,
  before: StoredTask | undefined,
  state: string,
  now: number,
): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO tasks (name, state, version, updated_at) SELECT ?1, ?2, 0, ?4
       WHERE ?3 IS NOT NULL OR NOT EXISTS (SELECT 1 FROM tasks WHERE name = ?1)
       ON CONFLICT (name) DO UPDATE SET state = ?2, version = version + 1, updated_at = ?4 WHERE version = ?3`,
    )
    .bind(name, state, before?.version ?? null, now);
