/** The signer's memory: the Durable Object's own SQLite. One row of state for each contract, and changes not yet recorded. */
import {
  type AnchorChange,
  type AnchorState,
  EMPTY_STATE,
  parseChange,
  parseState,
  serializeChange,
  serializeState,
} from "./state.ts";

/** More unrecorded changes than this means the database has been away for days: the oldest that are not confirmations go. */
const MAX_UNRECORDED = 1_000;
/** In one D1 batch. */
export const RECORD_LIMIT = 50;

export interface UnrecordedChange {
  readonly id: number;
  readonly change: AnchorChange;
}

export class AnchorStateStore {
  readonly #storage: DurableObjectStorage;
  /** `<chain id>:<contract>`: another contract starts with an empty memory. */
  readonly #target: string;

  constructor(storage: DurableObjectStorage, target: string) {
    this.#storage = storage;
    this.#target = target;
    storage.sql.exec(`CREATE TABLE IF NOT EXISTS anchor_state (target TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL)`);
    storage.sql.exec(`CREATE TABLE IF NOT EXISTS unrecorded_changes (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      target TEXT NOT NULL,
      type TEXT NOT NULL,
      change TEXT NOT NULL
    )`);
  }

  /** @throws on content this code did not write. */
  load(): AnchorState {
    const [row] = this.#storage.sql
      .exec<{ state: string }>(`SELECT state FROM anchor_state WHERE target = ?`, this.#target)
      .toArray();
    return row === undefined ? EMPTY_STATE : parseState(row.state);
  }

  /** Durable when it resolves: nothing may be broadcast that a crash could make us forget. */
  async save(state: AnchorState, changes: readonly AnchorChange[]): Promise<void> {
    this.#storage.transactionSync(() => {
      const { sql } = this.#storage;
      sql.exec(
        `INSERT INTO anchor_state (target, state) VALUES (?, ?) ON CONFLICT (target) DO UPDATE SET state = excluded.state`,
        this.#target,
        serializeState(state),
      );
      for (const change of changes) {
        sql.exec(
          `INSERT INTO unrecorded_changes (target, type, change) VALUES (?, ?, ?)`,
          this.#target,
          change.type,
          serializeChange(change),
        );
      }
      if (changes.length === 0) return;
      sql.exec(
        `DELETE FROM unrecorded_changes WHERE type <> 'confirmed' AND id <=
          (SELECT id FROM unrecorded_changes ORDER BY id DESC LIMIT 1 OFFSET ?)`,
        MAX_UNRECORDED,
      );
    });
    await this.#storage.sync();
  }

  /** Oldest first, at most RECORD_LIMIT. */
  unrecorded(): readonly UnrecordedChange[] {
    return this.#storage.sql
      .exec<{ id: number; change: string }>(
        `SELECT id, change FROM unrecorded_changes WHERE target = ? ORDER BY id LIMIT ?`,
        this.#target,
        RECORD_LIMIT,
      )
      .toArray()
      .map((row) => ({ id: row.id, change: parseChange(row.change) }));
  }

  unrecordedCount(): number {
    return this.#storage.sql
      .exec<{ n: number }>(`SELECT COUNT(*) AS n FROM unrecorded_changes WHERE target = ?`, this.#target)
      .one().n;
  }

  recorded(throughId: number): void {
    this.#storage.sql.exec(`DELETE FROM unrecorded_changes WHERE target = ? AND id <= ?`, this.#target, throughId);
  }
}
