import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { sweepRetention } from "../../../src/medlink/retention/retention.cron.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import {
  ADMIN,
  CLAIM,
  forgetClaims,
  hashFor,
  json,
  migrate,
  otherClinic,
  postEvent,
  type Session,
  TestHub,
} from "./harness.ts";

const OPERATOR = { "x-api-key": TEST_SECRETS.hub.HUB_OPERATOR_API_KEY };
const PDF = new TextEncoder().encode("%PDF-1.7\n%%EOF\n");
const DAY_MS = 86_400_000;

let hub: TestHub;
let admin: Session;
let billing: Session;
let stranger: Session;

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
  admin = await hub.signInAs("usr_demo_admin");
  billing = await hub.signInAs("usr_demo_billing");
  stranger = await otherClinic(hub);
});

beforeEach(async () => {
  hub.calls.length = 0;
  hub.hints.length = 0;
  hub.clock = undefined;
  await forgetClaims();
});

const newPatient = async (over: Record<string, unknown> = {}): Promise<string> =>
  (await admin.read("POST", "/api/patients", { firstName: "Someone", lastName: "Leaving", ...over })).body.patientId;

const filed = async (patientId: string): Promise<string> =>
  (await admin.read("POST", "/api/claims", { ...CLAIM, patientId })).body.claimId;

const attach = (claimId: string): Promise<Response> =>
  admin.send("POST", `/api/claims/${claimId}/attachments`, PDF, {
    "content-type": "application/pdf",
    "content-length": String(PDF.length),
    "x-file-name": "letter.pdf",
  });

let hashes = 60_000;

/** Core takes submissions, and erases what it is told to; `away` says for which claims it does not answer. */
function core(away: (claimId: string) => boolean = () => false): void {
  const known = new Map<string, string>();
  hub.answer = async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "DELETE") {
      const claimId = pathname.split("/")[3] ?? "";
      if (away(claimId)) return new Response("down", { status: 503 });
      const subject = known.get(claimId);
      return subject === undefined
        ? Response.json({ code: "not_found" }, { status: 404 })
        : Response.json({ erased: true, subject, completeEverywhereBy: "2099-01-01T00:00:00.000Z" });
    }
    const { externalRequestId } = await request.json<{ externalRequestId: string }>();
    known.set(externalRequestId, hashFor(++hashes));
    return Response.json({ requestId: externalRequestId, requestIdHash: hashFor(hashes) }, { status: 201 });
  };
}

const count = (table: string, where = "1"): Promise<number | null> =>
  env.DB.prepare(`SELECT COUNT(*) AS n FROM ${table} WHERE ${where}`).first<number>("n");

async function dump(): Promise<string> {
  const tables = await env.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
  ).all<{ name: string }>();
  let stored = "";
  for (const { name } of tables.results) {
    stored += `${name} ${JSON.stringify((await env.DB.prepare(`SELECT * FROM "${name}"`).all()).results)}\n`;
  }
  return stored;
}

describe("the erasure of a person", () => {
  const reason = { reason: "PATIENT_REQUEST" };

  it("erases every claim at core and here with its files, then the patient, and says when all copies are gone", async () => {
    core();
    const patientId = await newPatient({ healthNumber: "55 44" });
    const kept = await filed("pat_demo_1");
    const [sent, draft] = [await filed(patientId), await filed(patientId)];
    await attach(sent);
    await admin.call("POST", `/api/claims/${sent}/submit`);
    await hub.runQueue();
    const sentHash = hashFor(hashes);
    const path = `/api/patients/${patientId}/personal-data`;
    expect((await billing.call("DELETE", path, reason)).status).toBe(403);
    expect((await stranger.call("DELETE", path, reason)).status).toBe(404);
    expect((await admin.call("DELETE", path, { reason: "because" })).status).toBe(400);
    const erased = await admin.read("DELETE", path, reason);
    expect(erased).toMatchObject({
      status: 200,
      body: { state: "complete", claimsErased: 2, completeEverywhereBy: "2099-01-01T00:00:00.000Z", waitingFor: null },
    });
    const asked = hub.calls.filter(({ method }) => method === "DELETE");
    expect(asked.map(({ path: at }) => at).sort()).toEqual(
      [sent, draft].map((id) => `/workflow/requests/${id}/personal-data`).sort(),
    );
    expect(asked.map(({ body }) => JSON.parse(body))).toEqual([reason, reason]);
    for (const claimId of [sent, draft]) {
      expect((await admin.call("GET", `/api/claims/${claimId}`)).status).toBe(404);
      expect((await env.ATTACHMENTS.list({ prefix: `cln_demo/${claimId}/` })).objects).toEqual([]);
    }
    expect((await admin.call("GET", `/api/patients/${patientId}`)).status).toBe(404);
    expect(await count("patient_terms", `patient_id = '${patientId}'`)).toBe(0);
    expect((await admin.call("GET", `/api/claims/${kept}`)).status).toBe(200);
    expect(await admin.read("DELETE", path, reason)).toMatchObject({ status: 200, body: { claimsErased: 2 } });
    expect((await admin.read("GET", path)).body).toMatchObject({ state: "complete" });
    const late = await postEvent(hub, sentHash, { eventType: "REQUEST_ADJUDICATED", decision: "DENIED" });
    expect(late.status).toBe(200);
    const found = await admin.read("POST", "/api/patients/search", { healthNumber: "5544" });
    expect(found.body.patients).toEqual([]);
  });

  it("waits for core, takes no new claim meanwhile, and goes on by itself", async () => {
    const patientId = await newPatient();
    const [first, second] = [await filed(patientId), await filed(patientId)];
    const oldest = [first, second].toSorted()[0] ?? "";
    await env.DB.prepare("UPDATE claims SET created_at = 5, version = version + 1").run();
    core((claimId) => claimId !== oldest);
    const path = `/api/patients/${patientId}/personal-data`;
    const begun = await admin.read("DELETE", path, reason);
    expect(begun).toMatchObject({
      status: 202,
      body: { state: "running", claimsErased: 1, waitingFor: "core_503", completeEverywhereBy: null },
    });
    expect((await admin.call("POST", "/api/claims", { ...CLAIM, patientId })).status).toBe(400);
    expect((await admin.call("PATCH", `/api/patients/${patientId}`, { notes: "x" })).status).toBe(409);
    core();
    await sweepRetention(await hub.hub());
    expect((await admin.read("GET", path)).body).toMatchObject({ state: "running" });
    hub.clock = Date.now() + 61_000;
    await sweepRetention(await hub.hub());
    expect((await admin.read("GET", path)).body).toMatchObject({ state: "complete", claimsErased: 2 });
  });

  it("waits for a submission that is under way", async () => {
    core();
    const patientId = await newPatient();
    const claimId = await filed(patientId);
    await admin.call("POST", `/api/claims/${claimId}/submit`);
    await env.DB.prepare(
      "UPDATE auto_submit_jobs SET state = 'running', lease_until = 9e15, version = version + 1",
    ).run();
    const path = `/api/patients/${patientId}/personal-data`;
    expect(await admin.read("DELETE", path, reason)).toMatchObject({
      status: 202,
      body: { waitingFor: "submission_under_way" },
    });
    expect((await admin.call("GET", `/api/claims/${claimId}`)).status).toBe(200);
    await env.DB.prepare(
      "UPDATE auto_submit_jobs SET state = 'queued', next_attempt_at = 0, version = version + 1",
    ).run();
    expect(await admin.read("DELETE", path, reason)).toMatchObject({ status: 200 });
    expect(await count("auto_submit_jobs")).toBe(0);
  });
});

describe("the export of a person", () => {
  it("has everything that the hub holds of them, and nothing of others", async () => {
    core();
    const patientId = await newPatient({ firstName: "Wanted", healthNumber: "31 41" });
    const claims: string[] = [];
    for (let i = 0; i < 23; i++) claims.push(await filed(patientId));
    await attach(claims[0] ?? "");
    await filed("pat_demo_1");
    const path = `/api/patients/${patientId}/export`;
    expect((await billing.call("GET", path)).status).toBe(403);
    expect((await stranger.call("GET", path)).status).toBe(404);
    const response = await admin.call("GET", path);
    expect(response.headers.get("content-disposition")).toBe(`attachment; filename="${patientId}.json"`);
    const file = await response.json<{ claims: { claimId: string; attachments: unknown[] }[] }>();
    expect(file).toMatchObject({
      format: "medlink-patient@v1",
      patient: { firstName: "Wanted", healthNumber: "31 41" },
      seenAndChanged: [{ action: "patient.export" }, { action: "patient.create" }],
      complete: true,
    });
    expect(file.claims.map(({ claimId }) => claimId).sort()).toEqual(claims.toSorted());
    expect(file.claims.find(({ claimId }) => claimId === claims[0])).toMatchObject({
      notes: CLAIM.notes,
      timeline: [{ kind: "created" }, { kind: "attached" }],
      attachments: [{ name: "letter.pdf" }],
    });
  });
});

describe("retention", () => {
  it("erases what is past each clinic's own years, at core too, and notes it", async () => {
    core();
    const patientId = await newPatient();
    const [old, recent] = [await filed(patientId), await filed("pat_demo_1")];
    const at = Date.now() - 5 * 365 * DAY_MS;
    await env.DB.batch([
      env.DB.prepare(
        "UPDATE claims SET created_at = ?1, updated_at = ?1, version = version + 1 WHERE claim_id = ?2",
      ).bind(at, old),
      env.DB.prepare("UPDATE patients SET created_at = ?1, updated_at = ?1 WHERE patient_id = ?2").bind(at, patientId),
    ]);
    const sweep = async () => sweepRetention(await hub.hub());
    await sweep();
    expect(await count("claims")).toBe(2);
    await admin.call("PATCH", "/api/clinic", { retentionYears: 4 });
    await sweep();
    expect((await admin.call("GET", `/api/claims/${old}`)).status).toBe(404);
    expect((await admin.call("GET", `/api/claims/${recent}`)).status).toBe(200);
    expect((await admin.call("GET", `/api/patients/${patientId}`)).status).toBe(404);
    const asked = hub.calls.filter(({ method }) => method === "DELETE");
    expect(asked.map(({ body }) => JSON.parse(body).reason)).toEqual(["RETENTION_EXPIRED"]);
    const { results } = await env.DB.prepare(
      "SELECT action, subject FROM audit_events WHERE actor = 'retention' ORDER BY audit_event_id",
    ).all();
    expect(results).toEqual([
      { action: "claim.erase", subject: old },
      { action: "patient.erase", subject: patientId },
    ]);
    await admin.call("PATCH", "/api/clinic", { retentionYears: 7 });
  });

  it("does a bounded piece a minute and goes on where core failed", async () => {
    for (let i = 0; i < 25; i++) await filed("pat_demo_1");
    await env.DB.prepare("UPDATE claims SET created_at = 5, updated_at = 5, version = version + 1").run();
    core(() => true);
    await sweepRetention(await hub.hub());
    expect(await count("claims")).toBe(25);
    expect(hub.calls.filter(({ method }) => method === "DELETE")).toHaveLength(1);
    core();
    await sweepRetention(await hub.hub());
    expect(await count("claims")).toBe(5);
    await sweepRetention(await hub.hub());
    expect(await count("claims")).toBe(0);
  });
});

describe("a new encryption key", () => {
  const NEW_KEY = "a-new-field-encryption-key-4f1b77aa09c2";

  const call = async (on: TestHub, method: string, body?: unknown) => {
    const init = body === undefined ? { method, headers: {} } : json(method, body);
    const response = await on.fetch("/api/admin/re-encrypt", { ...init, headers: { ...init.headers, ...OPERATOR } });
    return { status: response.status, body: await response.json<Record<string, unknown>>() };
  };

  it("seals everything anew in bounded steps, from wherever it stopped, while people work", async () => {
    for (let i = 0; i < 210; i++) await newPatient({ firstName: `P${i}` });
    const claimId = await filed("pat_demo_1");
    await attach(claimId);
    const rotating = new TestHub({
      ENCRYPTION_KEY: NEW_KEY,
      ENCRYPTION_KEY_PREVIOUS: TEST_SECRETS.hub.ENCRYPTION_KEY,
    });
    expect((await admin.call("POST", "/api/admin/re-encrypt", { start: true })).status).toBe(403);
    const begun = await call(rotating, "POST", { start: true, rows: 200 });
    expect(begun).toMatchObject({ status: 200, body: { state: "running", changed: expect.any(Number) } });
    let state = begun.body;
    const passed = () => env.DB.prepare("SELECT state FROM tasks WHERE name = 're-encrypt'").first<string>("state");
    for (let calls = 0; calls < 10 && !(await passed())?.includes("patients.personal_sealed"); calls++) {
      state = (await call(rotating, "POST", { rows: 200 })).body;
    }
    expect(state).toMatchObject({ state: "running" });
    // The old worker still writes under the old key, behind the task's back: its last look finds it.
    const late = await newPatient({ notes: "written by the old worker" });
    for (let calls = 0; calls < 50 && state.state === "running"; calls++) {
      state = (await call(rotating, "POST", { rows: 200 })).body;
    }
    expect(state).toMatchObject({ state: "complete" });
    expect(Number(state.changed)).toBeGreaterThanOrEqual(210);
    expect((await call(rotating, "GET")).body).toMatchObject({ state: "complete", keyId: state.keyId });
    const only = new TestHub({ ENCRYPTION_KEY: NEW_KEY });
    const session = await only.signInAs("usr_demo_admin");
    expect((await session.read("GET", "/api/patients?limit=200")).body.patients).toHaveLength(200);
    expect((await session.read("GET", `/api/claims/${claimId}`)).body).toMatchObject({ notes: CLAIM.notes });
    expect((await session.read("GET", `/api/claims/${claimId}/attachments`)).body).toMatchObject({
      attachments: [{ name: "letter.pdf" }],
    });
    expect((await session.read("GET", `/api/patients/${late}`)).body.notes).toBe("written by the old worker");
    const back = await call(hub, "POST", { rows: 0 });
    expect(back.status).toBe(200);
    // Back to the key that the other tests have.
    const undo = new TestHub({
      ENCRYPTION_KEY: TEST_SECRETS.hub.ENCRYPTION_KEY,
      ENCRYPTION_KEY_PREVIOUS: NEW_KEY,
    });
    state = (await call(undo, "POST", { start: true, rows: 2_000 })).body;
    for (let calls = 0; calls < 5 && state.state === "running"; calls++) {
      state = (await call(undo, "POST", { rows: 2_000 })).body;
    }
    expect(state).toMatchObject({ state: "complete" });
    expect((await admin.read("GET", "/api/patients/pat_demo_1")).status).toBe(200);
  });
});

describe("a new hash key", () => {
  const NEW_KEY = "a-new-equality-hash-key-91c2d7e05b6f4a38";
  const OLD_KEY = TEST_SECRETS.hub.HASH_KEY;

  const call = async (on: TestHub, method: string, body?: unknown) => {
    const init = body === undefined ? { method, headers: {} } : json(method, body);
    const response = await on.fetch("/api/admin/re-hash", { ...init, headers: { ...init.headers, ...OPERATOR } });
    return { status: response.status, body: await response.json<Record<string, unknown>>() };
  };

  const runOut = async (on: TestHub): Promise<Record<string, unknown>> => {
    let { body } = await call(on, "POST", { start: true, rows: 200 });
    for (let calls = 0; calls < 50 && body.state === "running"; calls++) {
      body = (await call(on, "POST", { rows: 200 })).body;
    }
    return body;
  };

  const foundBy = async (on: TestHub, what: Record<string, unknown>): Promise<readonly unknown[]> => {
    const session = await on.signInAs("usr_demo_admin");
    const { body } = await session.read("POST", "/api/patients/search", what);
    return body.patients.map(({ firstName }) => firstName);
  };

  it("finds people under both keys meanwhile, and under the new one alone once every hash is made anew", async () => {
    await env.DB.exec(
      "INSERT INTO flags (name, enabled, percentage, updated_by, updated_at) VALUES ('FEATURE_FLAG_BULK_OPERATIONS', 1, 100, 'test', 0) ON CONFLICT (name) DO UPDATE SET enabled = 1, percentage = 100",
    );
    for (let i = 0; i < 8; i++) await newPatient({ firstName: `Rotated${i}`, healthNumber: `ROT ${i}` });
    // As rows were before there were words to search by.
    await env.DB.exec(
      "DELETE FROM patient_terms WHERE patient_id = (SELECT patient_id FROM patients ORDER BY patient_id LIMIT 1)",
    );
    const rotating = new TestHub({ HASH_KEY: NEW_KEY, HASH_KEY_PREVIOUS: OLD_KEY });
    const file = "reference,patientId,providerId,insurerId,amount\nR-1,pat_demo_1,prv_demo_1,ins_demo_1,10.00\n";
    const send = async (on: TestHub) => {
      const session = await on.signInAs("usr_demo_admin");
      const response = await session.send("POST", "/api/claims/bulk?dryRun=false", file, {
        "content-type": "text/csv",
      });
      return (await response.json<{ rows: { result: string }[] }>()).rows.map(({ result }) => result);
    };
    expect(await send(hub)).toEqual(["filed"]);

    expect(await foundBy(rotating, { healthNumber: "rot-7" })).toEqual(["Rotated7"]);
    expect(await foundBy(rotating, { q: "leaving rotated7" })).toEqual(["Rotated7"]);
    expect(await send(rotating)).toEqual(["filed_before"]);
    const session = await rotating.signInAs("usr_demo_admin");
    const twin = { firstName: "Twin", lastName: "Leaving", healthNumber: "ROT7" };
    expect((await session.call("POST", "/api/patients", twin)).status).toBe(409);
    expect((await rotating.fetch("/api/auth/login", json("POST", ADMIN))).status).toBe(200);

    expect((await admin.call("POST", "/api/admin/re-hash", { start: true })).status).toBe(403);
    expect(await runOut(rotating)).toMatchObject({ state: "complete", held: 0 });
    const only = new TestHub({ HASH_KEY: NEW_KEY });
    expect(await foundBy(only, { healthNumber: "rot-7" })).toEqual(["Rotated7"]);
    expect(await foundBy(only, { q: "leaving rotated7" })).toEqual(["Rotated7"]);
    expect(await send(only)).toEqual(["filed_before"]);
    expect((await only.fetch("/api/auth/login", json("POST", ADMIN))).status).toBe(200);
    const wordless = await env.DB.prepare(
      "SELECT COUNT(*) AS n FROM patients WHERE patient_id NOT IN (SELECT patient_id FROM patient_terms)",
    ).first("n");
    expect(wordless).toBe(0);
    const back = new TestHub({ HASH_KEY: OLD_KEY, HASH_KEY_PREVIOUS: NEW_KEY });
    expect(await runOut(back)).toMatchObject({ state: "complete", held: 0 });
    expect(await foundBy(hub, { healthNumber: "rot-7" })).toEqual(["Rotated7"]);
    await env.DB.exec("DELETE FROM flags");
  });

  it("leaves a row that a worker of before wrote twice to a person, and says how many there are", async () => {
    const older = await newPatient({ firstName: "Written", healthNumber: "TWICE 1" });
    const only = new TestHub({ HASH_KEY: NEW_KEY });
    const session = await only.signInAs("usr_demo_admin");
    const again = await session.read("POST", "/api/patients", {
      firstName: "Written",
      lastName: "Twice",
      healthNumber: "TWICE 1",
    });
    expect(again.status).toBe(201);
    const rotating = new TestHub({ HASH_KEY: NEW_KEY, HASH_KEY_PREVIOUS: OLD_KEY });
    expect(await runOut(rotating)).toMatchObject({ state: "complete", held: 1 });
    await env.DB.exec(`DELETE FROM patient_terms WHERE patient_id IN ('${older}', '${again.body.patientId}')`);
    await env.DB.exec(`DELETE FROM patients WHERE patient_id IN ('${older}', '${again.body.patientId}')`);
    const back = new TestHub({ HASH_KEY: OLD_KEY, HASH_KEY_PREVIOUS: NEW_KEY });
    expect(await runOut(back)).toMatchObject({ state: "complete", held: 0 });
  });
});

describe("the cache", () => {
  it("reports how often it was enough, to operators alone, and shows a change at once", async () => {
    const claimId = await filed("pat_demo_1");
    const read = async () => (await admin.read("GET", `/api/claims/${claimId}`)).body;
    for (let i = 0; i < 4; i++) await read();
    await admin.call("PATCH", "/api/providers/prv_demo_1", { name: "Dr. Renamed" });
    expect(await read()).toMatchObject({ providerName: "Dr. Renamed" });
    expect((await admin.call("GET", "/api/admin/cache")).status).toBe(403);
    const response = await hub.fetch("/api/admin/cache", { headers: OPERATOR });
    const stats = await response.json<{ hitRatio: number; caches: { name: string; hits: number }[] }>();
    expect(stats.hitRatio).toBeGreaterThan(0.4);
    expect(stats.caches.map(({ name }) => name)).toEqual(["clinics", "providers", "insurers"]);
  });
});

describe("planted personal values", () => {
  it("are in no log line, address, queue message, call's path or header, object's name, and nowhere plain in the database", async () => {
    const lines: string[] = [];
    const urls: string[] = [];
    const spies = (["log", "info", "warn", "error"] as const).map((name) =>
      vi.spyOn(console, name).mockImplementation((line: string) => void lines.push(line)),
    );
    const planted = {
      firstName: "Xaviera-Planted",
      lastName: "Quillfeather",
      birthDate: "1911-11-09",
      healthNumber: "PLANT 8675 309",
      notes: "planted-patient-note",
    };
    const noisy = new TestHub({ LOG_LEVEL: "debug" });
    const fetchOf = noisy.fetch.bind(noisy);
    noisy.fetch = (path, init) => {
      urls.push(path);
      return fetchOf(path, init);
    };
    const session = await noisy.signInAs("usr_demo_admin");
    const { body: patient } = await session.read("POST", "/api/patients", planted);
    const { patientId } = patient;
    await session.call("PATCH", `/api/patients/${patientId}`, { notes: "planted-second-note" });
    await session.call("POST", "/api/patients/search", { q: "Quillfeather 1911-11-09" });
    await session.call("POST", "/api/patients/search", { healthNumber: planted.healthNumber });
    const { body: claim } = await session.read("POST", "/api/claims", {
      ...CLAIM,
      patientId,
      notes: "planted-claim-note",
      codes: [{ code: "planted-code", description: "planted-service" }],
    });
    const { claimId } = claim;
    await session.send("POST", `/api/claims/${claimId}/attachments`, PDF, {
      "content-type": "application/pdf",
      "content-length": String(PDF.length),
      "x-file-name": "planted-file-name.pdf",
    });
    await env.DB.prepare(
      "INSERT INTO flags (name, enabled, percentage, updated_by, updated_at) VALUES ('FEATURE_FLAG_BULK_OPERATIONS', 1, 100, 'test', 0)",
    ).run();
    const csv = [
      "healthNumber,providerId,insurerId,amount,codes,notes",
      `${planted.healthNumber},prv_demo_1,ins_demo_1,5,planted-code,planted-bulk-note`,
      `PLANT-WRONG-NUMBER,prv_demo_1,ins_demo_1,planted-amount,planted-code,planted-bulk-note`,
    ].join("\n");
    const filed = await session.send("POST", "/api/claims/bulk?dryRun=false", csv, { "content-type": "text/csv" });
    expect(filed.status).toBe(200);
    await session.call("POST", `/api/claims/${claimId}/submit`);
    let n = 0;
    noisy.answer = () =>
      n++ === 0
        ? Response.json({ detail: "planted-claim-note" }, { status: 400 })
        : Response.json({ requestId: claimId, requestIdHash: hashFor(66_001) }, { status: 201 });
    const messages = JSON.stringify(noisy.hints);
    await noisy.runQueue();
    for (const path of ["", "/timeline", "/proof", "/attachments"]) {
      await session.call("GET", `/api/claims/${claimId}${path}`);
    }
    await session.call("GET", `/api/patients/${patientId}/export`);
    await session.call("POST", "/api/patients", { ...planted, birthDate: "planted-date" });
    for (const spy of spies) spy.mockRestore();
    const values = [
      ...Object.values(planted).flatMap((value) => [value, value.replaceAll(" ", ""), encodeURIComponent(value)]),
      "Xaviera",
      "quillfeather",
      "planted-",
      "PLANT",
    ];
    const places: Readonly<Record<string, string>> = {
      database: await dump(),
      log: lines.join("\n"),
      addresses: urls.join("\n"),
      "queue messages": messages,
      "paths and headers of calls": noisy.calls
        .map(({ path, headers }) => `${path} ${JSON.stringify([...headers])}`)
        .join("\n"),
      "names of objects": JSON.stringify((await env.ATTACHMENTS.list({ include: ["customMetadata"] })).objects),
    };
    expect(places.database).toContain(claimId);
    expect(places.log).toContain("/api/claims/bulk");
    expect(noisy.calls.some(({ body }) => body.includes("planted-claim-note"))).toBe(true);
    for (const [place, text] of Object.entries(places)) {
      for (const value of values) expect(text.includes(value), `${value} in ${place}`).toBe(false);
    }
  });
});
