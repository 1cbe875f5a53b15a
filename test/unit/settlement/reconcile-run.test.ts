/** Whole runs of reconciliation: our database, the simulated operator over HTTP, and everything between. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Simulator, startSimulator } from "../../../scripts/lib/operator-simulator/server.ts";
import { coreSettingsSchema } from "../../../src/platform/settings.ts";
import { makeOperatorGateway, type OperatorEnv } from "../../../src/settlement/operator/gateway.client.ts";
import type { OperatorBooks } from "../../../src/settlement/operator/records.ts";
import type { Item } from "../../../src/settlement/reconciliation/items.ts";
import { ourOne } from "../../../src/settlement/reconciliation/our-books.store.ts";
import { reconcileDaily } from "../../../src/settlement/reconciliation/reconcile.cron.ts";
import {
  makeReconciler,
  type Reconciler,
  type ReconciliationEnv,
  readReport,
} from "../../../src/settlement/reconciliation/reconcile.edge.ts";
import {
  findRun,
  leaseRun,
  listItems,
  listRuns,
  ownItem,
  resolveItem,
  saveStep,
} from "../../../src/settlement/reconciliation/reconciliation.store.ts";
import { resolveBy } from "../../../src/settlement/reconciliation/resolve.ts";
import { migratedCore } from "../../support/d1-sqlite.ts";
import { MemoryBucket } from "../../support/memory-bucket.ts";
import { SETTLEMENTS_TABLE, seedSettlements } from "../../support/settlement-rows.ts";

const SECRET = "operator-secret-for-tests-0c6d1f92b47e";
const DAY = "2026-11-10";
const NEXT_DAY = "2026-11-11";
const NOON = Date.parse(`${DAY}T12:00:00Z`);

let simulator: Simulator;
let db: D1Database;
let env: ReconciliationEnv;
let runs = 0;

const limiter = {
  getByName: () => ({ acquire: async () => ({ type: "permit", heldMs: 0 }), report: async () => {} }),
} as unknown as OperatorEnv["OPERATOR_LIMITER"];
const settings = () => coreSettingsSchema.parse({ ENVIRONMENT: "development", OPERATOR_API_URL: simulator.url });
const quiet = () => {};
const operator = () => makeOperatorGateway(env, settings(), quiet);
const reconciler = (books: OperatorBooks = operator()): Reconciler => makeReconciler(env, settings(), quiet, books);

const CALM = { callsPerMinute: 1_000_000 };

beforeAll(async () => {
  simulator = await startSimulator({ port: 0, secrets: [SECRET], store: ":memory:", behaviour: CALM });
});
afterAll(() => simulator.close());

const listedIds: string[] = [];
beforeEach(async () => {
  const made = migratedCore();
  made.sqlite.exec(SETTLEMENTS_TABLE);
  db = made.db;
  env = { DB: db, LEDGER: new MemoryBucket().r2, OPERATOR_LIMITER: limiter, OPERATOR_HMAC_SECRET: SECRET };
  simulator.behave(CALM);
  for (const id of listedIds.splice(0)) simulator.books.drop(id);
});

interface There {
  readonly amountCents?: number;
  readonly currency?: string;
  readonly type?: "payment" | "adjustment";
  readonly status?: "ACCEPTED" | "COMPLETED" | "REJECTED";
  readonly at?: number;
}

function there(transactionId: string, over: There = {}): void {
  const { amountCents = 12_000, currency = "CAD", type = "payment", status = "COMPLETED", at = NOON } = over;
  listedIds.push(transactionId);
  const made = { transactionId, type, amountCents, currency, reverses: null };
  simulator.books.add(made, { status, reason: null, completesAt: null }, at);
}

const here = (...refIds: readonly string[]) =>
  seedSettlements(
    db,
    refIds.map((refId) => ({ refId, createdAt: NOON })),
  );

async function reconcile(fromDay = DAY, toDay = fromDay, by = reconciler()): Promise<string> {
  runs += 1;
  const runId = `run-${runs}`;
  await by.start({ runId, kind: "custom", fromDay, toDay, startedBy: "test" });
  await by.drive(runId, 20_000);
  return runId;
}

const items = (state?: Item["state"]) => listItems(db, "main", { state }, 100, { after: 0 });
const shown = (all: readonly Item[]) => all.map(({ refId, kind }) => `${refId} ${kind}`);

describe("a run", () => {
  it("finds every kind of mismatch, and nothing in what agrees or is in flight", async () => {
    await here("stl_agrees", "stl_gone", "stl_amount", "stl_currency", "stl_type");
    await seedSettlements(db, [
      { refId: "stl_status", createdAt: NOON, status: "FAILED" },
      { refId: "stl_refused", createdAt: NOON, status: "REJECTED" },
      { refId: "stl_young", createdAt: NOON, status: "PROCESSING", updatedAt: Date.now() - 1_000 },
    ]);
    there("stl_agrees");
    there("stl_amount", { amountCents: 1 });
    there("stl_currency", { currency: "USD" });
    there("stl_type", { type: "adjustment" });
    there("stl_status");
    there("stl_theirs");
    there("stl_young", { status: "COMPLETED" });
    const runId = await reconcile();
    expect(shown(await items("open"))).toEqual([
      "stl_amount amount",
      "stl_currency currency",
      "stl_gone missing_at_operator",
      "stl_status status",
      "stl_theirs missing_here",
      "stl_type type",
    ]);
    expect(await findRun(db, "main", runId)).toMatchObject({
      ...{ state: "completed", expected: 8, ours: 8, theirs: 7, agreed: 2, inFlight: 1, asked: 1, mismatches: 6 },
    });
    const [amount] = await items();
    expect(amount).toMatchObject({
      ...{ day: DAY, tenantId: "clinic-a", state: "open", owner: null, runId },
      ours: { type: "payment", amountCents: 12_000, currency: "CAD", status: "COMPLETED" },
      theirs: { type: "payment", amountCents: 1, currency: "CAD", status: "COMPLETED" },
    });
  });

  it("writes a report of what it found", async () => {
    await here("stl_gone");
    const runId = await reconcile();
    const report = await readReport(env, "main", runId);
    expect(report?.split("\r\n")).toEqual([
      expect.stringMatching(/^ref_id,kind,day,/),
      expect.stringMatching(
        /^stl_gone,missing_at_operator,2026-11-10,clinic-a,payment,120\.00,CAD,COMPLETED,,,,,,open,/,
      ),
      "",
    ]);
  });

  it("knows a transaction that is on another day at the operator: near midnight, or after an outage", async () => {
    const midnight = Date.parse(`${NEXT_DAY}T00:00:00Z`);
    await seedSettlements(db, [
      { refId: "stl_midnight", createdAt: midnight - 1 },
      { refId: "stl_outage", createdAt: NOON },
    ]);
    there("stl_midnight", { at: midnight + 1 });
    there("stl_outage", { at: midnight + 5 * 86_400_000 });
    const runId = await reconcile(DAY, "2026-11-16");
    expect(await items()).toEqual([]);
    expect(await findRun(db, "main", runId)).toMatchObject({ agreed: 2, asked: 2, ours: 2, theirs: 2 });
  });

  it("walks through days of many pages with at most a page of each side in memory", async () => {
    const ids = Array.from({ length: 1_300 }, (_, n) => `stl_${String(n).padStart(5, "0")}`);
    await here(...ids.filter((_, n) => n !== 777));
    for (const [n, id] of ids.entries()) if (n !== 400) there(id);
    const pages: number[] = [];
    const books = operator();
    const counting: OperatorBooks = {
      lookUp: books.lookUp,
      page: async (query) => {
        const page = await books.page(query);
        if (page.ok) pages.push(page.transactions.length);
        return page;
      },
    };
    const runId = await reconcile(DAY, DAY, reconciler(counting));
    expect(shown(await items())).toEqual(["stl_00400 missing_at_operator", "stl_00777 missing_here"]);
    expect(await findRun(db, "main", runId)).toMatchObject({
      state: "completed",
      ours: 1_299,
      theirs: 1_299,
      agreed: 1_298,
    });
    expect(Math.max(...pages)).toBe(200);
    expect(pages.length).toBeLessThan(12);
  });

  it("goes on where it was when it is interrupted, and counts nothing twice", async () => {
    const ids = Array.from({ length: 450 }, (_, n) => `stl_${String(n).padStart(5, "0")}`);
    await here(...ids);
    for (const id of ids) if (id !== "stl_00300") there(id);
    const books = operator();
    let calls = 0;
    const broken: OperatorBooks = {
      lookUp: books.lookUp,
      page: async (query) => {
        calls += 1;
        if (calls % 2 === 0) throw new Error("the isolate is gone");
        return books.page(query);
      },
    };
    await reconciler().start({ runId: "broken", kind: "custom", fromDay: DAY, toDay: DAY, startedBy: "test" });
    for (let n = 0; n < 6; n++) {
      await reconciler(broken)
        .drive("broken", 20_000)
        .catch(() => {});
      // A lease that was not given back runs out.
      await db.prepare("UPDATE reconciliation_runs SET lease_until = 0").run();
    }
    expect(await findRun(db, "main", "broken")).toMatchObject({
      ...{ state: "completed", ours: 450, theirs: 449, agreed: 449, mismatches: 1 },
    });
    expect(shown(await items())).toEqual(["stl_00300 missing_at_operator"]);
  });

  it("is carried on by one at a time: who comes late changes nothing", async () => {
    await here("stl_1");
    await reconciler().start({ runId: "shared", kind: "custom", fromDay: DAY, toDay: DAY, startedBy: "test" });
    const late = await leaseRun(db, "main", "shared", 60_000, Date.now());
    expect(await leaseRun(db, "main", "shared", 60_000, Date.now())).toBeUndefined();
    await db.prepare("UPDATE reconciliation_runs SET lease_until = 0").run();
    await reconciler().drive("shared", 20_000);
    if (late === undefined) throw new Error("it was not leased");
    const finding = { refId: "stl_9", kind: "status", day: DAY, tenantId: null, ours: null, theirs: null } as const;
    expect(await saveStep(db, "main", late, { ...late, mismatches: 99 }, [finding], DAY, Date.now())).toBeUndefined();
    expect(await findRun(db, "main", "shared")).toMatchObject({ state: "completed", mismatches: 1 });
    expect(shown(await items("open"))).toEqual(["stl_1 missing_at_operator"]);
  });

  it("takes no silence for an answer: it waits, and goes on", async () => {
    await here("stl_1");
    there("stl_1");
    simulator.behave({ ...CALM, down: true });
    const runId = await reconcile();
    const waiting = await findRun(db, "main", runId);
    expect(waiting).toMatchObject({ state: "running", failures: 1, reason: "no-answer", ours: 0 });
    expect((waiting?.dueAt ?? 0) - Date.now()).toBeGreaterThan(5_000);
    simulator.behave(CALM);
    await db.prepare("UPDATE reconciliation_runs SET due_at = 0").run();
    await reconciler().drive(undefined, 20_000);
    expect(await findRun(db, "main", runId)).toMatchObject({ state: "completed", agreed: 1, mismatches: 0 });
  });

  it("does not call missing what it could not ask about", async () => {
    await here("stl_1", "stl_2");
    there("stl_1");
    const books = operator();
    const deaf: OperatorBooks = { ...books, lookUp: async () => ({ kind: "unknown" }) };
    const runId = await reconcile(DAY, DAY, reconciler(deaf));
    expect(await items()).toEqual([]);
    expect(await findRun(db, "main", runId)).toMatchObject({ state: "running", frontier: "stl_1" });
  });
});

describe("an item", () => {
  it("that is found again is the same one, and one that is gone is closed with the reason", async () => {
    await here("stl_1", "stl_2");
    there("stl_2", { amountCents: 5 });
    await reconcile();
    await reconcile();
    const [missing, amount] = await items();
    expect(shown(await items())).toEqual(["stl_1 missing_at_operator", "stl_2 amount"]);
    expect(missing?.seenAt).toBeGreaterThan(missing?.foundAt ?? Number.POSITIVE_INFINITY);
    there("stl_1");
    const third = await reconcile();
    expect(shown(await items("open"))).toEqual(["stl_2 amount"]);
    expect((await items("resolved"))[0]).toMatchObject({
      ...{ itemId: missing?.itemId, resolution: "gone", reason: "NOT-SEEN-AGAIN", resolvedBy: third },
    });
    // A run of other days says nothing of it.
    await reconcile("2026-11-09");
    expect((await items("open"))[0]?.itemId).toBe(amount?.itemId);
  });

  it("that was accepted stays accepted as long as it is the same", async () => {
    await here("stl_1");
    there("stl_1", { amountCents: 5 });
    await reconcile();
    const [item] = await items();
    const done = { resolution: "accepted", reason: "TICKET-1", by: "op" } as const;
    expect(await ownItem(db, "main", item?.itemId ?? 0, "op")).toMatchObject({ owner: "op" });
    expect(await resolveItem(db, "main", item?.itemId ?? 0, done, Date.now())).toMatchObject({ state: "resolved" });
    expect(await resolveItem(db, "main", item?.itemId ?? 0, done, Date.now())).toBeUndefined();
    await reconcile();
    expect(await items("open")).toEqual([]);
    simulator.books.change("stl_1", { amountCents: 6 });
    await reconcile();
    expect(await items("open")).toMatchObject([{ refId: "stl_1", kind: "amount", theirs: { amountCents: 6 } }]);
  });

  const resolve = async (action: "ask" | "replay", item: Item) =>
    resolveBy({ action }, item, 3_600_000, {
      ours: () => ourOne(db, "main", item.refId),
      lookUp: () => operator().lookUp(item.refId, { correlationId: "c" }),
      send: (one) => operator().send({ ...one, correlationId: "c", clinicKey: one.tenantId }),
      now: Date.now,
    });

  it("is resolved by asking when both say the same now, and else shows what they say", async () => {
    await here("stl_1");
    there("stl_1", { status: "REJECTED" });
    await reconcile();
    const [item] = await items();
    if (item === undefined) throw new Error("nothing was found");
    expect(await resolve("ask", item)).toMatchObject({ type: "differs", theirs: { status: "REJECTED" } });
    simulator.books.change("stl_1", { status: "COMPLETED" });
    expect(await resolve("ask", item)).toEqual({ type: "resolved", resolution: "agreed", reason: null });
    simulator.behave({ ...CALM, down: true });
    expect(await resolve("ask", item)).toEqual({ type: "no_answer" });
    simulator.behave({ ...CALM, throttled: 1 });
    expect(await resolve("ask", item)).toEqual({ type: "not_sent", retryAfterMs: 1_000 });
  });

  it("that is missing at the operator is sent again under its own id, once and only after asking", async () => {
    await here("stl_1");
    await reconcile();
    const [item] = await items();
    if (item === undefined) throw new Error("nothing was found");
    listedIds.push("stl_1");
    expect(await resolve("replay", item)).toEqual({ type: "resolved", resolution: "replayed", reason: null });
    expect(simulator.books.find("stl_1", Date.now())).toMatchObject({ amountCents: 12_000, status: "COMPLETED" });
    expect(await resolve("replay", item)).toEqual({ type: "resolved", resolution: "agreed", reason: null });
    expect(simulator.books.count()).toBe(1);
  });

  it("of another kind is not sent again", async () => {
    await here("stl_1");
    there("stl_1", { amountCents: 5 });
    there("stl_2");
    await seedSettlements(db, [{ refId: "stl_3", createdAt: NOON, status: "PROCESSING" }]);
    await reconcile();
    const all = await items();
    expect(shown(all)).toEqual(["stl_1 amount", "stl_2 missing_here", "stl_3 missing_at_operator"]);
    for (const item of all) expect(await resolve("replay", item)).toMatchObject({ type: "not_replayable" });
  });
});

describe("the cron", () => {
  it("begins each day's run once, catches up, and leaves an unset operator alone", async () => {
    const now = Date.parse("2026-11-12T03:00:00Z");
    await reconcileDaily(env, settings(), quiet, now);
    await reconcileDaily(env, settings(), quiet, now);
    await reconcileDaily(env, settings(), quiet, now + 2 * 86_400_000);
    const all = await listRuns(db, "main", 10, undefined);
    expect(all.map(({ runId }) => runId).toSorted()).toEqual([
      "daily-2026-11-11",
      "daily-2026-11-12",
      "daily-2026-11-13",
    ]);
    expect(all.every(({ state }) => state === "completed")).toBe(true);
    const unset = coreSettingsSchema.parse({ ENVIRONMENT: "development" });
    await reconcileDaily(env, unset, quiet, now + 9 * 86_400_000);
    expect(await listRuns(db, "main", 10, undefined)).toHaveLength(3);
  });
});
