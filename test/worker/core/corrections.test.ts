import { beforeAll, describe, expect, it } from "vitest";
import { call, INSURER, KEYS, migrate, payloadOf, signed, submit, testEnv } from "./support.ts";

beforeAll(async () => {
  await migrate();
  await testEnv.DB.prepare(
    `INSERT INTO destinations (destination_id, tenant_id, kind, insurer_address, url, deliver_after, event_types,
       requests_per_minute, timeout_ms, state, created_at, updated_at)
     VALUES ('insurer', 'default', 'INSURER', ?, 'https://insurer.ca/', 'anchor',
       '["REQUEST_SUBMITTED","REQUEST_ACKNOWLEDGED","REQUEST_ADJUDICATED","REQUEST_CORRECTED"]', 240, 8000, 'active', 0, 0)`,
  )
    .bind(INSURER)
    .run();
});

const OTHER_INSURER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

const sent = (externalRequestId: string, rest: Readonly<Record<string, unknown>> = {}, over = {}) =>
  submit(signed(payloadOf(over), { externalRequestId, ...rest }));

const adjudicate = (id: string, decision: string) =>
  call(`/workflow/requests/${id}/adjudicate`, { method: "POST", body: { decision } });

const acknowledge = (id: string) => call(`/workflow/requests/${id}/acknowledge`, { method: "POST", body: {} });

describe("a corrective request", () => {
  it("supersedes one that needs more information, and both say so in the API and in the ledger", async () => {
    const first = await sent("A1");
    expect((await adjudicate("A1", "NEEDS_INFO")).status).toBe(200);
    const second = await sent("A2", { corrects: "A1", incidentTicket: "INC-2026-0042" }, { totalAmount: 130 });
    expect(second.status).toBe(201);
    expect(second.json).toMatchObject({ requestId: "A2", status: "SUBMITTED", corrects: first.json.requestIdHash });
    const [old, successor] = [await call("/workflow/requests/A1"), await call("/workflow/requests/A2")];
    expect(old.json).toMatchObject({
      status: "NEEDS_INFO",
      corrects: null,
      supersededBy: second.json.requestIdHash,
      offchainPayload: payloadOf(),
    });
    expect(old.json.events.at(-1)).toMatchObject({
      type: "REQUEST_CORRECTED",
      data: { supersededBy: second.json.requestIdHash, incidentTicket: "INC-2026-0042" },
    });
    expect(successor.json).toMatchObject({
      corrects: first.json.requestIdHash,
      incidentTicket: "INC-2026-0042",
      supersededBy: null,
    });
    expect(successor.json.events).toMatchObject([
      { data: { corrects: first.json.requestIdHash, incidentTicket: "INC-2026-0042" } },
    ]);
    expect(second.json.ledger).toMatchObject({ seq: successor.json.events[0].seq });
    expect((await adjudicate("A2", "APPROVED")).json.status).toBe("APPROVED");
  });

  it("leaves nothing to acknowledge or decide on the superseded one: 409 naming the successor", async () => {
    const { json: successor } = await call("/workflow/requests/A2");
    for (const answer of [await adjudicate("A1", "APPROVED"), await acknowledge("A1")]) {
      expect(answer.status).toBe(409);
      expect(answer.json).toMatchObject({ error: "superseded", supersededBy: successor.requestIdHash });
      expect(answer.json.message).toContain(successor.requestIdHash);
    }
    expect((await adjudicate("A1", "NEEDS_INFO")).json).toMatchObject({ status: "NEEDS_INFO", changed: false });
  });

  it("has one place: a second successor is refused, naming the first", async () => {
    const { json: successor } = await call("/workflow/requests/A2");
    const rival = await sent("A3", { corrects: "A1" });
    expect(rival.status).toBe(409);
    expect(rival.json.supersededBy).toBe(successor.requestIdHash);
    expect((await call("/workflow/requests/A3")).status).toBe(404);
  });

  it("resent is the same request; with another predecessor, ticket or none it is a conflict", async () => {
    const { json } = await call("/workflow/requests/A2");
    const asBefore = (rest: Readonly<Record<string, unknown>>) => sent("A2", rest, { totalAmount: 130 });
    for (const corrects of ["A1", json.corrects]) {
      const again = await asBefore({ corrects, incidentTicket: "INC-2026-0042" });
      expect(again.status).toBe(200);
      expect(again.json).toMatchObject({ requestId: "A2", requestIdHash: json.requestIdHash, corrects: json.corrects });
    }
    const other = await sent("A4");
    for (const rest of [
      {},
      { corrects: "A1" },
      { corrects: "A1", incidentTicket: "INC-1" },
      { corrects: "A4", incidentTicket: "INC-2026-0042" },
      { corrects: "A2", incidentTicket: "INC-2026-0042" },
      { corrects: "nobody", incidentTicket: "INC-2026-0042" },
    ]) {
      expect((await asBefore(rest)).status).toBe(409);
    }
    expect((await sent("A4", { corrects: "A1" })).status).toBe(409);
    expect((await sent("A4")).json.requestIdHash).toBe(other.json.requestIdHash);
    expect((await call("/workflow/requests/A4")).json.supersededBy).toBeNull();
  });

  it("may go to another insurer, who may have been what was wrong", async () => {
    await sent("B1");
    const moved = await submit(
      signed(payloadOf(), { externalRequestId: "B2", corrects: "B1", insurerAddress: OTHER_INSURER }),
    );
    expect(moved.status).toBe(201);
    expect((await call("/workflow/requests/B2")).json.insurerAddress).toBe(OTHER_INSURER);
  });

  it("needs a request to correct, and a ticket of the closed form that goes with one", async () => {
    const unknown = await sent("C1", { corrects: "nobody" });
    expect([unknown.status, unknown.json.error]).toEqual([404, "not_found"]);
    expect((await sent("C1", { corrects: "C1" })).status).toBe(404);
    for (const rest of [
      { incidentTicket: "INC-1" },
      { corrects: "A4", incidentTicket: "patient Anna" },
      { corrects: "A4", incidentTicket: "X".repeat(41) },
      { corrects: "" },
    ]) {
      const answer = await sent("C1", rest);
      expect([answer.status, answer.json.error]).toEqual([400, "invalid_body"]);
    }
    expect((await call("/workflow/requests/C1")).status).toBe(404);
    expect((await sent("C1", { corrects: null, incidentTicket: null })).status).toBe(201);
  });

  it("can be a pre-authorization, too", async () => {
    await submit(signed(payloadOf({ type: "preauth" }), { externalRequestId: "P1" }), "/workflow/preauths");
    const second = await submit(
      signed(payloadOf({ type: "preauth" }), { externalRequestId: "P2", corrects: "P1" }),
      "/workflow/preauths",
    );
    expect([second.status, second.json.requestType]).toEqual([201, "PREAUTH"]);
  });

  it("is followed to the newest", async () => {
    await sent("D1");
    for (const [id, corrects] of [
      ["D2", "D1"],
      ["D3", "D2"],
      ["D4", "D3"],
    ] as const) {
      await sent(id, { corrects });
    }
    for (const id of ["D1", "D3", "D4"]) {
      expect((await call(`/workflow/requests/${id}?follow=true`)).json).toMatchObject({
        requestId: "D4",
        supersededBy: null,
      });
    }
    expect((await call("/workflow/requests/D1?follow=false")).json.requestId).toBe("D1");
    expect((await call("/workflow/requests/D1?follow=maybe")).status).toBe(400);
  });

  it("is one of many sent at once", async () => {
    const { json: first } = await sent("E1");
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => sent(`E1-${i}`, { corrects: "E1" })));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    const winner = answers.find(({ status }) => status === 201);
    for (const answer of answers.filter(({ status }) => status !== 201)) {
      expect(answer.status).toBe(409);
      expect(answer.json.supersededBy).toBe(winner?.json.requestIdHash);
    }
    const { results } = await testEnv.DB.prepare("SELECT request_id FROM requests WHERE corrects = ?")
      .bind(first.requestIdHash)
      .all();
    expect(results).toHaveLength(1);
  });

  it("of another tenant is not seen", async () => {
    const key = KEYS.OPERATOR_API_KEY;
    await call("/tenants", { method: "POST", key, body: { tenantId: "clinic-2", name: "Clinic 2" } });
    const made = await call("/tenants/clinic-2/keys", {
      method: "POST",
      key,
      body: { surface: "workflow", scopes: ["submit", "read"] },
    });
    const { requestIdHash } = (await sent("F1")).json;
    for (const corrects of ["F1", requestIdHash]) {
      const answer = await call("/workflow/claims", {
        method: "POST",
        key: made.json.key,
        body: signed(payloadOf(), { externalRequestId: "F2", corrects }),
      });
      expect(answer.status).toBe(404);
    }
  });
});

describe("receivers", () => {
  it("hear of the new request, never of a correction", async () => {
    const { results } = await testEnv.DB.prepare("SELECT DISTINCT event_type FROM outbox ORDER BY event_type").all();
    expect(results.map((row) => row.event_type)).toEqual(["REQUEST_ADJUDICATED", "REQUEST_SUBMITTED"]);
    const { json } = await call("/workflow/requests/A2");
    const rows = await testEnv.DB.prepare("SELECT event_type, body FROM outbox WHERE subject = ?")
      .bind(json.requestIdHash)
      .all<{ event_type: string; body: string }>();
    expect(rows.results.map((row) => row.event_type)).toEqual(["REQUEST_SUBMITTED", "REQUEST_ADJUDICATED"]);
    expect(Object.keys(JSON.parse(rows.results[0]?.body ?? "").data).sort()).toEqual([
      "insurer",
      "payloadHash",
      "requestType",
      "submitter",
    ]);
  });

  it("and the ledger verifies", async () => {
    expect((await call("/ledger/verify", { key: "" })).json).toMatchObject({ valid: true, findings: [] });
  });
});
