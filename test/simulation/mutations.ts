/**
 * The rules of the system, broken one at a time, to see that the simulation notices. Each is made without touching the source: other
 * code in the place of a part, or a statement changed on its way to the database.
 */
import type { CommitReceipt } from "../../src/workflow/commit.store.ts";
import { type Parts, REAL_PARTS } from "./parts.ts";
import { simulate } from "./simulate.ts";

export interface Mutation {
  /** The rule that no longer holds, as a sentence. */
  readonly name: string;
  readonly parts: Partial<Parts>;
}

const NOTHING_DUE: CommitReceipt = { dueOutboxIds: [], dueSettlements: [] };

/** @throws Error when a statement that contains `mark` no longer has `from`: the mutation would change nothing. */
const replacing =
  (mark: string, from: string, to: string) =>
  (sql: string): string => {
    if (!sql.includes(mark)) return sql;
    if (!sql.includes(from)) throw new Error(`the statement with ${mark} has no ${from}`);
    return sql.replaceAll(from, to);
  };

const UNDER_TOKEN = "o.lease_token = j.value ->> 'token' AND ";
const DROP_GUARDS = ["ledger_heads_update", "ledger_entries_insert", "ledger_entries_update", "ledger_entries_delete"]
  .map((name) => `DROP TRIGGER ${name};`)
  .join("\n");

export const mutations: readonly Mutation[] = [
  {
    name: "callers are answered before the batch has committed",
    parts: {
      writeCommit: (db, ledgerId, plan) => {
        REAL_PARTS.writeCommit(db, ledgerId, plan).catch(() => {});
        return Promise.resolve(NOTHING_DUE);
      },
    },
  },
  {
    name: "a batch that failed is assumed to have committed",
    parts: {
      writeCommit: (db, ledgerId, plan) => REAL_PARTS.writeCommit(db, ledgerId, plan).catch(() => NOTHING_DUE),
    },
  },
  {
    name: "a failed read of states is taken for empty",
    parts: {
      loadContext: (db, ledgerId, commands) =>
        REAL_PARTS.loadContext(db, ledgerId, commands).catch(() => ({
          requests: new Map(),
          claims: new Map(),
          settlements: new Map(),
          destinations: [],
        })),
    },
  },
  {
    name: "the head is read once and never again",
    parts: (() => {
      const heads = new WeakMap<D1Database, ReturnType<typeof REAL_PARTS.loadHead>>();
      return {
        loadHead: (db, ledgerId) => {
          const head = heads.get(db) ?? REAL_PARTS.loadHead(db, ledgerId);
          heads.set(db, head);
          return head;
        },
      };
    })(),
  },
  {
    name: "the database does not guard the ledger",
    parts: {
      alterSchema: DROP_GUARDS,
      rewriteSql: replacing("INSERT INTO ledger_entries", "INSERT INTO", "INSERT OR REPLACE INTO"),
    },
  },
  {
    name: "a batch is not one transaction",
    parts: { atomicBatches: false },
  },
  {
    name: "an entry goes back in time with the clock",
    parts: {
      planCommit: (before, context, commands, nowMs, settings) =>
        REAL_PARTS.planCommit({ ...before, lastAt: "1970-01-01T00:00:00.000Z" }, context, commands, nowMs, settings),
    },
  },
  {
    name: "a decision leaves its hash out of the projection",
    parts: {
      rewriteSql: replacing("INSERT INTO requests", "decision_hash = excluded.decision_hash, ", ""),
    },
  },
  {
    name: "outbox rows are left out when a group is large",
    parts: {
      writeCommit: (db, ledgerId, plan) =>
        REAL_PARTS.writeCommit(db, ledgerId, { ...plan, outbox: plan.outbox.slice(0, 3) }),
    },
  },
  {
    name: "an outcome counts under any lease token",
    parts: {
      rewriteSql: (sql) => sql.replaceAll(UNDER_TOKEN, ""),
    },
  },
  {
    name: "a lane does not wait after a timeout",
    parts: {
      recordOutcomes: (db, outcomes, policy, now, random) =>
        REAL_PARTS.recordOutcomes(db, outcomes, { ...policy, afterTimeoutWaitMs: 0 }, now, random),
    },
  },
  {
    name: "a lease ends with the timeout of its post",
    parts: { leaseDue: (db, options) => REAL_PARTS.leaseDue(db, { ...options, afterTimeoutWaitMs: 0 }) },
  },
  {
    name: "a leased delivery is posted however late it is",
    parts: { received: (delivery) => ({ ...delivery, startBeforeMs: Number.MAX_SAFE_INTEGER }) },
  },
  {
    name: "rows are leased that stand behind others of their lane",
    parts: {
      rewriteSql: replacing(
        "AS ranked",
        "AND NOT EXISTS (\n  SELECT 1 FROM outbox AS earlier",
        "AND true OR NOT EXISTS (\n  SELECT 1 FROM outbox AS earlier",
      ),
    },
  },
  {
    name: "a dead letter does not hold its lane",
    parts: {
      rewriteSql: (sql) => sql.replaceAll("earlier.open = 1", "earlier.open = 1 AND earlier.state <> 'dead'"),
    },
  },
  {
    name: "an anchor rewrites bodies that were frozen",
    parts: {
      rewriteSql: replacing(
        "body = CASE WHEN outbox.state",
        "outbox.state = 'waiting' THEN",
        "EXISTS (SELECT 1 FROM anchors WHERE state = 'confirmed' AND size > outbox.seq) THEN",
      ),
    },
  },
  {
    name: "rows are due before their anchor",
    parts: {
      planCommit: (...args) => {
        const plan = REAL_PARTS.planCommit(...args);
        return { ...plan, outbox: plan.outbox.map((row) => ({ ...row, state: "due" })) };
      },
    },
  },
  {
    name: "failed attempts are not counted",
    parts: {
      rewriteSql: replacing(
        "UPDATE outbox SET state = CASE settled.outcome",
        "outbox.attempts + settled.counted",
        "outbox.attempts",
      ),
    },
  },
  {
    name: "a 404 that may be retried is final",
    parts: { reported: (result) => (result.type === "answered" ? { ...result, retryable: false } : result) },
  },
  {
    name: "Retry-After is not read",
    parts: { reported: (result) => (result.type === "answered" ? { ...result, retryAfter: undefined } : result) },
  },
  {
    name: "an answer of 5xx is final",
    parts: {
      reported: (result) =>
        result.type === "answered" && result.status >= 500 ? { ...result, status: 599 - 200 } : result,
    },
  },
  {
    name: "a redirect counts as delivered",
    parts: {
      reported: (result) =>
        result.type === "answered" && result.status >= 300 && result.status < 400 ? { ...result, status: 200 } : result,
    },
  },
  {
    name: "deliveries are counted once for each record of them",
    parts: {
      rewriteSql: replacing("INSERT INTO relay_counters", "AND o.state = 'leased'", ""),
    },
  },
  {
    name: "leases do not use up the rate of their destination",
    parts: {
      rewriteSql: replacing("INSERT INTO relay_rates", "chosen.leased *", "0 *"),
    },
  },
  {
    name: "nothing sweeps",
    parts: { sweeps: false },
  },
];

/** Seeds that are tried for each at most; the rarest is noticed by one in forty. */
export const MUTATION_SEEDS = 200;

export interface Caught {
  readonly name: string;
  /** Undefined: no seed noticed. */
  readonly seed: number | undefined;
  readonly rule: string | undefined;
}

/**
 * Tries seeds from 1 on until one notices the mutation.
 * @throws Error when the source has changed so that the mutation can no longer be made.
 */
export async function catchMutation({ name, parts }: Mutation, maxSeeds: number): Promise<Caught> {
  for (let seed = 1; seed <= maxSeeds; seed++) {
    const { violation } = await simulate({ seed, parts: { ...REAL_PARTS, ...parts } });
    if (violation?.rule === "mutation") throw new Error(`the mutation "${name}" cannot be made: ${violation.detail}`);
    if (violation !== undefined) return { name, seed, rule: violation.rule };
  }
  return { name, seed: undefined, rule: undefined };
}
