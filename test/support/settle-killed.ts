/**
 * The settlement driver killed before and after each of its steps (a statement, an append, a call), against the simulated operator
 * over HTTP. What an isolate had begun is gone with it; the next one finds what is due. Time is moved by hand, so that nothing
 * waits for a lease.
 */
import type { DatabaseSync } from "node:sqlite";
import { sha256 } from "@noble/hashes/sha2.js";
import * as z from "zod";
import { type Simulator, startSimulator } from "../../scripts/lib/operator-simulator/server.ts";
import { cents } from "../../src/platform/cents.ts";
import { toHex, utf8 } from "../../src/platform/encoding.ts";
import { coreSettingsSchema } from "../../src/platform/settings.ts";
import { type DriveParts, drainSettlements } from "../../src/settlement/drive.edge.ts";
import { makeOperatorGateway, type OperatorEnv } from "../../src/settlement/operator/gateway.client.ts";
import type { SettlementType } from "../../src/settlement/operator/gateway.ts";
import { dayOf } from "../../src/settlement/reconciliation/days.ts";
import { makeReconciler } from "../../src/settlement/reconciliation/reconcile.edge.ts";
import { findRun } from "../../src/settlement/reconciliation/reconciliation.store.ts";
import { newRefId } from "../../src/settlement/ref-id.ts";
import type { Command } from "../../src/workflow/commit-plan.ts";
import type { Sequenced } from "../../src/workflow/sequencer.client.ts";
import { seededRandom } from "../e2e/support/random.ts";
import { createClaimCommand, finalizeCommand, hashOf } from "./commands.ts";
import { D1OnSqlite, migratedCore } from "./d1-sqlite.ts";
import { MemoryBucket } from "./memory-bucket.ts";
import { LEDGER, ledgerOn } from "./settlement-ledger.ts";

const SECRET = "operator-secret-for-tests-0c6d1f92b47e";
const CONTROL = "control";
const TENANT = "clinic-a";
const APPROVED = 12_000;
const LEASE_AND_MORE_MS = 300_000;
const DAY_MS = 86_400_000;
/** Of turns after the last kill; each moves the clock on by more than a lease. */
const MAX_TURNS = 60;

const statusSchema = z.looseObject({ repeats: z.int() });

export type Behaviour = Parameters<Simulator["behave"]>[0];

/** One invocation: after its end nothing of it happens any more, whatever was under way. */
export class Isolate {
  steps = 0;
  ended = false;
  readonly #endsAt: (step: number) => "before" | "after" | undefined;

  constructor(endsAt: (step: number) => "before" | "after" | undefined) {
    this.#endsAt = endsAt;
  }

  async through<Result>(run: () => Promise<Result>): Promise<Result> {
    if (this.ended) throw new Error("the isolate has ended");
    this.steps += 1;
    const end = this.#endsAt(this.steps);
    if (end === "before") {
      this.ended = true;
      throw new Error("ended before the step");
    }
    const result = await run();
    if (this.ended || end === "after") {
      this.ended = true;
      throw new Error("ended after the step");
    }
    return result;
  }
}

class OfIsolate extends D1OnSqlite {
  readonly #isolate: Isolate;

  constructor(sqlite: ConstructorParameters<typeof D1OnSqlite>[0], isolate: Isolate) {
    super(sqlite);
    this.#isolate = isolate;
  }

  override call<Result>(run: () => Result): Promise<Result> {
    return this.#isolate.through(() => super.call(run));
  }
}

export interface SettlingWorld {
  readonly simulator: Simulator;
  readonly faults: string[];
  /** @returns its hash, the claim approved for 120.00. */
  claim(): Promise<string>;
  /** @returns refId, or undefined when the ledger refuses. */
  settle(subject: string, type: SettlementType, amount: number, reverses?: string): Promise<string | undefined>;
  /** One invocation of the driver. */
  drain(isolate: Isolate, slots: number): Promise<void>;
  /** Undisturbed ones until nothing is due. @returns whether it came to that. */
  finish(): Promise<boolean>;
  /** Lets what is leased fall due. */
  passLease(): void;
  statusOf(refId: string): string;
  /** Settlements that the ledger took. */
  asked(): number;
  /** What does not hold of everything asked so far. */
  check(): readonly string[];
  /** What the operator was called for, `send <refId>` or `ask <refId>`. */
  readonly calls: string[];
  readonly db: D1Database;
  /** The same time, operator and settlements over another database: a restored one. */
  moved(made: Pick<Made, "db" | "sqlite">): SettlingWorld;
  /** A run over all days so far. */
  reconciled(): Promise<{ readonly state: string; readonly agreed: number; readonly mismatches: number }>;
  close(): Promise<void>;
}

interface Wanted {
  readonly subject: string;
  readonly type: SettlementType;
  readonly amount: number;
}

interface Made {
  readonly db: D1Database;
  readonly sqlite: DatabaseSync;
  readonly simulator: Simulator;
  readonly wanted: Map<string, Wanted>;
  readonly time: { aheadMs: number };
}

export async function settlingWorld(seed: number): Promise<SettlingWorld> {
  const { db, sqlite } = migratedCore();
  sqlite.prepare("INSERT INTO tenants (tenant_id, name, created_at) VALUES (?1, ?1, 0)").run(TENANT);
  const simulator = await startSimulator({ port: 0, secrets: [SECRET], store: ":memory:", controlToken: CONTROL });
  // Long past, so that days are over and nothing is in flight for whoever reconciles them.
  return worldOver(seed, { db, sqlite, simulator, wanted: new Map(), time: { aheadMs: -30 * DAY_MS } });
}

function worldOver(seed: number, made: Made): SettlingWorld {
  const { db, sqlite, simulator, wanted, time } = made;
  const { next: random } = seededRandom(seed);
  const faults: string[] = [];
  const calls: string[] = [];
  const now = (): number => Date.now() + time.aheadMs;
  const bytes = (length: number) => Uint8Array.from({ length }, () => Math.floor(random() * 256));
  const append = ledgerOn(db, now, (error) => faults.push(`a commit failed: ${String(error)}`));
  const limiter = {
    getByName: () => ({ acquire: async () => ({ type: "permit", heldMs: 0 }), report: async () => {} }),
  } as unknown as OperatorEnv["OPERATOR_LIMITER"];
  const env = { DB: db, LEDGER: new MemoryBucket().r2, OPERATOR_LIMITER: limiter, OPERATOR_HMAC_SECRET: SECRET };
  const settings = coreSettingsSchema.parse({ ENVIRONMENT: "development", OPERATOR_API_URL: simulator.url });
  const gateway = makeOperatorGateway(env, settings, () => {});
  let claims = 0;

  const partsOf = (isolate: Isolate): DriveParts => ({
    db: new OfIsolate(sqlite, isolate),
    ledgerId: LEDGER,
    gateway: {
      send: (transaction) => {
        calls.push(`send ${transaction.refId}`);
        return isolate.through(() => gateway.send(transaction));
      },
      find: (refId, correlationId) => {
        calls.push(`ask ${refId}`);
        return isolate.through(() => gateway.find(refId, correlationId));
      },
    },
    append: (command: Command): Promise<Sequenced> => isolate.through(() => append(command)),
    now,
    sleep: async (ms) => {
      time.aheadMs += ms;
    },
    random,
    log: () => {},
  });
  const underWay = (): number =>
    Number(sqlite.prepare("SELECT COUNT(*) AS n FROM settlement_drives WHERE due_at IS NOT NULL").get()?.n);
  const rowOf = (refId: string) => sqlite.prepare("SELECT * FROM settlements WHERE ref_id = ?").get(refId);

  const world: SettlingWorld = {
    simulator,
    faults,
    calls,
    db,
    moved: (to) => worldOver(seed + 1, { ...made, ...to }),
    async claim() {
      claims += 1;
      const claimId = `claim-${seed}-${claims}`;
      const claimIdHash = `0x${toHex(sha256(utf8(claimId)))}`;
      await append(createClaimCommand(claimId, { tenantId: TENANT, amountMinor: APPROVED, claimIdHash }));
      await append({ ...finalizeCommand(claimId), tenantId: TENANT });
      return claimIdHash;
    },
    async settle(subject, type, amount, reverses) {
      const refId = newRefId(bytes);
      const sequenced = await append({
        type: "CreateSettlement",
        tenantId: TENANT,
        actor: "operator",
        correlationId: `c-${refId.slice(4, 20)}`,
        subjectKind: "claim",
        subject,
        settlement: {
          refId,
          type,
          amountCents: cents(amount),
          currency: "CAD",
          reverses: reverses ?? null,
          commitment: hashOf(refId),
        },
      });
      if (sequenced.type !== "done") return undefined;
      wanted.set(refId, { subject, type, amount });
      return refId;
    },
    async drain(isolate, slots) {
      await drainSettlements(partsOf(isolate), { slots, invocationMs: 45_000, idleMs: 0 }).catch((error: unknown) => {
        if (!isolate.ended) faults.push(`the driver broke: ${String(error)}`);
      });
    },
    async finish() {
      for (let turn = 0; turn < MAX_TURNS && underWay() > 0; turn++) {
        world.passLease();
        await world.drain(new Isolate(() => undefined), 6);
      }
      return underWay() === 0;
    },
    passLease() {
      time.aheadMs += LEASE_AND_MORE_MS;
    },
    asked: () => wanted.size,
    statusOf: (refId) => String(rowOf(refId)?.status),
    check() {
      const found: string[] = [...faults];
      const taken = new Map<string, number>();
      for (const [refId, { subject, type, amount }] of wanted) {
        const row = rowOf(refId);
        const there = simulator.books.find(refId, Date.now());
        const status = String(row?.status);
        if (status !== "COMPLETED" && status !== "REJECTED") found.push(`${refId} ended ${status}`);
        if (there?.status !== status) found.push(`${refId} is ${status} here and ${there?.status} at the operator`);
        if (there?.amountCents !== amount || row?.amount_cents !== amount) found.push(`${refId} is of another amount`);
        if (status === "COMPLETED" && row?.operator_transaction_id !== there?.operatorTransactionId)
          found.push(`${refId} names another transaction`);
        if (there?.status === "COMPLETED")
          taken.set(subject, (taken.get(subject) ?? 0) + (type === "reversal" ? -amount : amount));
      }
      for (const [subject, sum] of taken) {
        if (sum < 0 || sum > APPROVED) found.push(`${sum} cents moved for ${subject.slice(0, 10)}`);
      }
      if (simulator.books.count() !== wanted.size)
        found.push(`the operator has ${simulator.books.count()} transactions of ${wanted.size}`);
      const ends = sqlite
        .prepare(
          `SELECT body ->> '$.data.refId' AS refId, COUNT(*) AS n FROM ledger_entries
           WHERE body ->> '$.type' IN ('CLAIM_SETTLED', 'SETTLEMENT_REVERSED', 'SETTLEMENT_ADJUSTED', 'SETTLEMENT_REJECTED')
           GROUP BY 1`,
        )
        .all();
      if (ends.length !== wanted.size || ends.some(({ n }) => n !== 1))
        found.push(`the ledger ends ${ends.length} of ${wanted.size} settlements, or one twice`);
      return found;
    },
    async reconciled() {
      const reconciler = makeReconciler(env, settings, () => {}, gateway);
      const [fromDay, toDay] = [dayOf(Date.now() - 30 * DAY_MS), dayOf(now())];
      await reconciler.start({ runId: "all", kind: "custom", fromDay, toDay, startedBy: "test" });
      await reconciler.drive("all", 60_000);
      const run = await findRun(db, LEDGER, "all");
      if (run === undefined) throw new Error("the run is not there");
      return { state: run.state, agreed: run.agreed, mismatches: run.mismatches };
    },
    async close() {
      await simulator.close();
      sqlite.close();
    },
  };
  return world;
}

/** How often a transaction that the operator had was sent to it again. */
export async function repeatsAt({ simulator }: SettlingWorld): Promise<number> {
  const answer = await fetch(`${simulator.url}/control/status`, { headers: { "x-control-token": CONTROL } });
  return statusSchema.parse(await answer.json()).repeats;
}
