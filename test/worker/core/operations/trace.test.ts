import { beforeAll, describe, expect, it } from "vitest";
import { call, INSURER, KEYS, migrate, payloadOf, signed, submit } from "../support.ts";

const OPERATOR = KEYS.OPERATOR_API_KEY;

beforeAll(async () => {
  await migrate();
  const made = await call("/relay/destinations/traced-insurer", {
    method: "PUT",
    key: OPERATOR,
    body: {
      kind: "INSURER",
      insurerAddress: INSURER,
      url: "https://hooks.insurer.ca/traced",
      secret: "a-webhook-secret-of-the-insurer-1234",
      deliverAfter: "commit",
    },
  });
  expect(made.status).toBe(201);
});

const trace = (correlationId: string) => call(`/operations/trace/${correlationId}`, { key: OPERATOR });

describe("a correlation id", () => {
  it("leads to the entries and deliveries of the call that had it, and to no others", async () => {
    const sent = async (name: string) =>
      call("/workflow/claims", {
        method: "POST",
        body: signed(payloadOf(), { externalRequestId: name }),
        headers: { "x-correlation-id": `trace-${name}` },
      });
    const { json } = await sent("one");
    await sent("two");
    const found = await trace("trace-one");
    expect(found.status).toBe(200);
    const { entries, deliveries, settlements, olderThan } = found.json;
    expect(entries).toMatchObject([{ type: "REQUEST_SUBMITTED", subject: json.requestIdHash }]);
    expect(deliveries).toMatchObject([
      { eventType: "REQUEST_SUBMITTED", destinationId: "traced-insurer", requestIdHash: json.requestIdHash },
    ]);
    expect([settlements, olderThan]).toEqual([[], null]);
    expect(JSON.stringify(found.json)).not.toContain("patient-1");
  });

  it("leads to a settlement, its entries, and the Idempotency-Key that it was asked for with", async () => {
    await submit(signed(payloadOf(), { externalRequestId: "TRACED" }));
    await call("/workflow/requests/TRACED/adjudicate", { method: "POST", body: { decision: "APPROVED" } });
    const asked = await call("/settlements", {
      method: "POST",
      body: { requestId: "TRACED", type: "payment" },
      headers: { "idempotency-key": "traced-key", "x-correlation-id": "trace-settlement" },
    });
    expect(asked.status).toBe(201);
    const { json } = await trace("trace-settlement");
    expect(json.settlements).toMatchObject([{ refId: asked.json.refId, type: "payment", status: "PENDING" }]);
    expect(json.keys).toMatchObject([{ scope: "settlements", state: "COMPLETED", effectId: asked.json.refId }]);
    expect(json.entries).toMatchObject([{ type: "SETTLEMENT_CREATED" }]);
  });

  it("that nobody used leads to nothing, and is asked for by operators alone", async () => {
    expect((await trace("never-used")).json).toMatchObject({ entries: [], deliveries: [], settlements: [], keys: [] });
    expect((await call("/operations/trace/never-used", { key: KEYS.WORKFLOW_API_KEY })).status).toBe(403);
    expect((await trace("not%20an%20id")).status).toBe(400);
  });
});
