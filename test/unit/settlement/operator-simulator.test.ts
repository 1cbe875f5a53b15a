/** The simulated operator does what docs/operator-api.md promises. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rollingWindow } from "../../../scripts/lib/operator-simulator/rolling-window.ts";
import {
  type Simulator,
  type SimulatorOptions,
  startSimulator,
} from "../../../scripts/lib/operator-simulator/server.ts";
import { signOperatorCall } from "../../../src/settlement/operator/signing.ts";

const SECRET = "operator-secret-for-tests-0c6d1f92b47e";
const DAY = { from: "2026-11-22T00:00:00.000Z", to: "2026-11-23T00:00:00.000Z" };

let simulator: Simulator;
let clock = Date.parse("2026-11-22T09:30:00Z");
const folders: string[] = [];

const start = async (options: Partial<SimulatorOptions> = {}) => {
  simulator = await startSimulator({
    port: 0,
    secrets: [SECRET],
    store: ":memory:",
    controlToken: "control",
    now: () => clock,
    ...options,
  });
};

beforeEach(() => start({ behaviour: { callsPerMinute: 10_000 } }));

afterEach(async () => {
  await simulator.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

interface Sent {
  readonly method?: string;
  readonly body?: unknown;
  readonly secret?: string;
  readonly timestamp?: number;
  readonly correlationId?: string;
}

async function call(
  path: string,
  { method = "GET", body, secret = SECRET, timestamp, correlationId = "c-1" }: Sent = {},
) {
  const text = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
  const seconds = timestamp ?? Math.floor(clock / 1000);
  const answer = await fetch(`${simulator.url}${path}`, {
    method,
    headers: {
      "content-type": "application/json",
      "x-timestamp": String(seconds),
      "x-signature": signOperatorCall(seconds, text, secret),
      "x-correlation-id": correlationId,
      "x-control-token": "control",
    },
    ...(body === undefined ? {} : { body: text }),
  });
  return { status: answer.status, headers: answer.headers, json: JSON.parse(await answer.text()) };
}

const transaction = (over: Readonly<Record<string, unknown>> = {}) => ({
  transactionId: "stl_1",
  type: "payment",
  amountCents: 12_000,
  currency: "CAD",
  reverses: null,
  ...over,
});
const post = (over: Readonly<Record<string, unknown>> = {}, sent: Sent = {}) =>
  call("/v2/transactions", { method: "POST", body: transaction(over), ...sent });
const find = (id = "stl_1") => call(`/v2/transactions?transactionId=${id}`);

describe("transactions", () => {
  it("are stored once and shown to whoever asks", async () => {
    const made = await post();
    expect(made.status).toBe(201);
    expect(made.headers.get("x-correlation-id")).toBe("c-1");
    expect(made.json).toEqual({
      ...transaction(),
      operatorTransactionId: "op_0000000000000001",
      status: "COMPLETED",
      reason: null,
      createdAt: "2026-11-22T09:30:00.000Z",
      updatedAt: "2026-11-22T09:30:00.000Z",
    });
    const again = await post();
    expect(again).toMatchObject({ status: 200, json: made.json });
    expect(await find()).toMatchObject({ status: 200, json: made.json });
    expect(simulator.books.count()).toBe(1);
  });

  it("keep their id: another amount, currency, type or original under it is a conflict", async () => {
    await post({ transactionId: "stl_0" });
    await post();
    for (const over of [
      { amountCents: 1 },
      { currency: "USD" },
      { type: "adjustment" },
      { type: "reversal", reverses: "stl_0" },
    ]) {
      expect(await post(over)).toMatchObject({ status: 409, json: { error: { code: "transaction_conflict" } } });
    }
  });

  it("are refused by rules without being recorded", async () => {
    const refused: readonly [Readonly<Record<string, unknown>>, number, string][] = [
      [{ currency: "XXX" }, 422, "currency_not_supported"],
      [{ amountCents: 0 }, 422, "amount_invalid"],
      [{ amountCents: -5 }, 422, "amount_invalid"],
      [{ type: "reversal", reverses: "stl_none" }, 422, "reversal_refused"],
      [{ type: "payment", reverses: "stl_1" }, 422, "reversal_refused"],
      [{ amountCents: 1.5 }, 400, "invalid_request"],
      [{ extra: 1 }, 400, "invalid_request"],
    ];
    for (const [over, status, code] of refused) {
      expect(await post(over)).toMatchObject({ status, json: { error: { code } } });
    }
    expect(await find()).toMatchObject({ status: 404, json: { error: { code: "unknown_transaction" } } });
    expect(await post({ type: "adjustment", amountCents: -5 })).toMatchObject({ status: 201 });
  });

  it("that complete late say so when they are asked for", async () => {
    simulator.behave({ callsPerMinute: 10_000, late: 1, completesAfterMs: 5_000 });
    expect((await post()).json.status).toBe("ACCEPTED");
    clock += 4_999;
    expect((await find()).json.status).toBe("ACCEPTED");
    clock += 1;
    expect((await find()).json.status).toBe("COMPLETED");
    expect((await post()).json.status).toBe("COMPLETED");
  });

  it("can be rejected for a business reason", async () => {
    simulator.behave({ callsPerMinute: 10_000, rejected: 1 });
    const { status, json } = await post();
    expect({ status, state: json.status }).toEqual({ status: 201, state: "REJECTED" });
    expect(["INSUFFICIENT_FUNDS", "ACCOUNT_CLOSED", "LIMIT_EXCEEDED"]).toContain(json.reason);
  });

  it("are listed in pages by id, each once", async () => {
    for (const n of [7, 3, 9, 1, 5]) await post({ transactionId: `stl_${n}` });
    clock += 86_400_000;
    await post({ transactionId: "stl_4" });
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = new URLSearchParams({
        ...DAY,
        limit: "2",
        ...(cursor === null ? {} : { cursor }),
      }).toString();
      const { json } = await call(`/v2/transactions?${query}`);
      seen.push(...json.transactions.map((one: { transactionId: string }) => one.transactionId));
      cursor = json.nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual(["stl_1", "stl_3", "stl_5", "stl_7", "stl_9"]);
    clock -= 86_400_000;
  });
});

describe("calls", () => {
  it("with a wrong, stale or missing signature are not looked at", async () => {
    expect(await post({}, { secret: "another" })).toMatchObject({
      status: 401,
      json: { error: { code: "bad_signature" } },
    });
    for (const timestamp of [clock / 1000 - 301, clock / 1000 + 301, 0]) {
      expect(await post({}, { timestamp })).toMatchObject({
        status: 401,
        json: { error: { code: "stale_timestamp" } },
      });
    }
    expect(await post({}, { timestamp: clock / 1000 - 300 })).toMatchObject({ status: 201 });
    expect(await post({}, { correlationId: "not one" })).toMatchObject({ status: 400 });
  });

  it("may be signed with the secret before, during a rotation", async () => {
    await simulator.close();
    await start({ secrets: ["the-new-one", SECRET] });
    expect(await post()).toMatchObject({ status: 201 });
  });

  it("are sixty in any minute: the one over it hears how long to wait, and is counted", async () => {
    await simulator.close();
    await start();
    for (let n = 0; n < 60; n++) {
      expect((await find()).status).toBe(404);
      clock += 500;
    }
    const over = await find();
    expect(over).toMatchObject({ status: 429, json: { error: { code: "rate_limited" } } });
    expect(over.headers.get("retry-after")).toBe("31");
    expect(simulator.window).toMatchObject({ violations: 1, most: 61, calls: 61 });
    clock += 31_000;
    expect((await find()).status).toBe(404);
  });

  it("that go wrong after they took effect are found by asking", async () => {
    simulator.behave({ callsPerMinute: 10_000, timeouts: 1, timeoutMs: 0 });
    await expect(post()).rejects.toThrow();
    simulator.behave({ callsPerMinute: 10_000 });
    expect((await find()).status).toBe(200);
  });

  it("go wrong in the same way for the same seed", async () => {
    const outcomes = async () => {
      simulator.behave({ callsPerMinute: 10_000, seed: 7, serverErrors: 0.3, throttled: 0.2 });
      const statuses: number[] = [];
      for (let n = 0; n < 40; n++) statuses.push((await find(`stl_${n}`)).status);
      return statuses;
    };
    const first = await outcomes();
    expect(await outcomes()).toEqual(first);
    expect(new Set(first)).toEqual(new Set([404, 429, 500, 503]));
  });
});

describe("its books", () => {
  it("hold what was answered when the process is started again", async () => {
    const folder = mkdtempSync(join(tmpdir(), "operator-"));
    folders.push(folder);
    await simulator.close();
    await start({ store: join(folder, "books.db") });
    const { json } = await post();
    await simulator.close();
    await start({ store: join(folder, "books.db") });
    expect((await find()).json).toEqual(json);
  });

  it("can be made to differ in every way", async () => {
    await post();
    const control = (path: string, method: string, body?: unknown) => call(`/control/${path}`, { method, body });
    expect(
      await control("transactions/stl_1", "PATCH", { amountCents: 1, currency: "USD", status: "REJECTED" }),
    ).toMatchObject({
      status: 200,
    });
    expect((await find()).json).toMatchObject({ amountCents: 1, currency: "USD", status: "REJECTED" });
    expect(await control("transactions/stl_1", "DELETE")).toMatchObject({ status: 200 });
    expect((await find()).status).toBe(404);
    expect(await control("transactions", "POST", transaction({ transactionId: "stl_2" }))).toMatchObject({
      status: 201,
    });
    expect((await find("stl_2")).status).toBe(200);
    expect(await control("transactions/stl_9", "DELETE")).toMatchObject({ status: 404 });
    const answer = await fetch(`${simulator.url}/control/status`);
    expect(answer.status).toBe(401);
  });
});

it("a window counts arrivals less than its length apart, and those it refused", () => {
  const window = rollingWindow(1_000, () => 2);
  expect([0, 400, 999, 1_000].map((at) => window.arrive(at))).toEqual([undefined, undefined, 401, 999]);
  expect(window).toMatchObject({ calls: 4, violations: 2, most: 3 });
  expect(window.arrive(1_999)).toBeUndefined();
});
