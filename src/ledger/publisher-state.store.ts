/** The publisher's memory: the Durable Object's own SQLite. */
import { fromHex, toHex } from "../platform/encoding.ts";
import { type NoteSignature, withSignature } from "./note.ts";
import type { Built, PublisherState, SetOutcome, SignedCheckpoint } from "./publish.ts";
import { NOTHING_BUILT } from "./publish.ts";

interface SignedRow extends Record<string, SqlStorageValue> {
  readonly size: number;
  readonly root_hash: string;
  readonly note: string;
  readonly signed_by: string;
  readonly signed_at: number;
  readonly released: number;
  readonly cosigned_note: string | null;
}

const HASH_HEX = 64;

/** Values of `released`. */
const NOT_RELEASED = 0;
const RELEASED = 1;
/** Released, and cosignatures have come since. */
const COSIGNED_SINCE = 2;

export class PublisherStateStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.sql.exec(`CREATE TABLE IF NOT EXISTS signed_checkpoint (
      singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
      size INTEGER NOT NULL,
      root_hash TEXT NOT NULL,
      note TEXT NOT NULL,
      signed_by TEXT NOT NULL,
      signed_at INTEGER NOT NULL,
      released INTEGER NOT NULL,
      cosigned_note TEXT
    )`);
    storage.sql.exec(`CREATE TABLE IF NOT EXISTS built_tree (
      singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
      size INTEGER NOT NULL,
      head_hash TEXT NOT NULL,
      edge TEXT NOT NULL -- JSON: for each level the hex hashes of its partial tile, joined
    )`);
    storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS witness_sizes (name TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL)`,
    );
  }

  load(): PublisherState {
    const row = this.#row();
    return {
      signed: row && signedFromRow(row),
      cosignedNote: row?.cosigned_note ?? undefined,
      released: row !== undefined && row.released !== NOT_RELEASED,
      cosignedSince: row?.released === COSIGNED_SINCE,
      built: this.#built(),
    };
  }

  #row(): SignedRow | undefined {
    return this.#storage.sql.exec<SignedRow>(`SELECT * FROM signed_checkpoint`).toArray()[0];
  }

  /** @throws on content this code did not write: what can not be read is never taken for nothing. */
  #built(): Built {
    const [row] = this.#storage.sql
      .exec<{ size: number; head_hash: string; edge: string }>(`SELECT size, head_hash, edge FROM built_tree`)
      .toArray();
    if (row === undefined) return NOTHING_BUILT;
    const levels: unknown = JSON.parse(row.edge);
    if (!Array.isArray(levels)) throw new Error("the stored edge is not a list");
    const split = (joined: unknown) => {
      if (typeof joined !== "string" || joined.length % HASH_HEX !== 0) throw new Error("the stored edge is damaged");
      return Array.from({ length: joined.length / HASH_HEX }, (_, i) =>
        fromHex(joined.slice(i * HASH_HEX, (i + 1) * HASH_HEX)),
      );
    };
    return { edge: { size: row.size, levels: levels.map(split) }, headHash: row.head_hash };
  }

  async saveBuilt(built: Built): Promise<void> {
    this.#setBuilt(built);
    await this.#storage.sync();
  }

  #setBuilt({ edge, headHash }: Built): void {
    this.#storage.sql.exec(
      `INSERT INTO built_tree (singleton, size, head_hash, edge) VALUES (1, ?1, ?2, ?3)
       ON CONFLICT (singleton) DO UPDATE SET size = ?1, head_hash = ?2, edge = ?3`,
      edge.size,
      headHash,
      JSON.stringify(edge.levels.map((hashes) => hashes.map(toHex).join(""))),
    );
  }

  /** A checkpoint of the same size must have the same root (it is signed anew); any other must be larger. */
  async compareAndSet(
    expected: SignedCheckpoint | undefined,
    next: SignedCheckpoint,
    built: Built | undefined,
  ): Promise<SetOutcome> {
    const outcome = this.#storage.transactionSync((): SetOutcome => {
      const row = this.#row();
      if (row?.size !== expected?.size || row?.root_hash !== expected?.rootHash || row?.note !== expected?.note) {
        return { type: "overtaken" };
      }
      if (row !== undefined && next.size <= row.size) {
        if (next.size < row.size || next.rootHash !== row.root_hash) return { type: "overtaken" };
      }
      this.#storage.sql.exec(
        `INSERT INTO signed_checkpoint (singleton, size, root_hash, note, signed_by, signed_at, released)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, 0)
         ON CONFLICT (singleton) DO UPDATE SET size = ?1, root_hash = ?2, note = ?3, signed_by = ?4, signed_at = ?5,
           released = 0, cosigned_note = NULL`,
        next.size,
        next.rootHash,
        next.note,
        next.signedBy,
        next.signedAt,
      );
      if (built !== undefined) this.#setBuilt(built);
      return { type: "set", replaced: row?.cosigned_note ?? row?.note };
    });
    await this.#storage.sync();
    return outcome;
  }

  /** A checkpoint that others hold when own storage has none: it has been released. */
  async recover(signed: SignedCheckpoint): Promise<void> {
    const { type } = await this.compareAndSet(undefined, signed, undefined);
    if (type === "overtaken") throw new Error("a checkpoint is stored already");
    await this.markReleased(signed, signed.note);
  }

  /**
   * Nothing happens when a newer checkpoint was signed since. A mark that a crash loses is a release done twice.
   * @param note what was released; cosignatures that came meanwhile are not in it.
   */
  async markReleased(signed: SignedCheckpoint, note: string): Promise<void> {
    this.#storage.sql.exec(
      `UPDATE signed_checkpoint SET released = CASE WHEN COALESCE(cosigned_note, note) = ?2 THEN ${RELEASED} ELSE ${COSIGNED_SINCE} END
       WHERE note = ?1`,
      signed.note,
      note,
    );
  }

  /** Adds to the last signed checkpoint. @returns false when that is another tree by now. */
  addCosignature({ size, rootHash }: SignedCheckpoint, signature: NoteSignature): boolean {
    return this.#storage.transactionSync(() => {
      const row = this.#row();
      if (row === undefined || row.size !== size || row.root_hash !== rootHash) return false;
      const note = withSignature(row.cosigned_note ?? row.note, signature);
      if (note === undefined) return true;
      this.#storage.sql.exec(
        `UPDATE signed_checkpoint SET cosigned_note = ?,
           released = CASE released WHEN ${NOT_RELEASED} THEN ${NOT_RELEASED} ELSE ${COSIGNED_SINCE} END`,
        note,
      );
      return true;
    });
  }

  /** The size that a witness cosigned last, as far as we know; a guess that its answer corrects. */
  witnessSize(name: string): number {
    const [row] = this.#storage.sql
      .exec<{ size: number }>(`SELECT size FROM witness_sizes WHERE name = ?`, name)
      .toArray();
    return row?.size ?? 0;
  }

  saveWitnessSize(name: string, size: number): void {
    this.#storage.sql.exec(
      `INSERT INTO witness_sizes (name, size) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET size = MAX(size, ?2)`,
      name,
      size,
    );
  }
}

const signedFromRow = (row: SignedRow): SignedCheckpoint => ({
  size: row.size,
  rootHash: row.root_hash,
  note: row.note,
  signedBy: row.signed_by,
  signedAt: row.signed_at,
});
