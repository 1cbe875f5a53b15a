/** Copies of one grown ledger, each changed and checked on its own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { ScrubState } from "../../src/ledger/scrub-state.ts";
import { seededRandom } from "../e2e/support/random.ts";
import { d1On } from "./d1-sqlite.ts";
import { checkEverything, grownWorld, type LedgerWorld } from "./ledger-world.ts";
import { MemoryBucket } from "./memory-bucket.ts";
import type { MemoryChain } from "./memory-chain.ts";
import { type Attacked, type Done, dropTriggers, mutate, unnamed } from "./tamper.ts";

const attackedOf = (sqlite: DatabaseSync, bucket: MemoryBucket, chain: MemoryChain): Attacked => ({
  chain,
  db: {
    all: async (sql, ...values) => sqlite.prepare(sql).all(...values) as Record<string, string | number | null>[],
    run: async (sql, ...values) => Number(sqlite.prepare(sql).run(...values).changes),
  },
  bucket: {
    keys: async () => [...bucket.objects.keys()],
    get: async (key) => bucket.objects.get(key),
    put: async (key, bytes) => void bucket.objects.set(key, new Uint8Array(bytes)),
    delete: async (key) => void bucket.objects.delete(key),
  },
});

/** A database file of its own for as long as `use` runs. A copy that is thrown away needs no journal and no sync. */
async function withFile<Result>(use: (path: string) => Promise<Result>): Promise<Result> {
  const dir = mkdtempSync(join(tmpdir(), "tamper-"));
  try {
    return await use(join(dir, "copy.sqlite"));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function openCopy(path: string): DatabaseSync {
  const sqlite = new DatabaseSync(path);
  sqlite.exec("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");
  return sqlite;
}

export class TamperedCopies {
  readonly #world: LedgerWorld;
  /** The world's database file, without the triggers that would refuse the changes. */
  readonly #file: Uint8Array;
  /** After one whole round that found nothing. */
  readonly #clean: ScrubState;

  private constructor(world: LedgerWorld, file: Uint8Array, clean: ScrubState) {
    this.#world = world;
    this.#file = file;
    this.#clean = clean;
  }

  static async make(subjects: number): Promise<TamperedCopies> {
    const world = await grownWorld(subjects);
    const { findings, state } = await world.check();
    if (findings.length > 0) throw new Error(`nothing was changed: ${JSON.stringify(findings.slice(0, 5))}`);
    const file = await withFile(async (path) => {
      world.sqlite.prepare("VACUUM INTO ?").run(path);
      const sqlite = openCopy(path);
      await dropTriggers(attackedOf(sqlite, world.bucket, world.chain));
      sqlite.close();
      return readFileSync(path);
    });
    return new TamperedCopies(world, file, state);
  }

  /** @returns what was changed and is not named; empty when all of it is. */
  async tamper(n: number, seed: number, changes: number): Promise<readonly string[]> {
    return withFile(async (path) => {
      writeFileSync(path, this.#file);
      const sqlite = openCopy(path);
      try {
        const bucket = new MemoryBucket(this.#world.bucket.objects);
        const chain = this.#world.chain.copy();
        const attacked = attackedOf(sqlite, bucket, chain);
        const random = seededRandom(seed).next;
        const done: Done[] = [];
        for (let i = 0; i < changes; i++) done.push(await mutate(attacked, n + i * 29, random));
        const stored = { db: d1On(sqlite), bucket, chain, promised: this.#world.promised };
        const { findings } = await checkEverything(stored, this.#world, this.#clean);
        return unnamed(done, findings).map(
          ({ what }) =>
            `${what} (seed ${seed}, with ${done.length - 1} others: ${done.map((one) => one.what).join("; ")}): ${JSON.stringify(findings.slice(0, 5))}`,
        );
      } finally {
        sqlite.close();
      }
    });
  }
}
