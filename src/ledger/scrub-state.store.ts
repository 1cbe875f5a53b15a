/** The scrub's memory: the Durable Object's own SQLite, which whoever changes the database does not reach. */
import { NEVER_SCRUBBED, type ScrubState } from "./scrub-state.ts";

export class ScrubStateStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.sql.exec(`CREATE TABLE IF NOT EXISTS scrub (
      singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
      state TEXT NOT NULL -- JSON
    )`);
  }

  /** @throws on content this code did not write: what can not be read is never taken for "nothing was found". */
  load(): ScrubState {
    const [row] = this.#storage.sql.exec<{ state: string }>(`SELECT state FROM scrub`).toArray();
    if (row === undefined) return NEVER_SCRUBBED;
    // Written by `save` alone; fields that a newer version added take their first value.
    const stored: ScrubState = JSON.parse(row.state);
    if (typeof stored.round !== "number") throw new Error("the stored scrub is damaged");
    // An earlier version counted what it left out without the types; the next round counts anew.
    const omitted = typeof stored.omitted === "object" ? stored.omitted : {};
    return { ...NEVER_SCRUBBED, ...stored, omitted };
  }

  save(state: ScrubState): void {
    this.#storage.sql.exec(
      `INSERT INTO scrub (singleton, state) VALUES (1, ?1) ON CONFLICT (singleton) DO UPDATE SET state = ?1`,
      JSON.stringify(state),
    );
  }
}
