import { beforeAll, describe, expect, it } from "vitest";
import { call, INSURER, KEYS, migrate, payloadOf, rowCounts, signed, submit } from "./support.ts";

beforeAll(migrate);

describe("submitting a request", () => {
  it("answers 201 with both ids, then 200 with the same ids for the same content", async () => {
    const body = signed(payloadOf(), { externalRequestId: "CLM-1" });
    const first = await submit(body);
    expect(first.status).toBe(201);
    expect(first.json).toMatchObject({ requestId: "CLM-1", requestIdHash: expect.stringMatching(/^0x[0-9a-f]{64}$/) });
    const again = await submit(body);
    expect(again.status).toBe(200);
    expect(again.json.requestIdHash).toBe(first.json.requestIdHash);
    expect(again.json.ledger).toEqual(first.json.ledger);
  });

  it("answers 409 for a taken id with other content and writes nothing", async () => {
    const before = await rowCounts();
    const other = await submit(signed(payloadOf({ totalAmount: 121 }), { externalRequestId: "CLM-1" }));
    expect(other.status).toBe(409);
    expect(other.json).toMatchObject({ error: "conflict", message: expect.any(String) });
    expect(await rowCounts()).toEqual(before);
  });

  it("makes one request and one entry of 200 parallel submits of one id", async () => {
    const before = await rowCounts();
    const body = signed(payloadOf(), { externalRequestId: "CLM-200" });
    const answers = await Promise.all(Array.from({ length: 200 }, () => submit(body)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(199);
    expect(new Set(answers.map(({ json }) => `${json.requestId} ${json.requestIdHash}`)).size).toBe(1);
    const after = await rowCounts();
    expect(after.requests).toBe((before.requests ?? 0) + 1);
    expect(after.ledger_entries).toBe((before.ledger_entries ?? 0) + 1);
  });
});

describe("adjudicating", () => {
  it("takes an empty acknowledgement whatever content type came along, or none", async () => {
    const { json } = await submit(signed(payloadOf(), { externalRequestId: "CLM-EMPTY" }));
    const types: readonly Readonly<Record<string, string>>[] = [
      {},
      { "content-type": "text/plain" },
      { "content-type": "application/json; charset=utf-8", "content-length": "0" },
    ];
    for (const headers of types) {
      const path = `/workflow/requests/${json.requestIdHash}/acknowledge`;
      const acknowledged = await call(path, { method: "POST", headers });
      expect(acknowledged.status, JSON.stringify(headers)).toBe(200);
      expect(acknowledged.json.status).toBe("ACKNOWLEDGED");
    }
  });

  it("goes from submitted over acknowledged to approved, and shows it by id and by hash", async () => {
    const { json } = await submit(signed(payloadOf(), { externalRequestId: "CLM-2" }));
    const path = `/workflow/requests/${json.requestIdHash}`;
    const acknowledged = await call(`${path}/acknowledge`, {
      method: "POST",
      rawBody: "",
      headers: { "content-type": "application/json" },
    });
    expect(acknowledged.status).toBe(200);
    expect(acknowledged.json.status).toBe("ACKNOWLEDGED");
    const decided = await call(`${path}/adjudicate`, { method: "POST", body: { decision: "APPROVED", notes: "fine" } });
    expect(decided.status).toBe(200);
    const shown = await call("/workflow/requests/CLM-2");
    expect(shown.json).toMatchObject({
      requestId: "CLM-2",
      status: "APPROVED",
      decision: "APPROVED",
      insurerAddress: INSURER,
      offchainPayload: payloadOf(),
      notes: [{ part: "adj:0", text: "fine" }],
      anchor: { status: "none" },
    });
    expect(shown.json.events.map((event: { type: string }) => event.type)).toEqual([
      "REQUEST_SUBMITTED",
      "REQUEST_ACKNOWLEDGED",
      "REQUEST_ADJUDICATED",
    ]);
  });
});

describe("claims", () => {
  it("are finalized and settled with empty bodies, out of order is 409, again is 200", async () => {
    const key = KEYS.CLAIMS_API_KEY;
    const created = await call("/claims", { method: "POST", key, body: signed(payloadOf()) });
    expect(created.status).toBe(201);
    const path = `/claims/${created.json.claimId}`;
    const empty = { method: "POST", key, rawBody: "", headers: { "content-type": "application/json" } };
    expect((await call(`${path}/settle`, empty)).status).toBe(409);
    expect((await call(`${path}/finalize`, empty)).status).toBe(200);
    expect((await call(`${path}/finalize`, empty)).json.changed).toBe(false);
    const settled = await call(`${path}/settle`, empty);
    expect(settled.json).toMatchObject({ status: "SETTLEMENT_PENDING", settlement: { status: "PENDING" } });
    expect((await call(`${path}/settle`, empty)).status).toBe(200);
    const shown = await call(path, { key });
    expect(shown.json.events).toHaveLength(3);
    expect((await call(`${path}/anchor/status`, { key })).json).toMatchObject({ status: "none", anchored: false });
  });
});

describe("the ledger", () => {
  it("verifies", async () => {
    const report = await call("/ledger/verify", { key: "" });
    expect(report.json).toMatchObject({ valid: true, status: "valid", method: "full", findings: [] });
    expect(report.status).toBe(200);
  });

  it("is described at /openapi.json and /docs", async () => {
    const document = await call("/openapi.json", { key: "" });
    expect(Object.keys(document.json.paths)).toContain("/workflow/claims");
    const page = await call("/docs", { key: "" });
    expect(page.text).toContain("/workflow/requests/{requestId}/adjudicate");
  });
});
