/** D1 as its callers see it: the real SQL on a real database, behind calls that fail, fail after they happened, and are slow. */
import { D1OnSqlite } from "../support/d1-sqlite.ts";
import type { Life } from "./scheduler.ts";
import type { World } from "./world.ts";

/** D1 gives up on a query after this. */
const PATIENCE_MS = 30_000;

export interface DatabaseParts {
  /** Breaks statements on purpose. */
  readonly rewriteSql: ((sql: string) => string) | undefined;
  /** False: each statement of a batch is a transaction of its own. */
  readonly atomicBatches: boolean;
}

export class Database {
  readonly #world: World;
  readonly #parts: DatabaseParts;
  readonly #changed: () => void;

  /** @param changed called whenever something was written. */
  constructor(world: World, parts: DatabaseParts, changed: () => void) {
    this.#world = world;
    this.#parts = parts;
    this.#changed = changed;
  }

  /** A connection whose answers end with the life of the process that holds it. */
  connect(life: Life, who: string): D1Database {
    return new Connection(this, this.#world, this.#parts, life, who);
  }

  changed(): void {
    this.#changed();
  }
}

type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

class Connection extends D1OnSqlite {
  readonly #database: Database;
  readonly #world: World;
  readonly #parts: DatabaseParts;
  readonly #life: Life;
  readonly #who: string;

  constructor(database: Database, world: World, parts: DatabaseParts, life: Life, who: string) {
    super(world.sqlite, world.statements);
    this.#database = database;
    this.#world = world;
    this.#parts = parts;
    this.#life = life;
    this.#who = who;
  }

  // The whole run is one transaction, which is rolled back at its end: a batch is a savepoint in it.
  protected override begin(): void {
    this.prepared("SAVEPOINT batch").run();
  }

  protected override commit(): void {
    this.prepared("RELEASE batch").run();
  }

  protected override rollback(): void {
    this.prepared("ROLLBACK TO batch").run();
    this.prepared("RELEASE batch").run();
  }

  override prepare(sql: string): D1PreparedStatement {
    try {
      return super.prepare(this.#parts.rewriteSql?.(sql) ?? sql);
    } catch (error) {
      this.#world.violate("mutation", error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  override batch<T = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    return this.#parts.atomicBatches ? super.batch<T>(statements) : this.#torn<T>(statements);
  }

  async #torn<T>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    const results: D1Result<T>[] = [];
    for (const statement of statements) results.push(await statement.all<T>());
    return results;
  }

  override call<T>(run: () => T): Promise<T> {
    const { random, scheduler, faults } = this.#world;
    const { database } = faults;
    const requestMs = random.between(1, 8);
    const answerMs = random.between(1, 8);
    const attempt = (): Result<T> => this.#attempt(run);
    return new Promise((resolve, reject) => {
      /** `result` is asked for when the statement is executed, which may be long before the answer arrives. */
      const answer = (afterMs: number, result: Result<T>): void =>
        scheduler.within(this.#life, afterMs, () => {
          if (result.ok) resolve(result.value);
          else reject(result.error);
        });
      const fail = (afterMs: number, fault: string): void => {
        this.#world.trace("database", this.#who, fault);
        answer(afterMs, { ok: false, error: new Error(`D1_ERROR: ${fault}`) });
      };
      // A request that left a process before its end may still arrive.
      const arrivesAlone = random.chance(0.5);
      const arrive = (afterMs: number, then: (result: Result<T>) => void): void =>
        scheduler.after(afterMs, () => {
          if (this.#life.alive || arrivesAlone) then(attempt());
        });
      if (random.chance(database.failsBefore)) {
        fail(requestMs + answerMs, "network connection lost before the query");
      } else if (random.chance(database.failsAfter)) {
        arrive(requestMs, () => fail(answerMs, "network connection lost after the query"));
      } else if (random.chance(database.failsThenLands)) {
        const failsMs = random.between(1, 3_000);
        fail(failsMs, "network connection lost, the query is still on its way");
        arrive(failsMs + random.between(1, 20_000), () =>
          this.#world.trace("database", this.#who, "late query landed"),
        );
      } else if (random.chance(database.slow)) {
        const slowMs = random.chance(0.5) ? random.between(100, 5_000) : random.between(5_000, 45_000);
        this.#world.trace("database", this.#who, "slow", slowMs);
        const beforeMs = random.between(0, slowMs);
        if (slowMs > PATIENCE_MS) {
          fail(PATIENCE_MS, "query took too long");
          arrive(beforeMs, () => {});
        } else {
          arrive(beforeMs, (result) => answer(slowMs - beforeMs, result));
        }
      } else {
        arrive(requestMs, (result) => answer(answerMs, result));
      }
    });
  }

  #attempt<T>(run: () => T): Result<T> {
    const changes = this.changes;
    let result: Result<T>;
    try {
      result = { ok: true, value: this.executed(run) };
    } catch (error) {
      result = { ok: false, error };
    }
    if (this.changes !== changes) this.#database.changed();
    return result;
  }
}
