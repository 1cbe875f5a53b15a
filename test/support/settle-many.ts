/**
 * Thousands of settlements through the real rules, commits, leases and driver, on virtual time, against an operator that loses answers.
 * What must hold: each moves its money exactly once, both sides' books agree, and the operator is never called more often than it said.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { cents } from "../../src/platform/cents.ts";
import { toHex, utf8 } from "../../src/platform/encoding.ts";
import { coreSettingsSchema } from "../../src/platform/settings.ts";
import { drainSettlements } from "../../src/settlement/drive.edge.ts";
import type {
  OperatorAnswer,
  OperatorGateway,
  OperatorTransaction,
  OutgoingTransaction,
  PageAnswer,
  PageQuery,
} from "../../src/settlement/operator/gateway.ts";
import type { OperatorBooks, TransactionLookup } from "../../src/settlement/operator/records.ts";
import { dayOf } from "../../src/settlement/reconciliation/days.ts";
import { makeReconciler } from "../../src/settlement/reconciliation/reconcile.edge.ts";
import { findRun } from "../../src/settlement/reconciliation/reconciliation.store.ts";
import type { Run } from "../../src/settlement/reconciliation/run.ts";
import { newRefId } from "../../src/settlement/ref-id.ts";
import type { Command } from "../../src/workflow/commit-plan.ts";
import type { Sequenced } from "../../src/workflow/sequencer.client.ts";
import { seededRandom } from "../e2e/support/random.ts";
import { VirtualClock } from "../unit/relay/virtual-clock.ts";
import { createClaimCommand, finalizeCommand, settleCommand } from "./commands.ts";
import { migratedCore } from "./d1-sqlite.ts";
import { MemoryBucket } from "./memory-bucket.ts";
import { LEDGER, ledgerOn } from "./settlement-ledger.ts";

const CLINICS = 5;
const ISOLATES = 2;
const CALLS_A_MINUTE = 60;
/** As the permits space them: a little more than a second. */
const SPACING_MS = 1_030;
const TICK_MS = 20;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const OPERATOR_PAGE = 100;

export interface SettledMany {
  readonly faults: readonly string[];
  readonly calls: number;
  readonly sends: number;
  readonly lostAnswers: number;
  readonly crashes: number;
  /** Of the days that it took: settlements that both sides agree on. */
  readonly reconciled: number;
  /** Most calls in any 60 s, and fewest in any while there was work for sure. */
  readonly mostAMinute: number;
  readonly leastAMinute: number;
  readonly virtualMinutes: number;
}

export async function settleMany(count: number, seed: number): Promise<SettledMany> {
  const { next: random } = seededRandom(seed);
  const clock = new VirtualClock(Date.parse("2026-11-22T10:00:00.000Z"));
  const { db, sqlite } = migratedCore();
  const bytes = (length: number) => Uint8Array.from({ length }, () => Math.floor(random() * 256));
  const clinics = Array.from({ length: CLINICS }, (_, i) => `clinic-${i}`);
  for (const clinic of clinics)
    sqlite.prepare("INSERT INTO tenants (tenant_id, name, created_at) VALUES (?, ?, 0)").run(clinic, clinic);
  const faults: string[] = [];

  const append = ledgerOn(db, clock.now, (error) => faults.push(`a commit failed: ${String(error)}`));

  const amounts = new Map<string, number>();
  const make = async (i: number): Promise<void> => {
    const tenantId = clinics[i % CLINICS] ?? "default";
    const claimId = `claim-${i}`;
    const claimIdHash = `0x${toHex(sha256(utf8(claimId)))}`;
    const amountMinor = 100 + i;
    const refId = newRefId(bytes);
    amounts.set(refId, amountMinor);
    await append({ ...createClaimCommand(claimId, { tenantId, amountMinor, claimIdHash }) });
    await append({ ...finalizeCommand(claimId), tenantId });
    await append({ ...settleCommand(claimId, { refId, amountCents: cents(amountMinor) }), tenantId });
  };

  const operator = new CarelessOperator(clock, random);
  let crashes = 0;
  const parts = {
    db,
    ledgerId: LEDGER,
    gateway: operator,
    append: async (command: Command): Promise<Sequenced> => {
      // An isolate that ends before or after its commit: what it drove comes back when its lease runs out.
      const crash = random();
      if (crash < 0.005) {
        crashes += 1;
        throw new Error("ended before the commit");
      }
      const sequenced = await append(command);
      if (crash > 0.995) {
        crashes += 1;
        throw new Error("ended after the commit");
      }
      return sequenced;
    },
    now: clock.now,
    sleep: clock.sleep,
    random,
    log: () => {},
  };
  const left = () =>
    Number(sqlite.prepare("SELECT COUNT(*) AS n FROM settlement_drives WHERE due_at IS NOT NULL").get()?.n);

  let isOver = false;
  const ticks = async (): Promise<void> => {
    while (!isOver) await clock.sleep(TICK_MS);
  };
  const startedAt = clock.now();
  await clock.run(
    (async () => {
      const ticking = ticks();
      for (let i = 0; i < count; i += 200) {
        await Promise.all(Array.from({ length: Math.min(200, count - i) }, (_, k) => make(i + k)));
      }
      operator.calls.length = 0;
      const isolate = async (): Promise<void> => {
        // Twice as long as it takes when everything goes well, and an hour.
        const until = clock.now() + count * 3 * SPACING_MS + 60 * MINUTE_MS;
        while (left() > 0 && clock.now() < until) {
          await drainSettlements(parts, { slots: 6, invocationMs: 45_000, idleMs: 10_000 });
          await clock.sleep(500);
        }
      };
      await Promise.all(Array.from({ length: ISOLATES }, isolate));
      isOver = true;
      await ticking;
    })(),
  );

  for (const [refId, amount] of amounts) {
    const effects = operator.effects.get(refId) ?? [];
    if (effects.length !== 1) faults.push(`${refId} took effect ${effects.length} times`);
    if (effects[0]?.amountCents !== amount) faults.push(`${refId} is of another amount at the operator`);
  }
  const rows = sqlite.prepare("SELECT ref_id, status, amount_cents, operator_transaction_id FROM settlements").all();
  for (const row of rows) {
    const refId = String(row.ref_id);
    if (row.status !== "COMPLETED") faults.push(`${refId} is ${String(row.status)}`);
    if (row.amount_cents !== amounts.get(refId)) faults.push(`${refId} is of another amount here`);
    if (row.operator_transaction_id !== operator.idOf(refId)) faults.push(`${refId} names another transaction`);
  }
  if (rows.length !== count) faults.push(`there are ${rows.length} settlements`);
  if (operator.effects.size !== count) faults.push(`the operator has ${operator.effects.size} transactions`);
  const settled = sqlite
    .prepare("SELECT COUNT(*) AS n FROM ledger_entries WHERE body ->> '$.type' = 'CLAIM_SETTLED'")
    .get()?.n;
  if (settled !== count) faults.push(`the ledger has ${String(settled)} confirmations`);
  const { most, least } = perMinute(operator.calls);
  if (most > CALLS_A_MINUTE) faults.push(`${most} calls in one minute`);
  faults.push(...operator.faults);
  const { agreed: reconciled, mismatches, state } = await reconcile(db, operator, startedAt, clock.now());
  if (state !== "completed" || mismatches > 0) faults.push(`reconciliation is ${state}, with ${mismatches} mismatches`);
  if (reconciled !== count) faults.push(`reconciliation agrees on ${reconciled} settlements`);
  sqlite.close();
  return {
    faults,
    reconciled,
    calls: operator.calls.length,
    sends: operator.sends,
    lostAnswers: operator.lost,
    crashes,
    mostAMinute: most,
    leastAMinute: least,
    virtualMinutes: Math.round((clock.now() - startedAt) / MINUTE_MS),
  };
}

/** All days of the run, compared as the cron does the day after. */
async function reconcile(db: D1Database, operator: CarelessOperator, from: number, to: number): Promise<Run> {
  const now = () => to + DAY_MS;
  const env = { DB: db, LEDGER: new MemoryBucket().r2 };
  const settings = coreSettingsSchema.parse({ ENVIRONMENT: "development", LEDGER_ID: LEDGER });
  const reconciler = makeReconciler(env, settings, () => {}, operator, now);
  const run = {
    runId: "all",
    kind: "custom",
    fromDay: dayOf(from),
    toDay: dayOf(to),
    startedBy: "simulation",
  } as const;
  await reconciler.start(run);
  await reconciler.drive(run.runId, HOUR_MS);
  const ended = await findRun(db, LEDGER, run.runId);
  if (ended === undefined) throw new Error("reconciliation has no run");
  return ended;
}

/** Over every rolling minute; `least` over the first half of the time, when there is work for sure. */
function perMinute(calls: readonly number[]): { readonly most: number; readonly least: number } {
  const [first = 0] = calls;
  const half = first + ((calls.at(-1) ?? first) - first) / 2;
  let most = 0;
  let least = Number.POSITIVE_INFINITY;
  let from = 0;
  for (let to = 0; to < calls.length; to++) {
    const at = calls[to] ?? 0;
    while ((calls[from] ?? 0) <= at - MINUTE_MS) from++;
    most = Math.max(most, to - from + 1);
    if (at - first >= MINUTE_MS && at <= half) least = Math.min(least, to - from + 1);
  }
  return { most, least };
}

/** 10 % 5xx (half of which took effect), 10 % timeouts that took effect, 5 % 429, a fifth completes later. */
class CarelessOperator implements Pick<OperatorGateway, "send" | "find">, OperatorBooks {
  readonly effects = new Map<string, OutgoingTransaction[]>();
  readonly #takenAt = new Map<string, number>();
  readonly #completeAt = new Map<string, number>();
  readonly calls: number[] = [];
  readonly faults: string[] = [];
  sends = 0;
  lost = 0;
  readonly #clock: VirtualClock;
  readonly #random: () => number;
  #nextSlot = 0;

  constructor(clock: VirtualClock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  readonly idOf = (refId: string): string => `op-${refId.slice(4)}`;

  /** The limiter's permit: one slot after the other, for all isolates. */
  async #permit(): Promise<void> {
    const at = Math.max(this.#clock.now(), this.#nextSlot);
    this.#nextSlot = at + SPACING_MS;
    await this.#clock.sleep(at - this.#clock.now());
    this.calls.push(this.#clock.now());
  }

  #take(transaction: OutgoingTransaction): void {
    const { refId } = transaction;
    const before = this.effects.get(refId) ?? [];
    this.effects.set(refId, [...before, transaction]);
    this.#takenAt.set(refId, this.#clock.now());
    this.#completeAt.set(refId, this.#clock.now() + (this.#random() < 0.2 ? 30_000 : 0));
  }

  #told(refId: string): OperatorAnswer {
    const isComplete = (this.#completeAt.get(refId) ?? 0) <= this.#clock.now();
    return { kind: isComplete ? "completed" : "accepted", operatorTransactionId: this.idOf(refId) };
  }

  async send(transaction: OutgoingTransaction): Promise<OperatorAnswer> {
    await this.#permit();
    this.sends += 1;
    const roll = this.#random();
    await this.#clock.sleep(50 + Math.floor(this.#random() * 300));
    if (roll < 0.05) return { kind: "not_sent", retryAfterMs: 2_000 };
    if (this.effects.has(transaction.refId)) this.faults.push(`${transaction.refId} was sent though it was there`);
    if (roll < 0.1) {
      this.lost += 1;
      return { kind: "unknown" };
    }
    this.#take(transaction);
    if (roll < 0.25) {
      this.lost += 1;
      if (roll < 0.2) await this.#clock.sleep(10_000);
      return { kind: "unknown" };
    }
    return this.#told(transaction.refId);
  }

  async find(refId: string): Promise<OperatorAnswer> {
    await this.#permit();
    const roll = this.#random();
    await this.#clock.sleep(50 + Math.floor(this.#random() * 300));
    if (roll < 0.05) return { kind: "not_sent", retryAfterMs: 2_000 };
    if (roll < 0.25) {
      this.lost += 1;
      return { kind: "unknown" };
    }
    return this.effects.has(refId) ? this.#told(refId) : { kind: "unknown_transaction" };
  }

  #listed(refId: string): readonly OperatorTransaction[] {
    const [effect] = this.effects.get(refId) ?? [];
    if (effect === undefined) return [];
    const { type, amountCents, currency } = effect;
    const createdAt = new Date(this.#takenAt.get(refId) ?? 0).toISOString();
    const operatorTransactionId = this.idOf(refId);
    return [
      { transactionId: refId, operatorTransactionId, type, amountCents, currency, status: "completed", createdAt },
    ];
  }

  async lookUp(refId: string): Promise<TransactionLookup> {
    const [transaction] = this.#listed(refId);
    return transaction === undefined ? { kind: "unknown_transaction" } : { kind: "found", transaction, reason: null };
  }

  /** In the order of our ids, as its list is. */
  async page({ from, to, cursor }: PageQuery): Promise<PageAnswer> {
    const after = Number(cursor ?? 0);
    const all = [...this.effects.keys()]
      .flatMap((refId) => this.#listed(refId))
      .filter(({ createdAt }) => createdAt >= from && createdAt < to)
      .sort((one, other) => (one.transactionId < other.transactionId ? -1 : 1));
    const end = after + OPERATOR_PAGE;
    return { ok: true, transactions: all.slice(after, end), nextCursor: end < all.length ? String(end) : null };
  }
}
