import { evictDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { sweepErasures } from "../../../src/workflow/erasure.cron.ts";
import { LAST_LOOK_MS } from "../../../src/workflow/erasure.ts";
import { call, INSURER, KEYS, migrate, payloadOf, signed, submit, testEnv } from "./support.ts";

beforeAll(async () => {
  await migrate();
  await testEnv.DB.prepare(
    `INSERT INTO destinations (destination_id, tenant_id, kind, insurer_address, url, deliver_after, event_types,
       requests_per_minute, timeout_ms, state, created_at, updated_at)
     VALUES ('insurer', 'default', 'INSURER', ?, 'https://insurer.ca/', 'anchor',
       '["REQUEST_SUBMITTED","REQUEST_ACKNOWLEDGED","REQUEST_ADJUDICATED"]', 240, 8000, 'active', 0, 0)`,
  )
    .bind(INSURER)
    .run();
});

const CLAIMS_KEY = KEYS.CLAIMS_API_KEY;
const DAYS_30_MS = 30 * 86_400_000;

const eraseRequest = (id: string, reason = "PATIENT_REQUEST", options = {}) =>
  call(`/workflow/requests/${id}/personal-data`, { method: "DELETE", body: { reason }, ...options });

const eraseClaim = (id: string, reason = "PATIENT_REQUEST", options = {}) =>
  call(`/claims/${id}/personal-data`, { method: "DELETE", key: CLAIMS_KEY, body: { reason }, ...options });

/** Every value in every table, as one text; ciphertext is of no use for looking into, so keys are looked at by row. */
async function dump(): Promise<string> {
  const tables = await testEnv.DB.prepare(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
  ).all<{ name: string }>();
  const texts = await Promise.all(
    tables.results.map(async ({ name }) =>
      JSON.stringify((await testEnv.DB.prepare(`SELECT * FROM ${name}`).all()).results),
    ),
  );
  return texts.join("\n");
}

const objectsOf = async (subject: string): Promise<readonly string[]> =>
  (await testEnv.LEDGER.list({ prefix: `payloads/main/${subject}/` })).objects.map(({ key }) => key);

const countOf = async (sql: string, ...values: readonly unknown[]): Promise<number> =>
  (await testEnv.DB.prepare(sql)
    .bind(...values)
    .first<number>("n")) ?? -1;

/** Large enough that the ciphertext is an object in R2, hard to compress, and with a name to look for. */
const large = (name: string) => payloadOf({ patientId: name, totalAmount: 9_173.46, notes: `${name} `.repeat(1_500) });

describe("erasing a request", () => {
  const id = "CLM-PLANTED-ANNA";
  const body = signed(large("Anna Planted"), { externalRequestId: id });
  let subject = "";

  it("takes key, salt, ciphertext, objects, id and amount, and says when no copy is left anywhere", async () => {
    subject = (await submit(body)).json.requestIdHash;
    const path = `/workflow/requests/${id}`;
    await call(`${path}/acknowledge`, { method: "POST", body: { notes: "insurer wrote of Anna Planted" } });
    await call(`${path}/adjudicate`, { method: "POST", body: { decision: "APPROVED", notes: "x".repeat(17_000) } });
    expect(await objectsOf(subject)).toHaveLength(2);
    // Written by a call that was refused: no row names it.
    await testEnv.LEDGER.put(`payloads/main/${subject}/adj:1/orphan`, "ciphertext");
    const { results } = await testEnv.DB.prepare("SELECT wrapped FROM payload_keys WHERE subject = ?")
      .bind(subject)
      .all<{ wrapped: string }>();
    const before = await dump();
    expect(before).toContain(id);
    expect(before).toContain("917346");

    const answer = await eraseRequest(id);
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({
      erased: true,
      subject,
      reason: "PATIENT_REQUEST",
      changed: true,
      ledger: { id: "main", seq: 3 },
    });
    expect(Date.parse(answer.json.completeEverywhereBy) - Date.parse(answer.json.erasedAt)).toBe(DAYS_30_MS);

    const after = await dump();
    for (const planted of [id, "Anna", "917346", results[0]?.wrapped ?? "no key"]) expect(after).not.toContain(planted);
    expect(await countOf("SELECT COUNT(*) AS n FROM payloads WHERE subject = ?", subject)).toBe(0);
    expect(await objectsOf(subject)).toEqual([]);
  });

  it("leaves the ledger as it was, and it verifies", async () => {
    const report = await call("/ledger/verify", { key: "" });
    expect(report.json).toMatchObject({ valid: true, method: "full", size: 4, findings: [] });
  });

  it("is shown by the id it had and by its hash: when and why, without payload, notes or id", async () => {
    for (const shown of [await call(`/workflow/requests/${id}`), await call(`/workflow/requests/${subject}`)]) {
      expect(shown.status).toBe(200);
      expect(shown.json).toMatchObject({
        requestId: subject,
        requestIdHash: subject,
        status: "APPROVED",
        erased: { reason: "PATIENT_REQUEST", at: expect.stringMatching(/Z$/) },
      });
      expect(shown.json).not.toHaveProperty("offchainPayload");
      expect(shown.json).not.toHaveProperty("notes");
      expect(shown.text).not.toContain(id);
      expect(shown.json.events.at(-1)).toMatchObject({ type: "ERASED", data: { reason: "PATIENT_REQUEST" } });
    }
  });

  it("again is 200 with the same entry, whoever asks and for whatever reason, and after a restart", async () => {
    const first = await eraseRequest(id, "COURT_ORDER");
    await evictDurableObject(testEnv.SEQUENCER.getByName("main"));
    const second = await eraseRequest(subject, "COURT_ORDER", { key: KEYS.OPERATOR_API_KEY });
    for (const { status, json } of [first, second]) {
      expect(status).toBe(200);
      expect(json).toMatchObject({ subject, reason: "PATIENT_REQUEST", changed: false, ledger: { seq: 3 } });
    }
  });

  it("makes a resend of its id 410, with the same content or another, and never records it anew", async () => {
    await evictDurableObject(testEnv.SEQUENCER.getByName("main"));
    const entries = await countOf("SELECT COUNT(*) AS n FROM ledger_entries");
    for (const resent of [body, signed(payloadOf(), { externalRequestId: id })]) {
      const answer = await submit(resent);
      expect([answer.status, answer.json.error]).toEqual([410, "erased"]);
    }
    expect(await countOf("SELECT COUNT(*) AS n FROM ledger_entries")).toBe(entries);
  });

  it("leaves nothing to acknowledge or decide: 410", async () => {
    for (const name of [id, subject]) {
      const path = `/workflow/requests/${name}`;
      expect((await call(`${path}/acknowledge`, { method: "POST", body: {} })).status).toBe(410);
      expect((await call(`${path}/adjudicate`, { method: "POST", body: { decision: "APPROVED" } })).status).toBe(410);
    }
  });

  it("keeps deliveries that were due, which never named anyone", async () => {
    const { results } = await testEnv.DB.prepare(
      "SELECT event_type, state FROM outbox WHERE subject = ? ORDER BY outbox_id",
    )
      .bind(subject)
      .all();
    expect(results).toEqual([
      { event_type: "REQUEST_SUBMITTED", state: "waiting" },
      { event_type: "REQUEST_ACKNOWLEDGED", state: "waiting" },
      { event_type: "REQUEST_ADJUDICATED", state: "waiting" },
    ]);
  });

  it("can still be corrected: what was erased as another person's was wrong", async () => {
    const corrective = await submit(signed(payloadOf(), { externalRequestId: "CLM-RIGHT", corrects: id }));
    expect(corrective.status).toBe(201);
    expect(corrective.json.corrects).toBe(subject);
    expect((await call(`/workflow/requests/${id}?follow=true`)).json.requestId).toBe("CLM-RIGHT");
    expect((await submit(signed(payloadOf(), { externalRequestId: "CLM-RIGHT", corrects: id }))).status).toBe(200);
  });

  it("is one erasure when many ask at once, beside resends and decisions", async () => {
    const sent = signed(payloadOf(), { externalRequestId: "CLM-RACE" });
    const { requestIdHash } = (await submit(sent)).json;
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, () => eraseRequest("CLM-RACE")),
      ...Array.from({ length: 5 }, () => submit(sent)),
      ...Array.from({ length: 5 }, () =>
        call(`/workflow/requests/${requestIdHash}/adjudicate`, { method: "POST", body: { decision: "DENIED" } }),
      ),
    ]);
    const erasures = answers.slice(0, 10);
    expect(erasures.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(erasures.filter(({ json }) => json.changed)).toHaveLength(1);
    expect(new Set(erasures.map(({ json }) => json.ledger.entryHash)).size).toBe(1);
    for (const { status } of answers.slice(10)) expect([200, 410]).toContain(status);
    expect((await submit(sent)).status).toBe(410);
    expect(await countOf("SELECT COUNT(*) AS n FROM payload_keys WHERE subject = ?", requestIdHash)).toBe(0);
    expect(await countOf("SELECT COUNT(*) AS n FROM payloads WHERE subject = ?", requestIdHash)).toBe(0);
    expect(await dump()).not.toContain("CLM-RACE");
  });
});

describe("who may erase", () => {
  it("are the tenant's submitting keys and operators; not an insurer's, a reader's or another tenant's", async () => {
    const key = KEYS.OPERATOR_API_KEY;
    await call("/tenants", { method: "POST", key, body: { tenantId: "clinic-2", name: "Clinic 2" } });
    const keyOf = async (body: Readonly<Record<string, unknown>>): Promise<string> =>
      (await call("/tenants/clinic-2/keys", { method: "POST", key, body: { surface: "workflow", ...body } })).json.key;
    const own = await keyOf({ scopes: ["submit", "read"] });
    const reader = await keyOf({ scopes: ["read", "adjudicate"] });
    const insurer = await keyOf({ scopes: ["submit", "adjudicate"], insurerAddress: INSURER });
    for (const externalRequestId of ["T1", "T2"]) {
      await call("/workflow/claims", { method: "POST", key: own, body: signed(payloadOf(), { externalRequestId }) });
    }
    expect((await eraseRequest("T1", "COURT_ORDER", { key: reader })).status).toBe(403);
    expect((await eraseRequest("T1", "COURT_ORDER", { key: insurer })).status).toBe(403);
    expect((await eraseRequest("T1", "COURT_ORDER")).status).toBe(404);
    expect((await eraseRequest("T1?tenantId=clinic-2")).status).toBe(404);
    const other = { method: "DELETE", body: { reason: "COURT_ORDER" } } as const;
    const ofTenant = "/workflow/requests/T1/personal-data?tenantId=clinic-2";
    expect((await call(ofTenant, other)).status).toBe(403);
    expect((await call(ofTenant, { ...other, key })).json).toMatchObject({ erased: true, changed: true });
    expect((await eraseRequest("T2", "PATIENT_REQUEST", { key: own })).status).toBe(200);
  });

  it("give a reason of the closed list", async () => {
    await submit(signed(payloadOf(), { externalRequestId: "R1" }));
    for (const body of [{}, { reason: "because Anna said so" }, { reason: null }]) {
      expect((await eraseRequest("R1", "", { body })).status).toBe(400);
    }
    expect((await eraseRequest("nobody")).status).toBe(404);
    expect((await eraseRequest("R1", "RETENTION_EXPIRED")).json.reason).toBe("RETENTION_EXPIRED");
  });
});

describe("erasing a claim", () => {
  it.each(["CREATED", "FINALIZED", "SETTLEMENT_PENDING"])("that is %s takes payload, id and amount", async (status) => {
    const { claimId, claimIdHash } = (
      await call("/claims", { method: "POST", key: CLAIMS_KEY, body: signed(large("Bert Planted")) })
    ).json;
    const empty = { method: "POST", key: CLAIMS_KEY, rawBody: "", headers: { "content-type": "application/json" } };
    if (status !== "CREATED") await call(`/claims/${claimId}/finalize`, empty);
    if (status === "SETTLEMENT_PENDING") await call(`/claims/${claimId}/settle`, empty);
    expect(await objectsOf(claimIdHash)).toHaveLength(1);

    const [one, two] = await Promise.all([eraseClaim(claimId), eraseClaim(claimId)]);
    expect([one.status, two.status]).toEqual([200, 200]);
    expect(one.json.ledger).toEqual(two.json.ledger);
    await evictDurableObject(testEnv.SEQUENCER.getByName("main"));
    expect((await eraseClaim(claimId)).json).toMatchObject({
      subject: claimIdHash,
      changed: false,
      ledger: one.json.ledger,
    });

    expect(await objectsOf(claimIdHash)).toEqual([]);
    const after = await dump();
    for (const planted of [claimId, "Bert"]) expect(after).not.toContain(planted);
    // What money was asked for stands in the settlement's own row, and nowhere else.
    expect(after.split("917346")).toHaveLength(status === "SETTLEMENT_PENDING" ? 2 : 1);
    const shown = await call(`/claims/${claimId}`, { key: CLAIMS_KEY });
    expect(shown.json).toMatchObject({ claimId: claimIdHash, status, erased: { reason: "PATIENT_REQUEST" } });
    expect(shown.json).not.toHaveProperty("offchainPayload");
    expect((await call(`/claims/${claimId}/finalize`, empty)).status).toBe(410);
    expect((await call(`/claims/${claimIdHash}/settle`, empty)).status).toBe(410);
    // The newest entry is the erasure's own.
    const anchor = await call(`/claims/${claimId}/anchor/status`, { key: CLAIMS_KEY });
    expect(anchor).toMatchObject({ status: 200, json: { seq: one.json.ledger.seq } });
  });

  it("is not for the other surface's key, nor for an id that is not there", async () => {
    expect((await eraseClaim("nobody")).status).toBe(404);
    expect((await eraseClaim("nobody", "COURT_ORDER", { key: KEYS.WORKFLOW_API_KEY })).status).toBe(403);
  });
});

describe("objects of erased subjects", () => {
  const quiet = () => undefined;

  it("are deleted by the sweep when storage failed, and once more for calls that were under way", async () => {
    const { requestIdHash } = (await submit(signed(large("Carl Planted"), { externalRequestId: "CLM-SWEEP" }))).json;
    const [object] = await objectsOf(requestIdHash);
    const erasedAt = Date.parse((await eraseRequest("CLM-SWEEP")).json.erasedAt);
    // As if the storage had not taken the delete.
    await testEnv.LEDGER.put(object ?? "", "ciphertext");
    const broken = {
      DB: testEnv.DB,
      LEDGER: { list: () => Promise.reject(new Error("storage is away")) } as unknown as R2Bucket,
    };
    const due = (now: number) =>
      countOf("SELECT COUNT(*) AS n FROM pending_erasures WHERE subject = ? AND due_at <= ?", requestIdHash, now);
    const last = erasedAt + LAST_LOOK_MS + 1_000;
    expect(await due(erasedAt + 60_000)).toBe(0);
    expect(await due(last)).toBe(1);
    await sweepErasures(broken, "main", last, quiet);
    expect(await objectsOf(requestIdHash)).toHaveLength(1);
    expect(await due(last)).toBe(0);
    await sweepErasures(testEnv, "main", last + 60_000, quiet);
    expect(await objectsOf(requestIdHash)).toEqual([]);
    expect(await countOf("SELECT COUNT(*) AS n FROM pending_erasures WHERE subject = ?", requestIdHash)).toBe(0);
    expect(await sweepErasures(testEnv, "main", last + 60_000, quiet)).toBe(0);
  });
});

describe("after all of it", () => {
  it("the ledger verifies, and the routes are documented", async () => {
    expect((await call("/ledger/verify", { key: "" })).json).toMatchObject({ valid: true, findings: [] });
    const { json } = await call("/openapi.json", { key: "" });
    expect(json.paths["/claims/{claimId}/personal-data"]).toHaveProperty("delete");
    expect(json.paths["/workflow/requests/{requestId}/personal-data"]).toHaveProperty("delete");
  });
});
