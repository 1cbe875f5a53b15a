/** Reconciliation as operators use it: runs, reports and items over HTTP, the payer's operator behind a stub. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { SETTLEMENTS_TABLE, seedSettlements } from "../../../support/settlement-rows.ts";
import { type CallOptions, call, callWith, KEYS, makeKey, migrate, testEnv } from "../support.ts";

const DAY = "2026-11-10";
const NOON = Date.parse(`${DAY}T12:00:00Z`);
const ROOT = "/settlements/reconciliation";
const OPERATOR_URL = "https://pay.test";
const OPERATOR = KEYS.OPERATOR_API_KEY;

/** The operator's books, by transactionId. */
const books = new Map<string, Readonly<Record<string, unknown>>>();
let down = false;

const theirs = (transactionId: string, over: Readonly<Record<string, unknown>> = {}) => ({
  transactionId,
  operatorTransactionId: `op_${transactionId}`,
  type: "payment",
  amountCents: 12_000,
  currency: "CAD",
  reverses: null,
  status: "COMPLETED",
  reason: null,
  createdAt: new Date(NOON).toISOString(),
  updatedAt: new Date(NOON).toISOString(),
  ...over,
});

async function operatorAnswers(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  const { origin, searchParams } = new URL(request.url);
  if (origin !== OPERATOR_URL) throw new Error(`nothing else is called: ${origin}`);
  if (down) return new Response("", { status: 503 });
  if (request.method === "POST") {
    const sent: Readonly<Record<string, unknown>> = await request.json();
    const made = theirs(String(sent.transactionId), sent);
    books.set(made.transactionId, made);
    return Response.json(made, { status: 201 });
  }
  const id = searchParams.get("transactionId");
  if (id === null) return Response.json({ transactions: [...books.values()], nextCursor: null });
  const found = books.get(id);
  return found === undefined
    ? Response.json({ error: { code: "unknown_transaction", message: "-" } }, { status: 404 })
    : Response.json(found);
}

const SETTINGS = { OPERATOR_API_URL: OPERATOR_URL };
const ask = (path: string, options: CallOptions = {}) =>
  callWith(SETTINGS, `${ROOT}${path}`, { key: OPERATOR, ...options });
const post = (path: string, body?: unknown) => ask(path, { method: "POST", ...(body === undefined ? {} : { body }) });

async function reconciled(): Promise<string> {
  const { status, json } = await post("/runs", { from: DAY, to: DAY });
  expect(status).toBe(202);
  const { json: run } = await post(`/runs/${json.runId}/continue`);
  expect(run).toMatchObject({ state: "completed", progress: 1 });
  return json.runId;
}

const openItem = async () => (await ask("/items?state=open")).json.items[0];

beforeAll(async () => {
  await migrate();
  await testEnv.DB.prepare(SETTLEMENTS_TABLE).run();
});
beforeEach(() => {
  vi.spyOn(globalThis, "fetch").mockImplementation(operatorAnswers);
});
afterEach(async () => {
  vi.restoreAllMocks();
  books.clear();
  down = false;
  for (const table of ["settlements", "reconciliation_items", "reconciliation_runs"]) {
    await testEnv.DB.prepare(`DELETE FROM ${table}`).run();
  }
});

describe("a run", () => {
  it("is begun, carried on, listed and reported by an operator", async () => {
    await seedSettlements(testEnv.DB, [{ refId: "stl_1", createdAt: NOON, amountCents: 5 }]);
    books.set("stl_1", theirs("stl_1"));
    const runId = await reconciled();
    const { json: list } = await ask("/runs");
    expect(list).toMatchObject({
      openItems: 1,
      next: null,
      runs: [{ runId, from: DAY, to: DAY, mismatches: 1, startedBy: "operator" }],
    });
    expect((await ask(`/runs/${runId}`)).json).toEqual(list.runs[0]);
    const report = await ask(`/runs/${runId}/report.csv`);
    expect(report.headers.get("content-type")).toContain("text/csv");
    expect(report.text).toContain(
      "stl_1,amount,2026-11-10,clinic-a,payment,0.05,CAD,COMPLETED,op_stl_1,payment,120.00,CAD",
    );
    const stored = await testEnv.LEDGER.get(`reconciliation/main/${runId}.csv`);
    expect(await stored?.text()).toBe(report.text);
  });

  it("needs days that are over, in order, and an operator", async () => {
    for (const body of [
      { from: DAY, to: "2026-11-09" },
      { from: DAY, to: "2099-01-01" },
      { from: "2026-11-31", to: DAY },
      {},
    ]) {
      expect(await post("/runs", body)).toMatchObject({ status: 400, json: { code: "invalid_body" } });
    }
    const options = { method: "POST", key: OPERATOR, body: { from: DAY, to: DAY } };
    expect(await call(`${ROOT}/runs`, options)).toMatchObject({
      status: 503,
      json: { detail: "OPERATOR_API_URL is not set." },
    });
    expect(await post("/runs/unknown/continue")).toMatchObject({ status: 404 });
    expect(await ask("/runs/unknown/report.csv")).toMatchObject({ status: 404 });
  });

  it("that waits for the operator has no report yet", async () => {
    down = true;
    const { json } = await post("/runs", { from: DAY, to: DAY });
    const { json: run } = await post(`/runs/${json.runId}/continue`);
    expect(run).toMatchObject({ state: "running", failures: 1, reason: "no-answer" });
    expect(await ask(`/runs/${json.runId}/report.csv`)).toMatchObject({ status: 409 });
  });
});

describe("an item", () => {
  it("gets an owner and is accepted with a reason", async () => {
    books.set("stl_9", theirs("stl_9"));
    await reconciled();
    const { itemId, ...item } = await openItem();
    expect(item).toMatchObject({ refId: "stl_9", kind: "missing_here", ours: null, theirs: { amountCents: 12_000 } });
    const own = (body: unknown) => ask(`/items/${itemId}/owner`, { method: "PUT", body });
    expect((await own({})).json).toMatchObject({ owner: "operator" });
    expect((await own({ owner: "key-7" })).json).toMatchObject({ owner: "key-7" });
    expect(await own({ owner: "Dr. Who" })).toMatchObject({ status: 400 });
    const resolve = (body: unknown) => post(`/items/${itemId}/resolve`, body);
    expect(await resolve({ action: "accept", reason: "because" })).toMatchObject({ status: 400 });
    expect(await resolve({ action: "replay" })).toMatchObject({ status: 409 });
    expect((await resolve({ action: "accept", reason: "TICKET-1" })).json).toMatchObject({
      outcome: "resolved",
      item: { state: "resolved", resolution: "accepted", reason: "TICKET-1", resolvedBy: "operator" },
    });
    expect(await resolve({ action: "ask" })).toMatchObject({ status: 409 });
    expect(await own({})).toMatchObject({ status: 409 });
    expect((await ask(`/items/${itemId}`)).json).toMatchObject({ state: "resolved" });
    expect(await ask("/items/99999")).toMatchObject({ status: 404 });
  });

  it("that is missing at the operator is sent again, and an operator that is silent decides nothing", async () => {
    await seedSettlements(testEnv.DB, [{ refId: "stl_1", createdAt: NOON }]);
    await reconciled();
    const { itemId } = await openItem();
    down = true;
    expect(await post(`/items/${itemId}/resolve`, { action: "replay" })).toMatchObject({ status: 502 });
    expect(await openItem()).toMatchObject({ itemId, state: "open" });
    down = false;
    expect((await post(`/items/${itemId}/resolve`, { action: "ask" })).json).toMatchObject({
      outcome: "still_differs",
    });
    expect((await post(`/items/${itemId}/resolve`, { action: "replay" })).json).toMatchObject({
      outcome: "resolved",
      item: { resolution: "replayed" },
    });
    expect(books.get("stl_1")).toMatchObject({ amountCents: 12_000, currency: "CAD", type: "payment" });
    const { results } = await testEnv.DB.prepare(
      "SELECT body FROM ledger_entries WHERE body LIKE '%RECONCILIATION_%' ORDER BY seq",
    ).all<{ body: string }>();
    expect(results.at(-1)?.body).toContain('"reason":"REPLAY"');
  });
});

it("reconciliation is for operators alone", async () => {
  const tenantKey = await makeKey("clinic-a", { surface: "workflow", scopes: ["submit", "read"] });
  const calls: readonly [string, CallOptions][] = [
    ["/runs", {}],
    ["/runs", { method: "POST", body: { from: DAY, to: DAY } }],
    ["/runs/r", {}],
    ["/runs/r/continue", { method: "POST" }],
    ["/runs/r/report.csv", {}],
    ["/items", {}],
    ["/items/1", {}],
    ["/items/1/owner", { method: "PUT", body: {} }],
    ["/items/1/resolve", { method: "POST", body: { action: "ask" } }],
  ];
  for (const [path, options] of calls) {
    for (const key of [tenantKey, KEYS.WORKFLOW_API_KEY, KEYS.CLAIMS_API_KEY]) {
      expect((await ask(path, { ...options, key })).status, path).toBe(403);
    }
    expect((await ask(path, { ...options, key: "" })).status, path).toBe(401);
  }
});
