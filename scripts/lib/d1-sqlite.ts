/**
 * A D1 database on node:sqlite, close enough to run stores and simulations on: numbers are bound as doubles, a batch is one
 * transaction, foreign keys hold, and every call lets other work go first, as a round trip does.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";

/** D1's own limit. */
const MAX_PARAMETERS = 100;

/** D1's interface over a database that is there already. */
export const d1On = (sqlite: DatabaseSync): D1Database => new D1OnSqlite(sqlite);

const d1Error = (error: unknown): Error =>
  new Error(`D1_ERROR: ${error instanceof Error ? error.message : String(error)}: SQLITE_ERROR`, { cause: error });

/** A round trip: whatever else is ready runs first. */
const roundTrip = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function inputOf(value: unknown): SQLInputValue {
  if (value === null || typeof value === "number" || typeof value === "string") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`D1_TYPE_ERROR: Type '${typeof value}' not supported for value '${String(value)}'`);
}

/** By SQL text: stores have a fixed number of statements. */
const parameterCounts = new Map<string, number>();

/** node:sqlite takes a missing parameter for NULL; D1 refuses it. */
function parameterCount(sql: string): number {
  const known = parameterCounts.get(sql);
  if (known !== undefined) return known;
  const counted = countParameters(sql);
  parameterCounts.set(sql, counted);
  return counted;
}

function countParameters(sql: string): number {
  const code = sql.replace(/'[^']*'|--.*$/gm, "");
  const numbered = [...code.matchAll(/\?(\d+)/g)].map(([, number]) => Number(number));
  return Math.max(0, ...numbered) + [...code.matchAll(/\?(?!\d)/g)].length;
}

const returns = (sql: string): boolean => /\breturning\b/i.test(sql);

class Statement implements D1PreparedStatement {
  readonly #database: D1OnSqlite;
  readonly #sql: string;
  readonly #values: readonly SQLInputValue[];

  constructor(database: D1OnSqlite, sql: string, values: readonly SQLInputValue[]) {
    this.#database = database;
    this.#sql = sql;
    this.#values = values;
  }

  bind(...values: unknown[]): D1PreparedStatement {
    if (values.length > MAX_PARAMETERS) throw new Error("D1_ERROR: too many SQL variables: SQLITE_ERROR");
    return new Statement(this.#database, this.#sql, values.map(inputOf));
  }

  /** At once, without a round trip; in a transaction when the database has opened one. */
  execute<T>(): D1Result<T> {
    this.#checkParameters();
    const { results, changes, lastRowId } = this.#run();
    this.#database.changes += changes;
    return {
      success: true,
      // What the columns are is the caller's claim, here as in D1.
      results: results as T[],
      meta: {
        duration: 0,
        size_after: 0,
        rows_read: results.length,
        rows_written: changes,
        last_row_id: lastRowId,
        changed_db: changes > 0,
        changes,
      },
    };
  }

  /** Changes are those of the statement itself, without its triggers'. */
  #run(): { readonly results: readonly object[]; readonly changes: number; readonly lastRowId: number } {
    const statement = this.#database.prepared(this.#sql);
    if (this.#database.columnCount(this.#sql) === 0) {
      const { changes, lastInsertRowid } = statement.run(...this.#values);
      return { results: [], changes: Number(changes), lastRowId: Number(lastInsertRowid) };
    }
    statement.setReturnArrays(false);
    const results = statement.all(...this.#values).map((row) => ({ ...row }));
    return { results, changes: returns(this.#sql) ? results.length : 0, lastRowId: 0 };
  }

  #checkParameters(): void {
    if (this.#values.length !== parameterCount(this.#sql)) {
      throw new Error("Wrong number of parameter bindings for SQL query.");
    }
  }

  async all<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.#database.call(() => this.execute<T>());
  }

  run<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.all<T>();
  }

  first<T = unknown>(column: string): Promise<T | null>;
  first<T = Record<string, unknown>>(): Promise<T | null>;
  async first<T>(column?: string): Promise<T | null> {
    const { results } = await this.all<Record<string, unknown>>();
    const row = results[0];
    if (row === undefined) return null;
    if (column === undefined) return row as T;
    if (!(column in row)) throw new Error(`D1_COLUMN_NOTFOUND: ${column}`);
    return row[column] as T;
  }

  raw<T = unknown[]>(options: { columnNames: true }): Promise<[string[], ...T[]]>;
  raw<T = unknown[]>(options?: { columnNames?: false }): Promise<T[]>;
  async raw<T>(options?: { columnNames?: boolean }): Promise<T[] | [string[], ...T[]]> {
    const rows = await this.#database.call(() => {
      this.#checkParameters();
      const statement = this.#database.prepared(this.#sql);
      statement.setReturnArrays(true);
      return { columns: columnsOf(statement), values: statement.all(...this.#values) };
    });
    const values = rows.values as unknown as T[];
    return options?.columnNames === true ? [rows.columns, ...values] : values;
  }
}

const columnsOf = (statement: StatementSync): string[] => statement.columns().map(({ name }) => name);

/** Compiled once each: compiling costs more than most of what is run. */
export class StatementCache {
  readonly #sqlite: DatabaseSync;
  readonly #bySql = new Map<string, StatementSync>();
  readonly #columnCounts = new Map<string, number>();

  constructor(sqlite: DatabaseSync) {
    this.#sqlite = sqlite;
  }

  prepared(sql: string): StatementSync {
    const held = this.#bySql.get(sql);
    if (held !== undefined) return held;
    // SQLite plans a statement anew for each value bound to a bare LIMIT parameter; of an expression it makes no such use.
    const statement = this.#sqlite.prepare(sql.replace(/\b(limit) \?/gi, "$1 +?"));
    this.#bySql.set(sql, statement);
    this.#columnCounts.set(sql, statement.columns().length);
    return statement;
  }

  columnCount(sql: string): number {
    return this.#columnCounts.get(sql) ?? this.prepared(sql).columns().length;
  }
}

/** A connection. A subclass may put what it likes around `call`, through which everything goes. */
export class D1OnSqlite implements D1Database {
  readonly sqlite: DatabaseSync;
  /** Rows changed through this connection, statements of failed batches included. */
  changes = 0;
  readonly #statements: StatementCache;

  /** @param statements shared by connections to the same database. */
  constructor(sqlite: DatabaseSync, statements = new StatementCache(sqlite)) {
    this.sqlite = sqlite;
    this.#statements = statements;
  }

  prepared(sql: string): StatementSync {
    return this.#statements.prepared(sql);
  }

  columnCount(sql: string): number {
    return this.#statements.columnCount(sql);
  }

  /** One round trip: whatever else is ready runs before it and after it. */
  async call<Result>(run: () => Result): Promise<Result> {
    await roundTrip();
    const result = this.executed(run);
    await roundTrip();
    return result;
  }

  /** @throws Error as D1 words it. */
  protected executed<Result>(run: () => Result): Result {
    try {
      return run();
    } catch (error) {
      throw d1Error(error);
    }
  }

  protected begin(): void {
    this.sqlite.exec("BEGIN IMMEDIATE");
  }

  protected commit(): void {
    this.sqlite.exec("COMMIT");
  }

  protected rollback(): void {
    this.sqlite.exec("ROLLBACK");
  }

  prepare(sql: string): D1PreparedStatement {
    return new Statement(this, sql, []);
  }

  batch<T = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    return this.call(() => {
      this.begin();
      try {
        const results = statements.map((statement) => {
          if (!(statement instanceof Statement)) throw new TypeError("a statement of another database");
          return statement.execute<T>();
        });
        this.commit();
        return results;
      } catch (error) {
        this.rollback();
        throw error;
      }
    });
  }

  exec(sql: string): Promise<D1ExecResult> {
    return this.call(() => {
      this.sqlite.exec(sql);
      return { count: 1, duration: 0 };
    });
  }

  withSession(): D1DatabaseSession {
    return {
      prepare: (sql) => this.prepare(sql),
      batch: (statements) => this.batch(statements),
      getBookmark: () => null,
    };
  }

  dump(): Promise<ArrayBuffer> {
    throw new Error("D1's dump is deprecated and not offered here");
  }
}
