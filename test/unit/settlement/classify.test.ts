/** What an answer of the operator lets us conclude: the table of docs/operator-api.md. */
import { describe, expect, it } from "vitest";
import { operatorUrlFault } from "../../../src/settlement/operator/address.ts";
import {
  answerOfLookup,
  classifyLookup,
  classifyPage,
  classifySend,
  type Exchange,
  isOperatorFailure,
  retryAfterMsOf,
} from "../../../src/settlement/operator/classify.ts";

const NOW = Date.parse("2026-11-22T09:30:00Z");
const SENT = { type: "payment", amountCents: 12_000, currency: "CAD" };
const shown = (over: Readonly<Record<string, unknown>> = {}) => ({
  transactionId: "stl_1",
  operatorTransactionId: "op_1",
  reverses: null,
  status: "COMPLETED",
  reason: null,
  createdAt: "2026-11-22T09:30:00.000Z",
  updatedAt: "2026-11-22T09:30:00.000Z",
  ...SENT,
  ...over,
});
const answered = (status: number, body: unknown, retryAfter: string | null = null): Exchange => ({
  type: "answered",
  status,
  retryAfter,
  body: typeof body === "string" ? body : JSON.stringify(body),
});
const failed = (status: number, code: string) => answered(status, { error: { code, message: "-" } });
const unknown = { kind: "unknown" };

describe("an answer to a transaction that was sent", () => {
  it.each<[string, Exchange, object]>([
    ["201 completed", answered(201, shown()), { kind: "completed", operatorTransactionId: "op_1" }],
    ["200 completed", answered(200, shown()), { kind: "completed", operatorTransactionId: "op_1" }],
    ["201 accepted", answered(201, shown({ status: "ACCEPTED" })), { kind: "accepted", operatorTransactionId: "op_1" }],
    [
      "201 rejected",
      answered(201, shown({ status: "REJECTED", reason: "LIMIT_EXCEEDED" })),
      { kind: "rejected", reason: "LIMIT-EXCEEDED" },
    ],
    [
      "201 rejected without a code",
      answered(201, shown({ status: "REJECTED", reason: "Dr. Who" })),
      { kind: "rejected", reason: "OPERATOR-REJECTED" },
    ],
    ["a field that is new", answered(201, shown({ fee: 3 })), { kind: "completed", operatorTransactionId: "op_1" }],
    ["another transaction", answered(201, shown({ transactionId: "stl_2" })), unknown],
    ["another amount", answered(200, shown({ amountCents: 1 })), unknown],
    ["another currency", answered(200, shown({ currency: "USD" })), unknown],
    ["another type", answered(200, shown({ type: "adjustment" })), unknown],
    ["a status that is new", answered(201, shown({ status: "PAUSED" })), unknown],
    ["half an answer", answered(201, '{"transactionId":"stl'), unknown],
    ["an answer that is too long", { type: "answered", status: 201, retryAfter: null, body: undefined }, unknown],
    ["400", failed(400, "invalid_request"), { kind: "rejected", reason: "INVALID-REQUEST" }],
    ["400 of a proxy", answered(400, "<html>"), unknown],
    ["401", failed(401, "bad_signature"), { kind: "not_sent", retryAfterMs: 60_000 }],
    ["401 of a proxy", answered(401, "<html>"), unknown],
    ["403", failed(403, "forbidden"), unknown],
    ["404", failed(404, "unknown_transaction"), unknown],
    ["409", failed(409, "transaction_conflict"), unknown],
    ["422", failed(422, "currency_not_supported"), { kind: "rejected", reason: "CURRENCY-NOT-SUPPORTED" }],
    ["429", answered(429, "", "7"), { kind: "not_sent", retryAfterMs: 7_000 }],
    ["429 without a time", answered(429, ""), { kind: "not_sent", retryAfterMs: 5_000 }],
    ["a redirect", answered(302, ""), unknown],
    ["408", answered(408, ""), unknown],
    ["500", failed(500, "internal"), unknown],
    ["503 with a time", answered(503, "", "7"), unknown],
    ["no answer", { type: "no-answer" }, unknown],
  ])("%s", (_name, exchange, expected) => {
    expect(classifySend(exchange, "stl_1", SENT, NOW)).toEqual(expected);
  });
});

describe("an answer to a question", () => {
  it.each<[string, Exchange, object]>([
    ["200", answered(200, shown()), { kind: "completed", operatorTransactionId: "op_1" }],
    [
      "200 rejected",
      answered(200, shown({ status: "REJECTED", reason: null })),
      { kind: "rejected", reason: "OPERATOR-REJECTED" },
    ],
    ["200 about another amount", answered(200, shown({ amountCents: 1 })), unknown],
    ["404", failed(404, "unknown_transaction"), { kind: "unknown_transaction" }],
    ["404 of a wrong address", failed(404, "not_found"), unknown],
    ["404 of a proxy", answered(404, "<html>"), unknown],
    ["401", failed(401, "stale_timestamp"), { kind: "not_sent", retryAfterMs: 60_000 }],
    ["429", answered(429, "", "1"), { kind: "not_sent", retryAfterMs: 1_000 }],
    ["500", failed(500, "internal"), unknown],
    ["400", failed(400, "invalid_request"), unknown],
    ["no answer", { type: "no-answer" }, unknown],
  ])("%s", (_name, exchange, expected) => {
    expect(answerOfLookup(classifyLookup(exchange, "stl_1", NOW), SENT)).toEqual(expected);
  });

  it("says what the operator has when nothing is expected of it", () => {
    const lookup = classifyLookup(answered(200, shown({ amountCents: 1, status: "ACCEPTED" })), "stl_1", NOW);
    expect(lookup).toMatchObject({ kind: "found", transaction: { amountCents: 1, status: "accepted" }, reason: null });
  });
});

describe("a page of the list", () => {
  const page = (transactions: readonly unknown[], nextCursor: string | null = null) =>
    classifyPage(answered(200, { transactions, nextCursor }), NOW);

  it("is taken whole and in order, or not at all", () => {
    const [one, two] = [shown(), shown({ transactionId: "stl_2" })];
    expect(page([one, two], "c")).toMatchObject({
      ok: true,
      nextCursor: "c",
      transactions: [{ transactionId: "stl_1" }, { transactionId: "stl_2" }],
    });
    expect(page([])).toEqual({ ok: true, transactions: [], nextCursor: null });
    for (const broken of [page([two, one]), page([one, one]), page([{ ...one, amountCents: "1" }]), page([], "c")]) {
      expect(broken).toEqual({ ok: false, kind: "unknown" });
    }
    expect(classifyPage(answered(429, "", "3"), NOW)).toEqual({ ok: false, kind: "not_sent", retryAfterMs: 3_000 });
    expect(classifyPage(failed(500, "internal"), NOW)).toEqual({ ok: false, kind: "unknown" });
  });
});

it("Retry-After is seconds or a date, and never a day away", () => {
  expect(retryAfterMsOf("0", NOW)).toBe(0);
  expect(retryAfterMsOf("Sun, 22 Nov 2026 09:30:09 GMT", NOW)).toBe(9_000);
  expect(retryAfterMsOf("Sun, 22 Nov 2020 09:30:09 GMT", NOW)).toBe(0);
  expect(retryAfterMsOf("999999999", NOW)).toBe(86_400_000);
  expect(retryAfterMsOf("soon", NOW)).toBe(5_000);
});

it("the operator fails as such by silence, 408 and 5xx, and not by what it refuses", () => {
  const failing = [{ type: "no-answer" } as const, answered(500, ""), answered(503, ""), answered(408, "")];
  expect(failing.every(isOperatorFailure)).toBe(true);
  expect([200, 400, 401, 404, 409, 422, 429].some((status) => isOperatorFailure(answered(status, "")))).toBe(false);
});

it("the operator is called over https, and over http only in development", () => {
  expect(operatorUrlFault("https://pay.test/api", "production")).toBeUndefined();
  expect(operatorUrlFault("http://127.0.0.1:3005", "development")).toBeUndefined();
  expect(operatorUrlFault("http://pay.test", "production")).toBe("is not https");
  expect(operatorUrlFault("http://pay.test", "staging")).toBe("is not https");
  expect(operatorUrlFault("ftp://pay.test", "development")).toBe("is not https");
  expect(operatorUrlFault("https://me:secret@pay.test", "production")).toBe("has credentials in it");
  expect(operatorUrlFault("https://pay.test?key=1", "production")).toBe("has a query or a fragment");
  expect(operatorUrlFault("pay", "production")).toBe("is not a URL");
});
