/**
 * Counts what a worker is billed for, in front of its bindings: every statement by the `rows_read` and `rows_written` that D1
 * itself reports, every message of a queue, call of an object and operation of R2. One tally an isolate; a local workerd has
 * one isolate for a worker and its objects.
 */
import { type Counts, NO_COUNTS } from "../../scripts/lib/cost/tally.ts";

/** Asked of a counting worker: what it counted so far. */
export const TALLY_PATH = "/bench/tally";

/** An operation of a queue is counted for each 64 kB. */
const QUEUE_UNIT_BYTES = 64_000;
/** Enough to tell statements apart. */
const STATEMENT_CHARS = 160;

const byLabel = new Map<string, Counts>();
const byTable = new Map<string, number>();
const byStatement = new Map<string, { rows: number; times: number }>();

export function countsOf(label: string): Counts {
  const held = byLabel.get(label) ?? { ...NO_COUNTS };
  byLabel.set(label, held);
  return held;
}

export function answerTally(request: Request): Response | undefined {
  if (new URL(request.url).pathname !== TALLY_PATH) return undefined;
  return Response.json({
    byLabel: Object.fromEntries(byLabel),
    byTable: Object.fromEntries(byTable),
    byStatement: Object.fromEntries(byStatement),
  });
}

const isObject = (value: unknown): value is object =>
  (typeof value === "object" && value !== null) || typeof value === "function";

/** Has a platform's object answer for itself in everything but what `replaced` gives. */
export function inFrontOf<Target extends object>(target: Target, replaced: (name: string | symbol) => unknown): Target {
  return new Proxy(target, {
    get(_, name) {
      const instead = replaced(name);
      if (instead !== undefined) return instead;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const tableOf = (sql: string): string =>
  /\b(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM)\s+"?(\w+)/i.exec(sql)?.[1] ?? "other";

function countMeta(counts: Counts, sql: string, { meta }: D1Result): void {
  counts.statements += 1;
  counts.rowsRead += meta.rows_read;
  counts.rowsWritten += meta.rows_written;
  if (meta.rows_written > 0) {
    const table = tableOf(sql);
    byTable.set(table, (byTable.get(table) ?? 0) + meta.rows_written);
    if (table.startsWith("metric_")) counts.rowsMeasuring += meta.rows_written;
    const statement = sql.replaceAll(/\s+/g, " ").trim().slice(0, STATEMENT_CHARS);
    const seen = byStatement.get(statement) ?? { rows: 0, times: 0 };
    byStatement.set(statement, { rows: seen.rows + meta.rows_written, times: seen.times + 1 });
  }
}

interface Prepared {
  readonly real: D1PreparedStatement;
  readonly sql: string;
}

/** The statement behind one of ours, for batches. */
const prepared = new WeakMap<object, Prepared>();

function countedStatement(real: D1PreparedStatement, sql: string, counts: Counts): D1PreparedStatement {
  const counting = async (): Promise<D1Result<Record<string, unknown>>> => {
    const result = await real.all<Record<string, unknown>>();
    countMeta(counts, sql, result);
    return result;
  };
  const replaced: Readonly<Record<string, unknown>> = {
    bind: (...values: unknown[]) => countedStatement(real.bind(...values), sql, counts),
    all: counting,
    run: counting,
    async first(column?: string) {
      const [row] = (await counting()).results;
      if (row === undefined) return null;
      return column === undefined ? row : row[column];
    },
    // Its answer says nothing of rows: what only reads is asked twice, and what writes is made of the other form.
    async raw(options?: { readonly columnNames?: boolean }) {
      const { results } = await counting();
      if (!/^\s*(?:SELECT|WITH)\b/i.test(sql)) return results.map((row) => Object.values(row));
      return options?.columnNames === true ? real.raw({ columnNames: true }) : real.raw();
    },
  };
  const statement = inFrontOf(real, (name) => (typeof name === "string" ? replaced[name] : undefined));
  prepared.set(statement, { real, sql });
  return statement;
}

function countedDatabase(real: D1Database, counts: Counts): D1Database {
  const replaced: Readonly<Record<string, unknown>> = {
    prepare: (sql: string) => countedStatement(real.prepare(sql), sql, counts),
    async batch(statements: readonly D1PreparedStatement[]) {
      const known = statements.map((statement) => {
        const found = prepared.get(statement);
        if (found === undefined) throw new Error("a statement that is not counted");
        return found;
      });
      const results = await real.batch(known.map((statement) => statement.real));
      for (const [index, result] of results.entries()) countMeta(counts, known[index]?.sql ?? "", result);
      return results;
    },
    exec: () => {
      throw new Error("exec is not counted");
    },
    withSession: () => {
      throw new Error("sessions are not counted");
    },
  };
  return inFrontOf(real, (name) => (typeof name === "string" ? replaced[name] : undefined));
}

const unitsOf = (body: unknown): number =>
  Math.max(1, Math.ceil(new TextEncoder().encode(JSON.stringify(body) ?? "").length / QUEUE_UNIT_BYTES));

function countedQueue<Body>(real: Queue<Body>, counts: Counts): Queue<Body> {
  const replaced: Readonly<Record<string, unknown>> = {
    async send(body: Body, options?: QueueSendOptions) {
      await real.send(body, options);
      counts.queueWrites += unitsOf(body);
    },
    async sendBatch(messages: Iterable<MessageSendRequest<Body>>, options?: QueueSendBatchOptions) {
      const all = [...messages];
      await real.sendBatch(all, options);
      for (const { body } of all) counts.queueWrites += unitsOf(body);
    },
  };
  return inFrontOf(real, (name) => (typeof name === "string" ? replaced[name] : undefined));
}

const CLASS_A = new Set(["put", "list", "createMultipartUpload", "resumeMultipartUpload"]);
const CLASS_B = new Set(["get", "head"]);

function countedBucket(real: R2Bucket, counts: Counts): R2Bucket {
  return inFrontOf(real, (name) => {
    if (typeof name !== "string" || (!CLASS_A.has(name) && !CLASS_B.has(name))) return undefined;
    const operation: unknown = Reflect.get(real, name, real);
    if (typeof operation !== "function") return undefined;
    return (...values: unknown[]) => {
      if (CLASS_A.has(name)) counts.r2ClassA += 1;
      else counts.r2ClassB += 1;
      return Reflect.apply(operation, real, values);
    };
  });
}

const OWN_OF_STUB = new Set(["id", "name", "then", "dup"]);

/** Every call of a stub is a request that is billed. */
function countedStub<Stub extends object>(real: Stub, count: () => void): Stub {
  return new Proxy(real, {
    get(_, name) {
      const value: unknown = Reflect.get(real, name, real);
      if (typeof name !== "string" || OWN_OF_STUB.has(name) || typeof value !== "function") return value;
      return (...values: unknown[]) => {
        count();
        return Reflect.apply(value, real, values);
      };
    },
  });
}

function countedNamespace<Namespace extends object>(real: Namespace, counts: Counts): Namespace {
  return inFrontOf(real, (name) => {
    if (name !== "get" && name !== "getByName") return undefined;
    const lookUp: unknown = Reflect.get(real, name, real);
    if (typeof lookUp !== "function") return undefined;
    return (...values: unknown[]) => {
      const stub: unknown = Reflect.apply(lookUp, real, values);
      if (!isObject(stub)) throw new Error("no stub");
      return countedStub(stub, () => {
        counts.objectRequests += 1;
      });
    };
  });
}

const named = (binding: object, ...names: readonly string[]): boolean => names.includes(binding.constructor.name);
const isDatabase = (binding: object): binding is D1Database => named(binding, "D1Database");
const isBucket = (binding: object): binding is R2Bucket => named(binding, "R2Bucket");
const isQueue = (binding: object): binding is Queue => named(binding, "WorkerQueue", "Queue");

/** @throws when it is of a kind that would cost something unseen. */
function countedBinding(name: string, binding: object, counts: Counts): object {
  if (isDatabase(binding)) return countedDatabase(binding, counts);
  if (isBucket(binding)) return countedBucket(binding, counts);
  if (isQueue(binding)) return countedQueue(binding, counts);
  if (named(binding, "DurableObjectNamespace")) return countedNamespace(binding, counts);
  if (named(binding, "Fetcher"))
    return countedStub(binding, () => {
      counts.calls += 1;
    });
  throw new Error(`${name} is a ${binding.constructor.name}, which is not counted`);
}

/** Made once for an environment and a label, so that what is kept by environment is found again. */
const madeEnvironments = new WeakMap<object, Map<string, Map<string, object>>>();

function bindingsOf(env: object, label: string): Map<string, object> {
  const byName = madeEnvironments.get(env) ?? new Map<string, Map<string, object>>();
  madeEnvironments.set(env, byName);
  const held = byName.get(label);
  if (held !== undefined) return held;
  const made = new Map<string, object>();
  for (const [name, binding] of Object.entries(env)) {
    if (isObject(binding)) made.set(name, countedBinding(name, binding, countsOf(label)));
  }
  byName.set(label, made);
  return made;
}

const frontedEnvironments = new WeakMap<Map<string, object>, object>();

export function countedEnv<Env extends object>(env: Env, label: string): Env {
  const bindings = bindingsOf(env, label);
  const held = frontedEnvironments.get(bindings);
  const made =
    held ?? new Proxy(env, { get: (target, name) => bindings.get(String(name)) ?? Reflect.get(target, name) });
  frontedEnvironments.set(bindings, made);
  if (!isSameKind(made, env)) throw new Error("an environment lost its names");
  return made;
}

/** What stands for an environment has its names. */
const isSameKind = <Env extends object>(made: object, env: Env): made is Env =>
  Object.keys(env).every((name) => name in made);

/** A batch whose reads and deletes are counted: what is retried, or not acknowledged by a handler that threw, is not deleted. */
export async function countedBatch<Body>(
  batch: MessageBatch<Body>,
  label: string,
  handle: (counted: MessageBatch<Body>) => Promise<unknown>,
): Promise<void> {
  const counts = countsOf(label);
  counts.batches += 1;
  for (const { body } of batch.messages) counts.queueReads += unitsOf(body);
  const retried = new Set<string>();
  const acknowledged = new Set<string>();
  const messages = batch.messages.map((message) =>
    inFrontOf(message, (name) => {
      if (name === "retry")
        return (options?: QueueRetryOptions) => {
          retried.add(message.id);
          message.retry(options);
        };
      if (name === "ack")
        return () => {
          acknowledged.add(message.id);
          message.ack();
        };
      return undefined;
    }),
  );
  const all = batch.messages.map(({ id }) => id);
  const counted = inFrontOf(batch, (name) => {
    if (name === "messages") return messages;
    if (name === "ackAll")
      return () => {
        for (const id of all) acknowledged.add(id);
        batch.ackAll();
      };
    if (name === "retryAll")
      return (options?: QueueRetryOptions) => {
        for (const id of all) retried.add(id);
        batch.retryAll(options);
      };
    return undefined;
  });
  let failed = true;
  try {
    await handle(counted);
    failed = false;
  } finally {
    for (const { id, body } of batch.messages)
      if (!retried.has(id) && (!failed || acknowledged.has(id))) counts.queueDeletes += unitsOf(body);
  }
}

/** Counts the rows of an object's own storage, and its alarms, in place of what the platform gave it. */
export function countStorage(ctx: DurableObjectState, label: string): void {
  const counts = countsOf(label);
  const { storage } = ctx;
  const sql = inFrontOf(storage.sql, (name) => {
    if (name !== "exec") return undefined;
    return (query: string, ...values: unknown[]) => {
      const cursor = storage.sql.exec(query, ...values);
      counts.objectRowsRead += cursor.rowsRead;
      counts.objectRowsWritten += cursor.rowsWritten;
      return cursor;
    };
  });
  const kv = inFrontOf(storage.kv, (name) => {
    if (name === "get")
      return (key: string) => {
        counts.objectRowsRead += 1;
        return storage.kv.get(key);
      };
    if (name === "put")
      return (key: string, value: unknown) => {
        counts.objectRowsWritten += 1;
        storage.kv.put(key, value);
      };
    return undefined;
  });
  const counted = inFrontOf(storage, (name) => {
    if (name === "sql") return sql;
    if (name === "kv") return kv;
    if (name === "setAlarm")
      return (at: number | Date) => {
        counts.objectRowsWritten += 1;
        return storage.setAlarm(at);
      };
    return undefined;
  });
  Object.defineProperty(ctx, "storage", { value: counted });
}
