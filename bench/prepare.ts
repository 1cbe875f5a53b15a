/**
 * Prepared ledgers: a database of core filled through the same planning, the same statements and the same guards' schema as
 * appends write it, straight into its file, which is many times faster than through a worker. Keys and ids are random, as those of
 * clients are, and every table is as full as it would be: an index that is empty costs an append nothing.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { projectRoot } from "../scripts/lib/bundle.ts";
import { loadContext, loadHead, writeCommit } from "../src/workflow/commit.store.ts";
import { planCommit } from "../src/workflow/commit-plan.ts";
import { d1On } from "../test/support/d1-sqlite.ts";
import { BENCH_LEDGER, preparedSubmit } from "./workers/prepared.ts";

const GROUP = 1_000;

/** Grows the ledger in the file to `size` entries; the file has core's migrations and nobody else has it open. */
export async function fillLedger(path: string, size: number, progress: (entries: number) => void): Promise<void> {
  const sqlite = new DatabaseSync(path);
  try {
    // Nothing of worth is lost with this file, and the whole of it fits in memory.
    sqlite.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -4000000");
    const guards = sqlite.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
    // They look at each row that comes in; what is written here was planned by the code they guard against.
    for (const { name } of guards) sqlite.exec(`DROP TRIGGER ${String(name)}`);
    const db = d1On(sqlite);
    let head = await loadHead(db, BENCH_LEDGER.ledgerId);
    const context = { requests: new Map(), claims: new Map(), settlements: new Map(), destinations: [] };
    while (head.frontier.size < size) {
      const from = head.frontier.size;
      const commands = Array.from({ length: Math.min(GROUP, size - from) }, (_, i) =>
        preparedSubmit(
          createHash("sha256")
            .update(`seed-${from + i}`)
            .digest("hex"),
        ),
      );
      const plan = planCommit(head, context, commands, Date.now(), BENCH_LEDGER);
      await writeCommit(db, BENCH_LEDGER.ledgerId, plan);
      head = plan.head;
      if (head.frontier.size % 20_000 === 0) progress(head.frontier.size);
    }
    for (const { sql } of guards) sqlite.exec(String(sql));
    sqlite.exec("PRAGMA journal_mode = WAL");
  } finally {
    sqlite.close();
  }
}

const COMMITS = 8;

/** Entries of the ledger in a file; 0 when it has none. */
export function entriesIn(path: string): number {
  const sqlite = new DatabaseSync(path, { readOnly: true });
  try {
    return Number(sqlite.prepare("SELECT MAX(size) AS size FROM ledger_heads").get()?.size ?? 0);
  } finally {
    sqlite.close();
  }
}

/**
 * Pages of the database that an append writes, in commits of some size: what goes into the write-ahead log, which is what a
 * database that is copied elsewhere has to copy. Guards and statements are those of real appends. Nobody else has the file open.
 */
export async function pagesPerAppend(path: string, group: number): Promise<number> {
  const sqlite = new DatabaseSync(path);
  try {
    // Pages leave the cache at the commit alone, and stay in the log until they were counted.
    sqlite.exec("PRAGMA journal_mode = WAL; PRAGMA cache_size = -200000; PRAGMA wal_autocheckpoint = 0");
    const db = d1On(sqlite);
    const run = createHash("sha256").update(`${path} ${group} ${Date.now()}`).digest("hex");
    let pages = 0;
    for (let commit = 0; commit < COMMITS; commit++) {
      sqlite.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      const commands = Array.from({ length: group }, (_, i) =>
        preparedSubmit(createHash("sha256").update(`${run} ${commit} ${i}`).digest("hex")),
      );
      const context = await loadContext(db, BENCH_LEDGER.ledgerId, commands);
      const head = await loadHead(db, BENCH_LEDGER.ledgerId);
      const plan = planCommit(head, context, commands, Date.now(), BENCH_LEDGER);
      await writeCommit(db, BENCH_LEDGER.ledgerId, plan);
      pages += Number(sqlite.prepare("PRAGMA wal_checkpoint(PASSIVE)").get()?.log ?? Number.NaN);
    }
    return pages / (COMMITS * group);
  } finally {
    sqlite.close();
  }
}

const filesIn = (directory: string): readonly string[] =>
  readdirSync(join(projectRoot, directory))
    .filter((name) => /\.(ts|sql)$/.test(name))
    .sort()
    .map((name) => join(projectRoot, directory, name));

/** Names what a prepared ledger was made by: another version makes another. */
export function preparedVersion(): string {
  const hash = createHash("sha256");
  const directories = ["migrations/core", "src/ledger", "src/workflow", "bench/workers"];
  for (const file of [...directories.flatMap(filesIn), import.meta.filename]) hash.update(readFileSync(file));
  return hash.digest("hex").slice(0, 16);
}
