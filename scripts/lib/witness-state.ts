/**
 * What a witness has cosigned last of each log, in one file that several processes may share.
 *
 * Invariant: for each origin the stored checkpoint only grows. Reading, comparing and writing are one step under a lock that the
 * operating system takes from a process that dies, and what was written is on disk before the step ends.
 */
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import type { WitnessedCheckpoint } from "../../src/ledger/witness.ts";
import { readIfThere, writeAtomically } from "./atomic-file.ts";
import { Failure } from "./fail.ts";

/** A step takes the time of one write to disk; whoever waits longer waits for something that hangs. */
const LOCK_TIMEOUT_MS = 5_000;

const stateSchema = z.object({
  version: z.literal(1),
  logs: z.record(z.string(), z.object({ size: z.number().int().nonnegative(), rootHash: z.string().length(64) })),
});

/**
 * Does something that no other process does at the same time with the same file.
 * @param path the file; the lock is an empty database beside it, since Node has no other lock between processes.
 * @throws Error when the lock can not be had.
 */
export function heldAlone<Result>(path: string, work: () => Result): Result {
  const lock = new DatabaseSync(`${path}.lock`);
  try {
    lock.exec(`PRAGMA busy_timeout = ${LOCK_TIMEOUT_MS}`);
    lock.exec("BEGIN IMMEDIATE");
    return work();
  } finally {
    lock.close();
  }
}

const isSame = (a: WitnessedCheckpoint | undefined, b: WitnessedCheckpoint | undefined): boolean =>
  a?.size === b?.size && a?.rootHash === b?.rootHash;

export class WitnessState {
  readonly #path: string;
  /** As this process saw it last: the file never goes back behind it. */
  #last: ReadonlyMap<string, WitnessedCheckpoint> = new Map();

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * As it is on disk now, whoever wrote it.
   * @throws Failure on a file that is not a witness's, or went back: neither is ever taken for nothing seen.
   */
  read(): ReadonlyMap<string, WitnessedCheckpoint> {
    const text = readIfThere(this.#path);
    const logs = text === undefined ? new Map<string, WitnessedCheckpoint>() : this.#parsed(text);
    for (const [origin, last] of this.#last) {
      const now = logs.get(origin);
      if (now === undefined || now.size < last.size || (now.size === last.size && !isSame(now, last))) {
        throw new Failure(`${this.#path} went back: a checkpoint of ${last.size} entries of ${origin} was cosigned`);
      }
    }
    this.#last = logs;
    return logs;
  }

  /**
   * Compares and sets; durable when it returns.
   * @param known what `next` was found to extend.
   * @returns whether it was stored; otherwise what is stored for the origin instead of `known`.
   */
  replace(
    origin: string,
    known: WitnessedCheckpoint | undefined,
    next: WitnessedCheckpoint,
  ): { readonly stored: true } | { readonly stored: false; readonly instead: WitnessedCheckpoint | undefined } {
    return heldAlone(this.#path, () => {
      const logs = this.read();
      const now = logs.get(origin);
      if (!isSame(now, known)) return { stored: false, instead: now };
      const changed = new Map(logs).set(origin, next);
      const text = JSON.stringify({ version: 1, logs: Object.fromEntries(changed) }, null, 2);
      writeAtomically(this.#path, `${text}\n`);
      this.#last = changed;
      return { stored: true };
    });
  }

  #parsed(text: string): Map<string, WitnessedCheckpoint> {
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      parsed = undefined;
    }
    const state = stateSchema.safeParse(parsed);
    if (!state.success) throw new Failure(`${this.#path} is not the state of a witness`);
    return new Map(Object.entries(state.data.logs));
  }
}
