/**
 * The log's files for a restored ledger whose bucket is new: tiles and bundles up to the newest recorded checkpoint, made from the
 * entries by the code that publishes, and that checkpoint as it was signed. Nothing is signed here.
 */

import { tilePath } from "../../../src/ledger/layout.ts";
import { newestCheckpoint, readCommittedEntries } from "../../../src/ledger/publish.store.ts";
import { type Built, NOTHING_BUILT, publishRound } from "../../../src/ledger/publish.ts";
import { Failure } from "../fail.ts";

export interface LogFiles {
  put(key: string, value: string | Uint8Array): Promise<unknown>;
  get(key: string): Promise<Uint8Array | undefined>;
}

const ROUND_ENTRIES = 8_192;

/** @returns the size of the checkpoint; undefined when none is recorded. */
export async function publishRestored(
  db: D1Database,
  ledgerId: string,
  files: LogFiles,
  progress: (done: number, total: number) => void,
): Promise<number | undefined> {
  const newest = await newestCheckpoint(db, ledgerId);
  if (newest === undefined || newest.size === 0) return undefined;
  const { size, note, rootHash } = newest;
  const last = await db
    .prepare("SELECT entry_hash AS hash FROM ledger_entries WHERE ledger_id = ? AND seq = ?")
    .bind(ledgerId, size - 1)
    .first<string>("hash");
  if (last === null) throw new Failure(`entry ${size - 1} of the newest checkpoint is not there`);
  const keyOf = (path: string): string => `log/${ledgerId}/${path}`;
  let built: Built = NOTHING_BUILT;
  for (;;) {
    const result = await publishRound(
      {
        loadState: async () => ({ signed: undefined, cosignedNote: undefined, released: false, built }),
        saveBuilt: async (next) => {
          built = next;
        },
        compareAndSet: async () => ({ type: "set", replaced: undefined }),
        markReleased: async () => {},
        readHead: async () => ({ size, rootHash, headHash: last }),
        readEntries: (from, to) => readCommittedEntries(db, ledgerId, from, to),
        writeOnce: async (path, bytes) => {
          await files.put(keyOf(path), bytes);
          return "written";
        },
        overwrite: async (path, bytes) => void (await files.put(keyOf(path), bytes)),
        read: (path) => files.get(keyOf(path)),
        readTile: async (tile) => {
          const bytes = await files.get(keyOf(tilePath(tile)));
          if (bytes === undefined) throw new Failure(`${tilePath(tile)} is not there`);
          return bytes;
        },
        signedBy: "",
        sign: async () => note,
        record: async () => {},
        release: async () => void (await files.put(keyOf("checkpoint"), note)),
        now: () => 0,
      },
      { maxEntries: ROUND_ENTRIES, writesAtOnce: 4 },
    );
    switch (result.type) {
      case "catching-up":
        progress(result.built, size);
        break;
      case "refused":
        throw new Failure(`the log's files can not be made: ${result.reason}`);
      case "published":
      case "current":
        return size;
    }
  }
}
