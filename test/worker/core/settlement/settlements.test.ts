/** Settlements from the request to the operator's confirmation, and every error of the table. */
import { beforeAll, describe, expect, it } from "vitest";
import { scrubPortOf } from "../../../../src/ledger/scrub.edge.ts";
import { coreSettingsSchema } from "../../../../src/platform/settings.ts";
import { rebuildSettlements } from "../../../../src/settlement/rebuild.store.ts";
import { sweepSettlements } from "../../../../src/settlement/sweep.cron.ts";
import {
  call,
  callWith,
  EMPTY,
  INSURER,
  KEYS,
  makeKey,
  migrate,
  payloadOf,
  signed,
  submit,
  testEnv,
} from "../support.ts";
import {
  approvedRequest,
  ask,
  CLAIMS,
  clock,
  drive,
  entryTypes,
  expectValid,
  finalClaim,
  MemoryOperator,
  newKey,
  OPERATOR,
  shown,
} from "./support.ts";

beforeAll(migrate);

const settle = (claimId: string) => call(`/claims/${claimId}/settle`, { ...EMPTY, key: CLAIMS });
const claimStatus = async (claimId: string) => (await call(`/claims/${claimId}`, { key: CLAIMS })).json.status;

async function completed(body: Readonly<Record<string, unknown>>): Promise<string> {
  const { status, json } = await ask(body);
  expect(status).toBe(201);
  await drive(new MemoryOperator());
  expect((await shown(json.refId)).json.status).toBe("COMPLETED");
  return json.refId;
}

describe("settling a claim", () => {
  it("is PENDING until the operator confirms, and CLAIM_SETTLED only then", async () => {
    const { claimId, claimIdHash } = await finalClaim();
    const first = await settle(claimId);
    expect(first).toMatchObject({ status: 200, json: { status: "SETTLEMENT_PENDING", changed: true } });
    expect(await entryTypes(claimIdHash)).toEqual(["CLAIM_CREATED", "CLAIM_FINALIZED", "SETTLEMENT_CREATED"]);
    expect(await settle(claimId)).toMatchObject({ status: 200, json: { changed: false, ledger: null } });

    const operator = new MemoryOperator();
    await drive(operator);
    expect([...operator.done.values()]).toMatchObject([{ type: "payment", amountCents: 12_000, currency: "CAD" }]);
    expect(await entryTypes(claimIdHash)).toEqual([
      "CLAIM_CREATED",
      "CLAIM_FINALIZED",
      "SETTLEMENT_CREATED",
      "SETTLEMENT_STARTED",
      "CLAIM_SETTLED",
    ]);
    expect(await claimStatus(claimId)).toBe("SETTLED");
    expect(await settle(claimId)).toMatchObject({ status: 200, json: { status: "SETTLED", changed: false } });
  });

  it("twice at once makes one payment", async () => {
    const { claimId, claimIdHash } = await finalClaim();
    const both = await Promise.all([settle(claimId), settle(claimId)]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    expect((await entryTypes(claimIdHash)).filter((type) => type === "SETTLEMENT_CREATED")).toHaveLength(1);
  });

  it("asks again once the operator refused", async () => {
    await drive(new MemoryOperator());
    const { claimId } = await finalClaim();
    await settle(claimId);
    const operator = new MemoryOperator();
    operator.next = ["rejected"];
    await drive(operator);
    expect(await claimStatus(claimId)).toBe("FINALIZED");
    expect(await settle(claimId)).toMatchObject({ status: 200, json: { changed: true } });
    await drive(operator);
    expect(await claimStatus(claimId)).toBe("SETTLED");
  });

  it("never puts an amount into the ledger or a webhook, and commits to it", async () => {
    const { claimId, claimIdHash } = await finalClaim({ totalAmount: 8_713.29 });
    await settle(claimId);
    await drive(new MemoryOperator());
    const { results } = await testEnv.DB.prepare("SELECT body FROM ledger_entries WHERE subject = ? ORDER BY seq")
      .bind(claimIdHash)
      .all<{ body: string }>();
    expect(results.map(({ body }) => body).join()).not.toContain("871329");
    expect(JSON.parse(results[2]?.body ?? "").commitment).toMatch(/^0x[0-9a-f]{64}$/);
  });

  it.each([
    ["JPY", 1_250, 1_250],
    ["KWD", 12.345, 12_345],
    ["USD", 12.34, 1_234],
  ])("pays minor units of %s", async (currency, totalAmount, amountCents) => {
    const { claimId } = await finalClaim({ currency, totalAmount });
    const { status, json } = await ask({ claimId, type: "payment" });
    expect({ status, json }).toMatchObject({ status: 201, json: { currency, amountCents } });
    expect((await ask({ claimId, type: "payment", amountCents: 1 })).json).toMatchObject({ reason: "over-approved" });
  });
});

describe("settling a request", () => {
  it("pays what was approved, once; a correction needs a reversal first", async () => {
    const { requestId, requestIdHash } = await approvedRequest();
    const refId = await completed({ requestId, type: "payment" });
    const correct = () => submit(signed(payloadOf(), { corrects: requestId }));
    expect(await correct()).toMatchObject({ status: 409, json: { code: "out_of_order" } });
    await completed({ requestId, type: "reversal", reverses: refId });
    expect(await entryTypes(requestIdHash)).toEqual([
      "REQUEST_SUBMITTED",
      "REQUEST_ADJUDICATED",
      "SETTLEMENT_CREATED",
      "SETTLEMENT_STARTED",
      "CLAIM_SETTLED",
      "SETTLEMENT_CREATED",
      "SETTLEMENT_STARTED",
      "SETTLEMENT_REVERSED",
    ]);
    const successor = await correct();
    expect(successor.status).toBe(201);
    expect(await ask({ requestId, type: "payment" })).toMatchObject({
      status: 409,
      json: { code: "superseded", supersededBy: successor.json.requestIdHash },
    });
  });

  it("refuses a correction while the money is on its way", async () => {
    const { requestId } = await approvedRequest();
    expect((await ask({ requestId, type: "payment" })).status).toBe(201);
    expect((await submit(signed(payloadOf(), { corrects: requestId }))).status).toBe(409);
  });

  it("is asked for by the approval itself, in the same commit, where that is set so", async () => {
    const over = { SETTLE_ON_APPROVAL: "true" };
    const { json } = await submit(signed(payloadOf(), { externalRequestId: "ON-APPROVAL" }));
    const decide = { method: "POST", body: { decision: "APPROVED" } } as const;
    expect((await callWith(over, "/workflow/requests/ON-APPROVAL/adjudicate", decide)).status).toBe(200);
    expect((await callWith(over, "/workflow/requests/ON-APPROVAL/adjudicate", decide)).status).toBe(200);
    const { results } = await testEnv.DB.prepare(
      "SELECT command_id, command_index, body ->> 'type' AS type FROM ledger_entries WHERE subject = ? ORDER BY seq",
    )
      .bind(json.requestIdHash)
      .all();
    expect(results.slice(1)).toMatchObject([
      { type: "REQUEST_ADJUDICATED", command_index: 0, command_id: `adj:${json.requestIdHash}:0` },
      { type: "SETTLEMENT_CREATED", command_index: 1, command_id: `adj:${json.requestIdHash}:0` },
    ]);
    const listed = await call("/settlements/search", {
      method: "POST",
      key: OPERATOR,
      body: { requestId: "ON-APPROVAL" },
    });
    expect(listed.json.settlements).toMatchObject([{ amountCents: 12_000, type: "payment", status: "PENDING" }]);
  });
});

describe("a settlement's webhooks", () => {
  it("go to destinations that ask for them by name, and to no other", async () => {
    const put = (id: string, eventTypes?: readonly string[]) =>
      call(`/relay/destinations/${id}`, {
        method: "PUT",
        key: OPERATOR,
        body: {
          kind: "INSURER",
          insurerAddress: id === "asks" ? INSURER : "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
          url: "https://hooks.example.ca/x",
          secret: "a-signing-secret-of-this-destination",
          ...(eventTypes === undefined ? {} : { eventTypes }),
        },
      });
    expect((await put("asks", ["REQUEST_SUBMITTED", "SETTLEMENT_COMPLETED", "SETTLEMENT_REJECTED"])).status).toBe(201);
    expect((await put("default")).json.eventTypes).toEqual([
      "REQUEST_SUBMITTED",
      "REQUEST_ACKNOWLEDGED",
      "REQUEST_ADJUDICATED",
    ]);
    const { requestId, requestIdHash } = await approvedRequest();
    const refId = await completed({ requestId, type: "payment" });
    const { results } = await testEnv.DB.prepare(
      "SELECT destination_id, event_type, body FROM outbox WHERE subject = ? ORDER BY outbox_id",
    )
      .bind(requestIdHash)
      .all<{ destination_id: string; event_type: string; body: string }>();
    expect(results.map((row) => [row.destination_id, row.event_type])).toEqual([
      ["asks", "REQUEST_SUBMITTED"],
      ["asks", "SETTLEMENT_COMPLETED"],
    ]);
    expect(JSON.parse(results[1]?.body ?? "")).toMatchObject({
      requestIdHash,
      data: { refId, settlementType: "payment", operatorTransactionId: `op:${refId.slice(4)}` },
    });
    expect(results[1]?.body).not.toContain("12000");
    await call("/relay/destinations/asks", { method: "DELETE", key: OPERATOR });
    await call("/relay/destinations/default", { method: "DELETE", key: OPERATOR });
  });
});

describe("the errors of /settlements", () => {
  let claimId = "";
  let paid = "";
  beforeAll(async () => {
    ({ claimId } = await finalClaim());
    paid = await completed({ claimId, type: "payment", amountCents: 10_000 });
  });

  it.each<[string, number, string, () => Promise<{ readonly status: number; readonly json: Record<string, unknown> }>]>(
    [
      ["no key", 401, "unauthenticated", () => ask({ claimId, type: "payment" }, { key: "" })],
      ["a wrong key", 401, "unauthenticated", () => ask({ claimId, type: "payment" }, { key: "wrong" })],
      [
        "another surface's key",
        403,
        "forbidden",
        () => ask({ claimId, type: "payment" }, { key: KEYS.WORKFLOW_API_KEY }),
      ],
      [
        "another tenant",
        403,
        "forbidden",
        () => ask({ claimId, type: "payment", tenantId: "elsewhere" }, { key: CLAIMS }),
      ],
      ["no type", 400, "invalid_body", () => ask({ claimId })],
      ["neither claim nor request", 400, "invalid_body", () => ask({ type: "payment" })],
      ["a fraction of a cent", 400, "invalid_body", () => ask({ claimId, type: "payment", amountCents: 0.5 })],
      ["past safe integers", 400, "invalid_body", () => ask({ claimId, type: "payment", amountCents: 2 ** 53 })],
      ["a field that there is not", 400, "invalid_body", () => ask({ claimId, type: "payment", amount: 1 })],
      ["a currency of another form", 400, "invalid_body", () => ask({ claimId, type: "payment", currency: "cad" })],
      ["a reversal of nothing", 400, "invalid_body", () => ask({ claimId, type: "reversal" })],
      ["an adjustment by nothing", 400, "invalid_body", () => ask({ claimId, type: "adjustment" })],
      ["an unknown claim", 404, "not_found", () => ask({ claimId: "nobody", type: "payment" })],
      ["an unknown settlement", 404, "not_found", () => shown(`stl_${"0".repeat(26)}`)],
      ["a refId of another form", 400, "invalid_query", () => shown("nothing")],
      [
        "a claim that is not final",
        409,
        "out_of_order",
        async () => {
          const { json } = await call("/claims", { method: "POST", key: CLAIMS, body: signed(payloadOf()) });
          return ask({ claimId: json.claimId, type: "payment" });
        },
      ],
      [
        "a step that does not follow",
        409,
        "conflict",
        () =>
          call(`/settlements/${paid}/resolve`, {
            method: "POST",
            key: OPERATOR,
            body: { outcome: "FAILED", reason: "X-1" },
          }),
      ],
      [
        "more than was approved",
        422,
        "settlement_refused",
        () => ask({ claimId, type: "payment", amountCents: 2_001 }),
      ],
      ["another currency", 422, "settlement_refused", () => ask({ claimId, type: "payment", currency: "EUR" })],
      ["nothing", 422, "settlement_refused", () => ask({ claimId, type: "payment", amountCents: 0 })],
      [
        "reversing too much",
        422,
        "settlement_refused",
        () => ask({ claimId, type: "reversal", reverses: paid, amountCents: 10_001 }),
      ],
      [
        "paying for a pre-authorization",
        422,
        "settlement_refused",
        async () => {
          const { requestId } = await approvedRequest({ type: "preauth" }, "/workflow/preauths");
          return ask({ requestId, type: "payment" });
        },
      ],
      [
        "an erased claim",
        410,
        "erased",
        async () => {
          const { claimId: gone } = await finalClaim();
          await call(`/claims/${gone}/personal-data`, {
            method: "DELETE",
            key: CLAIMS,
            body: { reason: "COURT_ORDER" },
          });
          return ask({ claimId: gone, type: "payment" });
        },
      ],
      [
        "too many requests",
        429,
        "rate_limited",
        async () => {
          const key = await makeKey("slow-clinic", { surface: "claims", scopes: ["submit"], requestsPerMinute: 1 });
          await ask({ claimId, type: "payment" }, { key });
          const limited = await ask({ claimId, type: "payment" }, { key });
          expect(Number(limited.headers.get("retry-after"))).toBeGreaterThan(0);
          return limited;
        },
      ],
      [
        "a database that breaks",
        500,
        "internal",
        () =>
          callWith(
            {
              DB: new Proxy(testEnv.DB, {
                get: () => () => {
                  throw new Error("broken");
                },
              }),
            },
            `/settlements/${paid}`,
            { key: OPERATOR },
          ),
      ],
      [
        "an operator that can not be asked before a replay",
        502,
        "upstream_unavailable",
        async () => {
          const { claimId: other } = await finalClaim();
          const { json } = await ask({ claimId: other, type: "payment" });
          const body = { outcome: "FAILED", reason: "TICKET-9" };
          await call(`/settlements/${json.refId}/resolve`, { method: "POST", key: OPERATOR, body });
          return call(`/settlements/${json.refId}/replay`, { ...EMPTY, key: OPERATOR });
        },
      ],
      [
        "a sequencer that does not answer",
        503,
        "unavailable",
        async () => {
          const { claimId: other } = await finalClaim();
          const SEQUENCER = { getByName: () => ({ append: async () => ({ type: "unavailable" }) }) };
          const headers = { "idempotency-key": newKey() };
          return callWith({ SEQUENCER }, "/settlements", {
            method: "POST",
            key: OPERATOR,
            body: { claimId: other, type: "payment" },
            headers,
          });
        },
      ],
    ],
  )("%s: %d %s", async (_what, status, code, make) => {
    const answered = await make();
    expect({ status: answered.status, code: answered.json.code }).toEqual({ status, code });
    expect(answered.json.error).toBe(code);
  });
});

describe("operators", () => {
  it("resolve a settlement by hand, with a reason that the ledger keeps", async () => {
    const { claimId } = await finalClaim();
    const { json } = await ask({ claimId, type: "payment" });
    const operator = new MemoryOperator();
    operator.next = ["lost"];
    await drive(operator);
    const resolve = (body: unknown, key: string = OPERATOR) =>
      call(`/settlements/${json.refId}/resolve`, { method: "POST", key, body });
    expect((await resolve({ outcome: "COMPLETED", reason: "TICKET-1" }, CLAIMS)).status).toBe(403);
    expect((await resolve({ outcome: "COMPLETED", reason: "Anna called" })).status).toBe(400);
    const resolved = await resolve({ outcome: "COMPLETED", reason: "TICKET-1", operatorTransactionId: "op-9" });
    expect(resolved).toMatchObject({
      status: 200,
      json: { status: "COMPLETED", reason: "TICKET-1", operatorTransactionId: "op-9", operator: { dueAt: null } },
    });
    expect(resolved.json.events.map(({ type }: { type: string }) => type)).toEqual([
      "SETTLEMENT_CREATED",
      "SETTLEMENT_STARTED",
      "CLAIM_SETTLED",
    ]);
    await drive(operator, 5);
    expect(operator.sends).toHaveLength(1);
    expect(await claimStatus(claimId)).toBe("SETTLED");
  });

  it("list by status, type, currency and day, page by page, and see every tenant", async () => {
    const list = async (query: string, key: string = OPERATOR) => (await call(`/settlements?${query}`, { key })).json;
    const all = await list("limit=200");
    expect(all.count).toBeGreaterThan(5);
    const pages: string[] = [];
    for (let cursor: number | null | undefined; cursor !== null; ) {
      const page = await list(`limit=3${cursor === undefined ? "" : `&cursor=${cursor}`}`);
      pages.push(...page.settlements.map(({ refId }: { refId: string }) => refId));
      cursor = page.nextCursor;
    }
    expect(pages).toEqual(all.settlements.map(({ refId }: { refId: string }) => refId));
    for (const query of ["status=COMPLETED", "type=reversal", "currency=KWD"]) {
      const [name = "", value] = query.split("=");
      const { settlements } = await list(query);
      expect(settlements.length).toBeGreaterThan(0);
      for (const one of settlements) expect(one[name]).toBe(value);
    }
    expect((await list("from=2199-01-01T00:00:00Z")).count).toBe(0);
    expect((await list("to=2199-01-01T00:00:00Z&limit=200")).count).toBe(all.count);
    const stranger = await makeKey("clinic-without", { surface: "claims", scopes: ["read", "submit"] });
    expect((await list("limit=200", stranger)).count).toBe(0);
    expect((await shown(all.settlements[0].refId, stranger)).status).toBe(404);
    expect((await call("/settlements?tenantId=default", { key: stranger })).status).toBe(403);
  });
});

describe("the sweep", () => {
  it("counts what is under way past five minutes, and drives what no row drives", async () => {
    const { claimId } = await finalClaim();
    const { json } = await ask({ claimId, type: "payment" });
    await testEnv.DB.prepare("DELETE FROM settlement_drives WHERE ref_id = ?").bind(json.refId).run();
    const settings = coreSettingsSchema.parse({ ...testEnv });
    const sweep = (at: number) => sweepSettlements(testEnv, settings, at, () => {});
    expect(await sweep(Date.now())).toMatchObject({ undriven: 0 });
    const swept = await sweep(Date.now() + 301_000);
    expect(swept).toMatchObject({ undriven: 1 });
    expect(swept.stuck).toBeGreaterThan(0);
    clock.aheadMs += 301_000;
    const operator = new MemoryOperator();
    await drive(operator);
    expect(operator.asks).toContain(json.refId);
    expect((await shown(json.refId)).json.status).toBe("COMPLETED");
  });
});

describe("what stands in the database", () => {
  it("is what the entries give, and what they commit to; a copy of another moment is put right by them", async () => {
    const { port, close } = await scrubPortOf(testEnv, coreSettingsSchema.parse({ ...testEnv }));
    expect((await port.checkSubjects(0, 10_000)).findings).toEqual([]);
    await testEnv.DB.prepare("UPDATE settlements SET amount_cents = amount_cents + 1 WHERE currency = 'KWD'").run();
    const { findings } = await port.checkSubjects(0, 10_000);
    expect(findings).toMatchObject([{ type: "projection-mismatch" }]);
    await testEnv.DB.prepare("UPDATE settlements SET amount_cents = amount_cents - 1 WHERE currency = 'KWD'").run();
    await testEnv.DB.batch([
      testEnv.DB.prepare(
        "UPDATE settlements SET status = 'PENDING', started_seq = NULL, ended_seq = NULL, updated_at = 0",
      ),
      testEnv.DB.prepare("UPDATE claims SET state = 'FINALIZED' WHERE state IN ('SETTLED', 'SETTLEMENT_PENDING')"),
    ]);
    expect((await port.checkSubjects(0, 10_000)).findings.length).toBeGreaterThan(2);
    await rebuildSettlements(testEnv.DB, "main");
    expect((await port.checkSubjects(0, 10_000)).findings).toEqual([]);
    close();
    await expectValid();
  });
});
