import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { userUpsert } from "../../../src/medlink/accounts/accounts.store.ts";
import { hashPassword } from "../../../src/medlink/accounts/password.ts";
import { makeFields } from "../../../src/medlink/fields.ts";
import { clinicUpsert } from "../../../src/medlink/records/records.store.ts";
import { systemRandomBytes } from "../../../src/platform/clock.edge.ts";
import { makeKeyring } from "../../../src/platform/keyring.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { ADMIN, CLAIM, forgetClaims, hashFor, json, migrate, type Session, TestHub } from "./harness.ts";

let hub: TestHub;
let admin: Session;
let stranger: Session;

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
  admin = await hub.signIn();
  const fields = makeFields(
    await makeKeyring([TEST_SECRETS.hub.ENCRYPTION_KEY], "field"),
    [TEST_SECRETS.hub.HASH_KEY],
    systemRandomBytes,
  );
  const user = { userId: "usr_x", clinicId: "cln_x", role: "admin", email: "x@other.test", name: "X" } as const;
  const password = await hashPassword("another clinic's password", systemRandomBytes);
  await env.DB.batch([
    clinicUpsert(env.DB, "cln_x", "Another clinic", 1),
    await userUpsert(env.DB, fields, user, password, 1),
  ]);
  stranger = await hub.signIn("x@other.test", "another clinic's password");
});

const newClaim = async (over: Record<string, unknown> = {}) =>
  (await admin.read("POST", "/api/claims", { ...CLAIM, ...over })).body;

describe("signing in", () => {
  it("sets an opaque HttpOnly cookie and says who is signed in", async () => {
    const response = await hub.fetch("/api/auth/login", json("POST", { ...ADMIN, email: " Admin@Clinic.Test " }));
    expect(response.status).toBe(200);
    const cookie = response.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(
      /^medlink_session=[0-9a-f]{64}\.[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+$/,
    );
    const me = await hub.fetch("/api/auth/me", { headers: { cookie: cookie.split(";")[0] ?? "" } });
    expect(await me.json()).toMatchObject({ user: { email: ADMIN.email, role: "admin", clinicId: "cln_demo" } });
  });

  it("marks the cookie Secure outside development", async () => {
    const production = new TestHub({ ENVIRONMENT: "production" });
    const response = await production.fetch("/api/auth/login", json("POST", ADMIN));
    expect(response.headers.get("set-cookie")).toContain("; Secure");
  });

  it("answers a wrong password and an unknown address alike", async () => {
    const wrong = await hub.fetch("/api/auth/login", json("POST", { email: ADMIN.email, password: "wrong" }));
    const unknown = await hub.fetch("/api/auth/login", json("POST", { email: "no@clinic.test", password: "wrong" }));
    expect([wrong.status, unknown.status]).toEqual([401, 401]);
    const [a, b] = [await wrong.json<Record<string, unknown>>(), await unknown.json<Record<string, unknown>>()];
    expect({ ...a, correlationId: "" }).toEqual({ ...b, correlationId: "" });
  });

  it("ends the session at sign-out, and after 30 minutes without use", async () => {
    const first = await hub.signIn();
    expect((await first.call("POST", "/api/auth/logout")).status).toBe(204);
    expect((await first.call("GET", "/api/auth/me")).status).toBe(401);
    const second = await hub.signIn();
    await env.DB.prepare("UPDATE sessions SET last_seen_at = ?")
      .bind(Date.now() - 31 * 60_000)
      .run();
    expect((await second.call("GET", "/api/auth/me")).status).toBe(401);
    admin = await hub.signIn();
    stranger = await hub.signIn("x@other.test", "another clinic's password");
  });

  it("refuses a cookie whose signature is not ours", async () => {
    const forged = `${admin.cookie.slice(0, -1)}${admin.cookie.endsWith("0") ? "1" : "0"}`;
    expect((await hub.fetch("/api/auth/me", { headers: { cookie: forged } })).status).toBe(401);
  });

  it.each([
    ["GET", "/api/claims"],
    ["POST", "/api/claims"],
    ["GET", "/api/claims/x"],
    ["PATCH", "/api/claims/x"],
    ["POST", "/api/claims/x/submit"],
    ["GET", "/api/patients"],
    ["GET", "/api/providers"],
    ["GET", "/api/insurers"],
    ["GET", "/api/itrans/auto-submit/queue"],
    ["PUT", "/api/itrans/auto-submit/settings"],
    ["POST", "/api/itrans/auto-submit/jobs/x/requeue"],
    ["POST", "/api/itrans/claims"],
    ["GET", "/api/itrans/claims/x"],
    ["POST", "/api/itrans/workflow/claims"],
    ["GET", "/api/itrans/workflow/requests/x"],
  ])("refuses %s %s to nobody with 401", async (method, path) => {
    const init = method === "GET" ? {} : json(method, {});
    expect((await hub.fetch(path, { ...init, method })).status).toBe(401);
  });

  it.each([
    ["another site's fetch", { "sec-fetch-site": "cross-site" }, 403],
    ["a sibling site's fetch", { "sec-fetch-site": "same-site" }, 403],
    ["another origin", { origin: "https://evil.test" }, 403],
    ["an opaque origin", { origin: "null" }, 403],
    ["a form", { "content-type": "application/x-www-form-urlencoded" }, 415],
    ["plain text", { "content-type": "text/plain" }, 415],
    ["its own page", { "sec-fetch-site": "same-origin", origin: "http://hub.test" }, 201],
    ["its own origin alone", { origin: "http://hub.test" }, 201],
  ])("answers a state-changing request from %s as it should", async (_, headers, status) => {
    expect((await admin.call("POST", "/api/claims", CLAIM, headers)).status).toBe(status);
  });
});

describe("claims", () => {
  it("keeps what was filed, as a draft, and shows it again", async () => {
    const created = await admin.read("POST", "/api/claims", { ...CLAIM, currency: "CAD" });
    expect(created.status).toBe(201);
    const claimId: string = created.body.claimId;
    expect(claimId).toMatch(/^clm_[a-z2-7]{24}$/);
    const shown = (await admin.read("GET", `/api/claims/${claimId}`)).body;
    expect(shown).toMatchObject({
      ...CLAIM,
      id: claimId,
      status: "draft",
      currency: "CAD",
      itrans: null,
      timeline: [{ kind: "created", status: "draft" }],
    });
  });

  it.each([
    ["no body at all", ""],
    ["truncated JSON", '{"patientId": "pat_demo_1"'],
    ["an array", "[]"],
    ["a missing field", { ...CLAIM, patientId: undefined }],
    ["a wrong type", { ...CLAIM, type: "gift" }],
    ["a negative amount", { ...CLAIM, amount: "-1.00" }],
    ["an amount finer than a cent", { ...CLAIM, amount: "1.001" }],
    ["an amount past safe integers", { ...CLAIM, amount: "90071992547409.93" }],
    ["an amount that is no number", { ...CLAIM, amount: "lots" }],
    ["a currency that is none", { ...CLAIM, currency: "dollars" }],
    ["a price among the codes that is none", { ...CLAIM, codes: [{ code: "1", unitPrice: "x" }] }],
    ["a patient of nobody", { ...CLAIM, patientId: "pat_nobody" }],
  ])("refuses %s with a 400 problem and writes nothing", async (_, body) => {
    const count = () => env.DB.prepare("SELECT COUNT(*) AS n FROM claims").first<number>("n");
    const before = await count();
    const response = await admin.call("POST", "/api/claims", body);
    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toMatchObject({
      status: 400,
      error: expect.any(String),
      message: expect.any(String),
    });
    expect(await count()).toBe(before);
  });

  it("refuses a body over 1 MB with 413", async () => {
    expect((await admin.call("POST", "/api/claims", { ...CLAIM, notes: "x".repeat(1_000_001) })).status).toBe(413);
  });

  it.each(["nope", "..", "%2e%2e", "%00", "%", "a%2Fb", "'%20OR%201=1--", "%F0%9F%98%80", "x".repeat(3_000)])(
    "answers the odd id %s with 404",
    async (id) => {
      for (const path of [`/api/claims/${id}`, `/api/itrans/claims/${id}`, `/api/itrans/workflow/requests/${id}`]) {
        expect((await admin.call("GET", path)).status).toBe(404);
      }
    },
  );

  it("pages newest first without losing or doubling a claim, and filters by status and type", async () => {
    await forgetClaims();
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push((await newClaim({ type: i % 2 === 0 ? "claim" : "preauth" })).claimId);
    const seen: string[] = [];
    let cursor = "";
    for (let page = 0; page < 5; page++) {
      const { body } = await admin.read("GET", `/api/claims?limit=2&cursor=${cursor}`);
      const claims = body.claims;
      seen.push(...claims.map((claim) => claim.claimId));
      if (body.nextCursor === null) break;
      cursor = body.nextCursor;
    }
    expect([...seen].sort()).toEqual([...ids].sort());
    const count = async (query: string) => (await admin.read("GET", `/api/claims?${query}`)).body.claims.length;
    expect(await count("type=preauth")).toBe(2);
    expect(await count("status=draft")).toBe(5);
    expect(await count("status=paid")).toBe(0);
    for (const query of ["status=lost", "limit=0", "limit=201", "cursor=%25%25"]) {
      expect((await admin.call("GET", `/api/claims?${query}`)).status).toBe(400);
    }
  });

  it("lets a person edit a draft and set it aside, not pay it", async () => {
    const { claimId } = await newClaim();
    const path = `/api/claims/${claimId}`;
    expect(await admin.read("PATCH", path, { amount: "80.50", notes: "new" })).toMatchObject({
      status: 200,
      body: { amount: "80.50", notes: "new", codes: CLAIM.codes },
    });
    expect((await admin.call("PATCH", path, { status: "paid" })).status).toBe(409);
    expect((await admin.call("PATCH", path, { status: "pending" })).status).toBe(200);
    expect((await admin.call("PATCH", path, { amount: "-1" })).status).toBe(400);
    expect((await admin.call("PATCH", path, { insurerId: "ins_nobody" })).status).toBe(400);
  });

  it("refuses to edit a claim on its way or submitted, since a resend must say the same", async () => {
    const { claimId } = await newClaim();
    const path = `/api/claims/${claimId}`;
    await admin.call("POST", `${path}/submit`);
    expect((await admin.call("PATCH", path, { amount: "1.00" })).status).toBe(409);
    hub.answer = () => Response.json({ requestId: claimId, requestIdHash: hashFor(70_000) }, { status: 201 });
    await hub.runQueue();
    expect((await admin.call("PATCH", path, { amount: "1.00" })).status).toBe(409);
  });

  it("shows the ledger position and anchor that core reports, and the claim alone when core is down", async () => {
    const { claimId } = await newClaim();
    await admin.call("POST", `/api/claims/${claimId}/submit`);
    hub.answer = () => Response.json({ requestId: claimId, requestIdHash: hashFor(70_001) }, { status: 201 });
    await hub.runQueue();
    hub.answer = () => Response.json({ state: "SUBMITTED", ledger: { seq: 7 }, anchor: { state: "pending" } });
    const path = `/api/claims/${claimId}`;
    expect((await admin.read("GET", path)).body.itrans).toEqual({
      available: true,
      state: "SUBMITTED",
      ledger: { seq: 7 },
      anchor: { state: "pending" },
    });
    for (const down of [() => new Response("no", { status: 500 }), () => Promise.reject(new Error("down"))]) {
      hub.answer = down;
      expect(await admin.read("GET", path)).toMatchObject({ status: 200, body: { itrans: { available: false } } });
    }
  });

  it("belongs to its clinic alone", async () => {
    const { claimId } = await newClaim();
    const path = `/api/claims/${claimId}`;
    expect((await stranger.call("GET", path)).status).toBe(404);
    expect((await stranger.call("PATCH", path, { notes: "x" })).status).toBe(404);
    expect((await stranger.call("POST", `${path}/submit`)).status).toBe(404);
    expect((await stranger.call("POST", "/api/claims", CLAIM)).status).toBe(400);
    for (const list of ["claims", "patients", "providers", "insurers"]) {
      expect((await stranger.read("GET", `/api/${list}`)).body[list]).toEqual([]);
    }
    expect((await stranger.read("GET", "/api/itrans/auto-submit/queue")).body).toMatchObject({ jobs: [] });
  });
});

describe("records", () => {
  it("adds and lists patients, providers and insurers", async () => {
    const patient = await admin.read("POST", "/api/patients", {
      firstName: "Zoë",
      lastName: "New",
      healthNumber: "12-34",
    });
    expect(patient).toMatchObject({
      status: 201,
      body: { patientId: expect.stringMatching(/^pat_/), lastName: "New" },
    });
    const again = await admin.call("POST", "/api/patients", { firstName: "Z", lastName: "N", healthNumber: "1234" });
    expect(again.status).toBe(409);
    expect((await admin.call("POST", "/api/providers", { name: "Dr. New" })).status).toBe(201);
    const address = { name: "Insurer", insurerAddress: "0xAbC0000000000000000000000000000000000001" };
    expect((await admin.call("POST", "/api/insurers", address)).status).toBe(201);
    expect((await admin.call("POST", "/api/insurers", { ...address, insurerAddress: "0x12" })).status).toBe(400);
    const billing = await hub.signIn("billing@demo.invalid");
    expect((await billing.call("POST", "/api/insurers", address)).status).toBe(403);
    const { patients } = (await admin.read("GET", "/api/patients")).body as unknown as {
      patients: { firstName: string }[];
    };
    expect(patients.map(({ firstName }) => firstName)).toContain("Zoë");
  });

  it("leaves no personal value in plain text in the database or the log", async () => {
    const lines: string[] = [];
    hub.env.LOG_LEVEL = "debug";
    const spies = (["log", "warn", "error"] as const).map((name) =>
      vi.spyOn(console, name).mockImplementation((line: string) => void lines.push(line)),
    );
    const planted = [
      "Plantedfirst",
      "Plantedlast",
      "1901-02-03",
      "PLANTED-HEALTH-9",
      "planted-note",
      "planted-service",
    ];
    const [firstName, lastName, birthDate, healthNumber, notes, description] = planted;
    const { body } = await admin.read("POST", "/api/patients", { firstName, lastName, birthDate, healthNumber, notes });
    const claim = await newClaim({ patientId: body.patientId, notes, codes: [{ code: "planted-code", description }] });
    await admin.call("POST", "/api/claims", { ...CLAIM, amount: "planted-note" });
    await admin.call("POST", `/api/claims/${claim.claimId}/submit`);
    hub.answer = () => Response.json({ detail: "planted-note" }, { status: 400 });
    await hub.runQueue();
    for (const spy of spies) spy.mockRestore();
    const tables = await env.DB.prepare(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
    ).all<{ name: string }>();
    let stored = "";
    for (const { name } of tables.results) {
      stored += JSON.stringify((await env.DB.prepare(`SELECT * FROM "${name}"`).all()).results);
    }
    expect(stored).toContain(claim.claimId);
    expect(lines.join()).toContain("auto-submit.refused");
    for (const value of [...planted, "planted-code", "admin@clinic.test"]) {
      expect(stored).not.toContain(value);
      expect(lines.join("\n")).not.toContain(value);
    }
  });
});
