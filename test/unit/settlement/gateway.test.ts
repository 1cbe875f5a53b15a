/** One call from permit to conclusion, over HTTP to the simulated operator. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Permit, PermitRequest } from "../../../durable-objects/operator-limiter.ts";
import { type Simulator, startSimulator } from "../../../scripts/lib/operator-simulator/server.ts";
import { type OperatorPorts, operatorOver } from "../../../src/settlement/operator/calls.ts";
import {
  makeOperatorGateway,
  type OperatorEnv,
  operatorFault,
} from "../../../src/settlement/operator/gateway.client.ts";

const SECRET = "operator-secret-for-tests-0c6d1f92b47e";
const PAYMENT = {
  refId: "stl_1",
  type: "payment",
  amountCents: 12_000,
  currency: "CAD",
  reverses: null,
  correlationId: "c-1",
  clinicKey: "clinic-a",
} as const;

let simulator: Simulator;
let asked: PermitRequest[] = [];
let reports: unknown[] = [];
let permits: Permit[] = [];
let lines: { readonly level: string; readonly event: string; readonly fields: unknown }[] = [];

/** A limiter that gives what the test says, and otherwise a permit at once. */
function limiterOf(broken = false): OperatorEnv["OPERATOR_LIMITER"] {
  const stub = {
    acquire: async (request: PermitRequest): Promise<Permit> => {
      if (broken) throw new Error("moved");
      asked.push(request);
      return permits.shift() ?? { type: "permit", heldMs: 0 };
    },
    report: async (report: unknown) => {
      if (broken) throw new Error("moved");
      reports.push(report);
    },
  };
  return { getByName: () => stub } as unknown as OperatorEnv["OPERATOR_LIMITER"];
}

const gateway = (over: Readonly<Record<string, unknown>> = {}, secret = SECRET, limiter = limiterOf()) =>
  makeOperatorGateway(
    { OPERATOR_LIMITER: limiter, OPERATOR_HMAC_SECRET: secret },
    {
      ENVIRONMENT: "development",
      OPERATOR_API_URL: `${simulator.url}/`,
      OPERATOR_TIMEOUT_MS: 300,
      OPERATOR_PERMIT_WAIT_MS: 1_000,
      ...over,
    },
    (level, event, fields) => lines.push({ level, event, fields }),
  );

beforeAll(async () => {
  simulator = await startSimulator({ port: 0, secrets: [SECRET], store: ":memory:" });
});
afterAll(() => simulator.close());
beforeEach(() => {
  simulator.behave({ callsPerMinute: 100_000 });
  for (const id of ["stl_1", "stl_2"]) simulator.books.drop(id);
  asked = [];
  reports = [];
  permits = [];
  lines = [];
});

describe("the gateway", () => {
  it("sends a signed transaction once it has a permit, and finds it again", async () => {
    const sent = await gateway().send(PAYMENT);
    expect(sent).toMatchObject({ kind: "completed", operatorTransactionId: expect.stringMatching(/^op_/) });
    expect(await gateway().find("stl_1", "c-2")).toEqual(sent);
    expect(asked).toEqual([
      { clinicKey: "clinic-a", priority: "normal", maxWaitMs: 1_000 },
      { clinicKey: "-", priority: "urgent", maxWaitMs: 1_000 },
    ]);
    expect(reports).toEqual([
      { key: "stl_1", failed: false },
      { key: "stl_1", failed: false },
    ]);
    expect(lines.map(({ event, fields }) => ({ event, fields }))).toEqual([
      {
        event: "operator.call",
        fields: expect.objectContaining({ correlationId: "c-1", method: "send", code: "completed", status: 201 }),
      },
      {
        event: "operator.call",
        fields: expect.objectContaining({ correlationId: "c-2", method: "find", code: "completed", status: 200 }),
      },
    ]);
  });

  it("knows a transaction that the operator does not have from one that it can not ask about", async () => {
    expect(await gateway().find("stl_1", "c")).toEqual({ kind: "unknown_transaction" });
    expect(await gateway({ OPERATOR_API_URL: `${simulator.url}/wrong` }).find("stl_1", "c")).toEqual({
      kind: "unknown",
    });
    expect(await gateway({ OPERATOR_API_URL: "http://127.0.0.1:9" }).find("stl_1", "c")).toEqual({ kind: "unknown" });
    expect(reports.at(-1)).toEqual({ key: "stl_1", failed: true });
  });

  it("does not take silence or a 5xx for no effect", async () => {
    simulator.behave({ callsPerMinute: 100_000, timeouts: 1, timeoutMs: 2_000 });
    const startedAt = Date.now();
    expect(await gateway().send(PAYMENT)).toEqual({ kind: "unknown" });
    expect(Date.now() - startedAt).toBeLessThan(1_500);
    simulator.behave({ callsPerMinute: 100_000, down: true });
    expect(await gateway().send({ ...PAYMENT, refId: "stl_2" })).toEqual({ kind: "unknown" });
    expect(reports).toEqual([
      { key: "stl_1", failed: true },
      { key: "stl_2", failed: true },
    ]);
    simulator.behave({ callsPerMinute: 100_000 });
    expect(await gateway().find("stl_1", "c")).toMatchObject({ kind: "completed" });
    expect(await gateway().find("stl_2", "c")).toEqual({ kind: "unknown_transaction" });
  });

  it("hands a 429 on to whoever keeps the pace", async () => {
    simulator.behave({ callsPerMinute: 100_000, throttled: 1 });
    expect(await gateway().send(PAYMENT)).toEqual({ kind: "not_sent", retryAfterMs: 1_000 });
    expect(reports).toEqual([{ key: "stl_1", failed: false, retryAfterMs: 1_000 }]);
  });

  it("sends nothing without a permit", async () => {
    permits = [{ type: "refused", reason: "open", retryAfterMs: 4_000.5 }];
    expect(await gateway().send(PAYMENT)).toEqual({ kind: "not_sent", retryAfterMs: 4_001 });
    expect(await gateway({}, SECRET, limiterOf(true)).send(PAYMENT)).toEqual({ kind: "not_sent", retryAfterMs: 1_000 });
    expect(simulator.books.count()).toBe(0);
    expect(reports).toEqual([]);
  });

  it("sends nothing before it is configured, and nothing over http outside development", async () => {
    const faults: readonly [Readonly<Record<string, unknown>>, string, string][] = [
      [{ OPERATOR_API_URL: undefined }, SECRET, "OPERATOR_API_URL is not set."],
      [{ ENVIRONMENT: "production" }, SECRET, "OPERATOR_API_URL is not https."],
      [{}, "", "OPERATOR_HMAC_SECRET is not set."],
    ];
    for (const [over, secret, reason] of faults) {
      expect(await gateway(over, secret).send(PAYMENT)).toEqual({ kind: "not_sent", retryAfterMs: 300_000 });
      expect(lines.at(-1)?.fields).toMatchObject({ reason });
    }
    expect(simulator.books.count()).toBe(0);
    const unset = {
      ENVIRONMENT: "production",
      OPERATOR_API_URL: undefined,
      OPERATOR_TIMEOUT_MS: 1,
      OPERATOR_PERMIT_WAIT_MS: 1,
    } as const;
    expect(operatorFault({ OPERATOR_LIMITER: limiterOf() }, unset)).toBe("OPERATOR_API_URL is not set.");
  });

  it("does not try a wrong secret for ever", async () => {
    expect(await gateway({}, "another-secret").send(PAYMENT)).toEqual({ kind: "not_sent", retryAfterMs: 60_000 });
  });

  it("does not take another transaction under its id for its own", async () => {
    await gateway().send(PAYMENT);
    expect(await gateway().send({ ...PAYMENT, amountCents: 5 })).toEqual({ kind: "unknown" });
    expect(await gateway().find("stl_1", "c", { amountCents: 5 })).toEqual({ kind: "unknown" });
    expect(
      await gateway().find("stl_1", "c", { amountCents: 12_000, currency: "CAD", clinicKey: "clinic-a" }),
    ).toMatchObject({ kind: "completed" });
    expect(asked.at(-1)).toMatchObject({ clinicKey: "clinic-a" });
  });

  it("lists what the operator has, page by page", async () => {
    await gateway().send(PAYMENT);
    const range = { from: "2020-01-01T00:00:00.000Z", to: "2100-01-01T00:00:00.000Z" };
    expect(await gateway().page({ ...range, cursor: null })).toMatchObject({
      ok: true,
      transactions: [{ transactionId: "stl_1", status: "completed" }],
      nextCursor: null,
    });
    expect(asked.at(-1)).toMatchObject({ priority: "bulk" });
  });
});

describe("a permit that was long on its way", () => {
  const run = async (delays: readonly number[]) => {
    let clock = 0;
    const queue = [...delays];
    let sends = 0;
    const ports: OperatorPorts = {
      acquire: async () => {
        clock += 2_000 + (queue.shift() ?? 0);
        return { type: "permit", heldMs: 2_000 };
      },
      report: async () => {},
      exchange: async () => {
        sends += 1;
        return { type: "no-answer" };
      },
      now: () => clock,
      noted: () => {},
    };
    return { answer: await operatorOver(ports).send(PAYMENT), sends };
  };

  it("is not used: its slot has passed", async () => {
    expect(await run([500])).toEqual({ answer: { kind: "unknown" }, sends: 1 });
    expect(await run([501, 10])).toEqual({ answer: { kind: "unknown" }, sends: 1 });
    expect(await run([501, 600, 9_000])).toEqual({ answer: { kind: "not_sent", retryAfterMs: 1_000 }, sends: 0 });
  });
});

describe("answers of a stranger", () => {
  let server: Server;
  let url = "";
  let reply: { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string } =
    { status: 200 };
  const paths: string[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      paths.push(request.url ?? "");
      response.writeHead(reply.status, reply.headers).end(reply.body ?? "");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address: AddressInfo | string | null = server.address();
    url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  });
  afterAll(() => server.close());

  it("are not followed elsewhere", async () => {
    reply = { status: 307, headers: { location: `${url}/elsewhere` } };
    expect(await gateway({ OPERATOR_API_URL: url }).send(PAYMENT)).toEqual({ kind: "unknown" });
    expect(paths).toEqual(["/v2/transactions"]);
  });

  it("are not read without end", async () => {
    reply = { status: 201, body: " ".repeat(1_000_001) };
    expect(await gateway({ OPERATOR_API_URL: url }).send(PAYMENT)).toEqual({ kind: "unknown" });
  });
});
