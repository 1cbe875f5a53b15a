/** What all parts of one run share: time, chance, the faults of the moment, the record of what happened, the first broken rule. */
import type { DatabaseSync } from "node:sqlite";
import { migratedCoreSqlite, StatementCache } from "../support/d1-sqlite.ts";
import { type Faults, NO_FAULTS, type WorldOptions } from "./options.ts";
import type { Random } from "./random.ts";
import { Scheduler } from "./scheduler.ts";

export const START_MS = 1_790_000_000_000;
export const LEDGER_ID = "main";
export const CHAIN_ID = 31_337;
export const TENANT_ID = "default";

/** Events kept for the report of a failure. */
const TRACE_LENGTH = 60;

export interface Violation {
  /** Which invariant; one of a short list of names. */
  readonly rule: string;
  readonly detail: string;
}

type Fact = string | number | boolean | undefined;

interface TraceEvent {
  readonly at: number;
  readonly what: string;
  readonly facts: readonly Fact[];
}

const formatEvent = ({ at, what, facts }: TraceEvent): string =>
  `${((at - START_MS) / 1_000).toFixed(3).padStart(10)} s  ${what.padEnd(22)} ${facts.filter((fact) => fact !== undefined).join(" ")}`;

/** A clock that a machine reads: wrong by a bounded error, which steps. */
export class Clock {
  readonly #trueNow: () => number;
  errorMs = 0;

  constructor(trueNow: () => number) {
    this.#trueNow = trueNow;
  }

  readonly now = (): number => this.#trueNow() + this.errorMs;
}

interface EmptyDatabase {
  readonly sqlite: DatabaseSync;
  readonly statements: StatementCache;
}

/** Migrated once; runs take turns with it, each in a transaction that is rolled back. */
const idle: EmptyDatabase[] = [];

function emptyDatabase(): EmptyDatabase {
  const held = idle.pop();
  if (held !== undefined) return held;
  const sqlite = migratedCoreSqlite();
  return { sqlite, statements: new StatementCache(sqlite) };
}

export class World {
  readonly options: WorldOptions;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly sqlite: DatabaseSync;
  readonly statements: StatementCache;
  readonly coreClock: Clock;
  readonly relayClock: Clock;
  readonly now: () => number;
  faults: Faults;
  violation: Violation | undefined;
  readonly #recent: TraceEvent[] = [];
  readonly #print: ((line: string) => void) | undefined;

  constructor(options: WorldOptions, random: Random, print: ((line: string) => void) | undefined) {
    const { sqlite, statements } = emptyDatabase();
    sqlite.exec("BEGIN");
    this.sqlite = sqlite;
    this.statements = statements;
    this.options = options;
    this.random = random;
    this.scheduler = new Scheduler(random, START_MS);
    this.now = this.scheduler.now;
    this.coreClock = new Clock(this.now);
    this.relayClock = new Clock(this.now);
    this.faults = options.faults;
    this.#print = print;
  }

  get healed(): boolean {
    return this.faults === NO_FAULTS;
  }

  /** Every fault ends; what is under way already still lands. */
  heal(): void {
    this.faults = NO_FAULTS;
    this.coreClock.errorMs = 0;
    this.relayClock.errorMs = 0;
    this.trace("faults end");
  }

  trace(what: string, ...facts: readonly Fact[]): void {
    const event = { at: this.now(), what, facts };
    if (this.#print !== undefined) this.#print(formatEvent(event));
    this.#recent.push(event);
    if (this.#recent.length > 4 * TRACE_LENGTH) this.#recent.splice(0, this.#recent.length - TRACE_LENGTH);
  }

  /** Only the first counts: the others may follow from it. */
  violate(rule: string, detail: string): void {
    if (this.violation !== undefined) return;
    this.violation = { rule, detail };
    this.trace("VIOLATION", rule, detail);
  }

  recentTrace(): readonly string[] {
    return this.#recent.slice(-TRACE_LENGTH).map(formatEvent);
  }

  /** Rows as the database has them at this moment, seen by no fault. */
  rows(sql: string, ...values: readonly (string | number)[]): readonly Readonly<Record<string, unknown>>[] {
    const statement = this.statements.prepared(sql);
    statement.setReturnArrays(false);
    return statement.all(...values);
  }

  row(sql: string, ...values: readonly (string | number)[]): Readonly<Record<string, unknown>> | undefined {
    return this.rows(sql, ...values)[0];
  }

  close(): void {
    this.sqlite.exec("ROLLBACK");
    idle.push({ sqlite: this.sqlite, statements: this.statements });
  }
}
