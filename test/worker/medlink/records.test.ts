import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { claimsQuery } from "../../../src/medlink/claims/claims.store.ts";
import { CLAIM, forgetClaims, hashFor, migrate, otherClinic, postEvent, type Session, TestHub } from "./harness.ts";

let hub: TestHub;
let admin: Session;
let provider: Session;
let stranger: Session;

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
  admin = await hub.signInAs("usr_demo_admin");
  provider = await hub.signInAs("usr_demo_provider");
  stranger = await otherClinic(hub);
});

const filed = async (over: Record<string, unknown> = {}): Promise<string> =>
  (await admin.read("POST", "/api/claims", { ...CLAIM, ...over })).body.claimId;

/** Puts a claim into core, as far as the hub can tell. */
async function submitted(claimId: string, hash: number): Promise<void> {
  hub.answer = () => Response.json({ requestId: claimId, requestIdHash: hashFor(hash) }, { status: 201 });
  await admin.call("POST", `/api/claims/${claimId}/submit`);
  await hub.runQueue();
}

describe("patients", () => {
  const search = async (body: unknown) => {
    const { status, body: found } = await provider.read("POST", "/api/patients/search", body);
    expect(status).toBe(200);
    return found.patients.map(({ firstName }) => firstName).sort();
  };

  it("are found by whole words of the name in any order, without case and accents, and by birth date", async () => {
    const people = [
      { firstName: "Zoë", lastName: "Saint-Martin", birthDate: "1990-01-02", healthNumber: "777 111" },
      { firstName: "Zoe", lastName: "Roy", birthDate: "1990-01-02" },
    ];
    for (const person of people) expect((await admin.call("POST", "/api/patients", person)).status).toBe(201);
    expect(await search({ q: "zoe" })).toEqual(["Zoe", "Zoë"]);
    expect(await search({ q: "MARTIN zoé" })).toEqual(["Zoë"]);
    expect(await search({ q: "1990-01-02 roy" })).toEqual(["Zoe"]);
    expect(await search({ q: "zo" })).toEqual([]);
    expect(await search({ q: "'; DROP TABLE patients; --" })).toEqual([]);
    expect(await search({ healthNumber: "777-111" })).toEqual(["Zoë"]);
  });

  it("are not searched for in an address", async () => {
    expect((await admin.call("GET", "/api/patients?q=zoe")).status).toBe(400);
    expect((await admin.call("GET", "/api/patients?healthNumber=777111")).status).toBe(400);
  });

  it("are changed, found under the new name only, and keep what was not named", async () => {
    const { body } = await admin.read("POST", "/api/patients", { firstName: "Old", lastName: "Name", notes: "kept" });
    const path = `/api/patients/${body.patientId}`;
    const changed = await provider.read("PATCH", path, { firstName: "New", birthDate: "2001-05-06" });
    expect(changed).toMatchObject({ status: 200, body: { firstName: "New", lastName: "Name", notes: "kept" } });
    expect((await provider.read("PATCH", path, { notes: null })).body.notes).toBeUndefined();
    expect((await provider.read("GET", path)).body).toMatchObject({ firstName: "New", birthDate: "2001-05-06" });
    expect(await search({ q: "old" })).toEqual([]);
    expect(await search({ q: "new name" })).toEqual(["New"]);
    const taken = await admin.call("PATCH", path, { healthNumber: "9990001111" });
    expect(taken.status).toBe(409);
  });

  it("belong to their clinic alone", async () => {
    expect((await stranger.call("GET", "/api/patients/pat_demo_1")).status).toBe(404);
    expect((await stranger.call("PATCH", "/api/patients/pat_demo_1", { notes: "x" })).status).toBe(404);
    const { body } = await stranger.read("POST", "/api/patients/search", { q: "avery" });
    expect(body.patients).toEqual([]);
  });
});

describe("providers, insurers and the clinic", () => {
  it("are found by part of their name, percent signs included, and changed by an administrator only", async () => {
    await admin.call("POST", "/api/providers", { name: "Dr. 100%_Sure" });
    const { body } = await provider.read("GET", "/api/providers?q=100%25_s");
    expect(body.providers).toMatchObject([{ name: "Dr. 100%_Sure" }]);
    expect((await provider.read("GET", "/api/providers?q=1%25sure")).body.providers).toEqual([]);
    const path = "/api/providers/prv_demo_1";
    expect((await provider.call("PATCH", path, { name: "X" })).status).toBe(403);
    expect((await admin.read("GET", path)).body).toMatchObject({ licenceNumber: "DEMO-001" });
    expect((await admin.read("PATCH", path, { name: "Dr. Changed", licenceNumber: null })).status).toBe(200);
    expect((await provider.read("GET", path)).body).toMatchObject({ name: "Dr. Changed", providerId: "prv_demo_1" });
    expect((await stranger.call("GET", path)).status).toBe(404);
    const insurer = await admin.read("PATCH", "/api/insurers/ins_demo_1", { name: "Renamed Mutual" });
    expect(insurer.body).toMatchObject({ name: "Renamed Mutual", insurerAddress: expect.stringMatching(/^0x/) });
    expect((await provider.read("GET", "/api/insurers?q=renamed")).body.insurers).toHaveLength(1);
    expect((await stranger.call("PATCH", "/api/insurers/ins_demo_1", { name: "X" })).status).toBe(404);
  });

  it("keep a clinic's language and how long it keeps personal data", async () => {
    expect((await provider.read("GET", "/api/clinic")).body).toMatchObject({ retentionYears: 7, locale: "en" });
    expect((await provider.call("PATCH", "/api/clinic", { retentionYears: 1 })).status).toBe(403);
    expect((await admin.read("PATCH", "/api/clinic", { retentionYears: 10, locale: "fr" })).status).toBe(200);
    expect((await provider.read("GET", "/api/clinic")).body).toMatchObject({ retentionYears: 10, locale: "fr" });
    for (const wrong of [{ retentionYears: 0 }, { retentionYears: 101 }, { locale: "de" }, { name: "" }]) {
      expect((await admin.call("PATCH", "/api/clinic", wrong)).status).toBe(400);
    }
  });
});

const DRIVEN_BY = {
  filters: /^SEARCH claims USING (COVERING )?INDEX claims_\w+ \(clinic_id=\?/,
  claimId: /^SEARCH claims USING PRIMARY KEY \(claim_id>\? AND claim_id<\?\)/,
  requestIdHash: /^SEARCH claims USING INDEX claims_request_hash \(request_id_hash>\? AND request_id_hash<\?\)/,
} as const;

describe("the list of claims", () => {
  const ids = async (query: string) =>
    (await admin.read("GET", `/api/claims?${query}`)).body.claims.map(({ claimId }) => claimId);

  it("is narrowed by every filter alone and by all together", async () => {
    await forgetClaims();
    const insurer = await admin.read("POST", "/api/insurers", {
      name: "Second",
      insurerAddress: "0x00000000000000000000000000000000000000bb",
    });
    const insurerId = String(insurer.body.insurerId);
    const doctor = await admin.read("POST", "/api/providers", { name: "Second" });
    const providerId = String(doctor.body.providerId);
    const plain = await filed();
    const other = await filed({ type: "preauth", patientId: "pat_demo_2", providerId, insurerId });
    await submitted(other, 81_001);
    await env.DB.prepare("UPDATE claims SET created_at = ?, version = version + 1 WHERE claim_id = ?")
      .bind(Date.parse("2020-02-03T12:00:00Z"), other)
      .run();
    const filters = [
      "status=submitted",
      "type=preauth",
      "patientId=pat_demo_2",
      `providerId=${providerId}`,
      `insurerId=${insurerId}`,
      "from=2020-02-03&to=2020-02-04",
      `q=${other.slice(0, 12)}`,
      `q=${hashFor(81_001)}`,
    ];
    for (const filter of filters) expect(await ids(filter), filter).toEqual([other]);
    expect(await ids(filters.slice(0, 7).join("&"))).toEqual([other]);
    expect(await ids("to=2020-02-03T12:00:00Z")).toEqual([]);
    expect(await ids("from=2021-01-01")).toEqual([plain]);
    expect(await ids("q=clm_")).toEqual([]);
    expect(await ids("q=%25%25%25%25%25%25%25")).toEqual([]);
    expect((await stranger.read("GET", `/api/claims?q=${other}`)).body.claims).toEqual([]);
    expect((await admin.call("GET", "/api/claims?from=yesterday")).status).toBe(400);
  });

  it("pages through claims of one moment, filtered, without losing or doubling one", async () => {
    await forgetClaims();
    const all: string[] = [];
    for (let i = 0; i < 7; i++) all.push(await filed());
    await env.DB.prepare("UPDATE claims SET created_at = 5000, version = version + 1").run();
    const seen: string[] = [];
    let cursor = "";
    do {
      const { body } = await admin.read(
        "GET",
        `/api/claims?limit=3&status=draft&providerId=prv_demo_1&to=2030-01-01&cursor=${cursor}`,
      );
      seen.push(...body.claims.map(({ claimId }) => claimId));
      cursor = body.nextCursor ?? "";
    } while (cursor !== "" && seen.length < 20);
    expect(seen).toEqual(all.toSorted().toReversed());
  });

  it("walks one index for every combination of filters, and reads rows by key alone", async () => {
    const values = {
      status: "paid",
      type: "claim",
      patientId: "p",
      providerId: "d",
      insurerId: "i",
      from: 1,
      to: 9_000,
    } as const;
    const names = Object.keys(values);
    const after = { createdAt: 5, id: "clm_x" };
    const named = [
      undefined,
      { by: "claimId", from: "clm_abcdef", to: "clm_abcdef~" },
      { by: "requestIdHash", from: "0xab", to: "0xab~" },
    ] as const;
    for (let bits = 0; bits < 2 ** names.length; bits++) {
      const chosen = Object.fromEntries(Object.entries(values).filter((_, i) => (bits & (2 ** i)) !== 0));
      for (const name of named) {
        for (const page of [undefined, after]) {
          const { sql, bound } = claimsQuery("c", { ...chosen, named: name }, { limit: 50, after: page });
          const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`)
            .bind(...bound)
            .all<{ detail: string }>();
          const plan = results.map(({ detail }) => detail);
          const at = plan.findIndex((step) => step.includes("claims"));
          expect(plan[at], plan.join("; ")).toMatch(DRIVEN_BY[name?.by ?? "filters"]);
          // Only the few claims named by a prefix are ever sorted before the page is cut.
          const next = name === undefined ? at + 1 : plan.indexOf("SCAN page");
          expect(plan.slice(next, next + 2)).toEqual(["SCAN page", "SEARCH c USING PRIMARY KEY (claim_id=?)"]);
        }
      }
    }
  });

  it("reads a timeline and a claim's successor through their indexes", async () => {
    const queries = [
      "SELECT * FROM claim_events WHERE claim_id = ? AND clinic_id = ? ORDER BY claim_event_id LIMIT 500",
      "SELECT * FROM claims WHERE corrects_claim_id = ? AND clinic_id = ?",
    ];
    for (const sql of queries) {
      const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).bind("a", "b").all<{ detail: string }>();
      for (const { detail } of results) expect(detail).toMatch(/^SEARCH /);
    }
  });
});

describe("a claim's timeline", () => {
  const entry = (seq: number) => seq.toString(16).padStart(64, "0");
  const event = (type: string, seq: number, at: string, data = {}) => ({ type, seq, at, entryHash: entry(seq), data });

  it("joins what the hub and the ledger know, with each entry's own anchor", async () => {
    await forgetClaims();
    const claimId = await filed();
    await submitted(claimId, 82_001);
    await postEvent(hub, hashFor(82_001), { eventType: "REQUEST_SUBMITTED", seq: 4 });
    hub.answer = (request) => {
      const { pathname, search } = new URL(request.url);
      if (pathname.endsWith("/proof")) {
        return Response.json({ anchor: search === "?seq=4" ? { size: 5, txHash: "0xa1" } : null });
      }
      return Response.json({
        events: [
          event("REQUEST_SUBMITTED", 4, "2030-01-01T00:00:00.000Z"),
          event("REQUEST_ACKNOWLEDGED", 6, "2030-01-01T00:00:01.000Z"),
          event("REQUEST_ADJUDICATED", 7, "2030-01-01T00:00:02.000Z", { decision: "DENIED" }),
        ],
        anchor: { anchored: false, txHash: null, size: null },
      });
    };
    const { body } = await admin.read("GET", `/api/claims/${claimId}/timeline`);
    expect(body.coreAvailable).toBe(true);
    expect(body.events).toMatchObject([
      { kind: "created", status: "draft", ledger: null },
      { kind: "queued" },
      { kind: "submissionAccepted", status: "submitted" },
      {
        kind: "REQUEST_SUBMITTED",
        at: "2030-01-01T00:00:00.000Z",
        ledger: { seq: 4, anchored: true, txHash: "0xa1" },
      },
      { kind: "REQUEST_ACKNOWLEDGED", status: "pending", actor: "itrans", ledger: { seq: 6, anchored: false } },
      { kind: "REQUEST_ADJUDICATED", status: "denied", ledger: { seq: 7, anchored: false, txHash: null } },
    ]);
    expect((await stranger.call("GET", `/api/claims/${claimId}/timeline`)).status).toBe(404);
  });

  it("shows what the hub knows when core is away, and says that anchors are not known", async () => {
    await forgetClaims();
    const claimId = await filed();
    await submitted(claimId, 82_002);
    await postEvent(hub, hashFor(82_002), { eventType: "REQUEST_SUBMITTED", seq: 9 });
    hub.answer = () => new Response("no", { status: 502 });
    const { body } = await admin.read("GET", `/api/claims/${claimId}/timeline`);
    expect(body).toMatchObject({ coreAvailable: false });
    expect((body.events as unknown[]).at(-1)).toMatchObject({ ledger: { seq: 9, anchored: null } });
  });
});

describe("a claim's proof", () => {
  it("is core's, to be saved as a file, as JSON or text", async () => {
    await forgetClaims();
    const claimId = await filed();
    expect((await admin.call("GET", `/api/claims/${claimId}/proof`)).status).toBe(409);
    await submitted(claimId, 83_001);
    hub.answer = (request) =>
      request.headers.get("accept") === "text/plain"
        ? new Response("c2sp.org/tlog-proof@v1\n", { headers: { "content-type": "text/plain" } })
        : Response.json({ format: "itrans-proof@v1", asked: new URL(request.url).search });
    const text = await admin.call("GET", `/api/claims/${claimId}/proof?format=text`);
    expect(await text.text()).toBe("c2sp.org/tlog-proof@v1\n");
    expect(text.headers.get("content-disposition")).toBe(`attachment; filename="${claimId}-proof.txt"`);
    const asJson = await admin.call("GET", `/api/claims/${claimId}/proof?seq=7`);
    expect(await asJson.json()).toEqual({ format: "itrans-proof@v1", asked: "?seq=7" });
    expect((await admin.call("GET", `/api/claims/${claimId}/proof?seq=7%26x`)).status).toBe(400);
    expect((await stranger.call("GET", `/api/claims/${claimId}/proof`)).status).toBe(404);
    hub.answer = () => Response.json({ code: "not_found" }, { status: 404 });
    expect((await admin.call("GET", `/api/claims/${claimId}/proof`)).status).toBe(404);
  });
});

describe("the audit", () => {
  beforeEach(async () => {
    await env.DB.exec("DELETE FROM audit_events");
  });

  const actions = async (query: string, session: Session = admin) =>
    ((await session.read("GET", `/api/audit?${query}`)).body.events as { action: string }[]).map(
      ({ action }) => action,
    );

  it("notes who saw a record once a minute, and every change", async () => {
    const path = "/api/patients/pat_demo_1";
    await provider.call("GET", path);
    await provider.call("GET", path);
    await admin.call("GET", path);
    await admin.call("PATCH", path, { notes: "a" });
    expect(await actions("subject=pat_demo_1")).toEqual(["patient.update", "patient.view", "patient.view"]);
    expect(await actions("changesOnly=true")).toEqual(["patient.update"]);
    const { body } = await admin.read("GET", "/api/audit?limit=1");
    expect(body.events).toMatchObject([{ actor: "usr_demo_admin", subject: "pat_demo_1", view: false }]);
    expect(await actions(`limit=5&cursor=${body.nextCursor}`)).toEqual(["patient.view", "patient.view"]);
  });

  it("is for administrators, each of their own clinic", async () => {
    await admin.call("GET", "/api/patients/pat_demo_1");
    expect((await provider.call("GET", "/api/audit")).status).toBe(403);
    expect(await actions("", stranger)).toEqual([]);
    expect((await stranger.call("GET", "/api/audit?clinicId=cln_demo")).status).toBe(403);
  });

  it("cannot be changed", async () => {
    await admin.call("GET", "/api/patients/pat_demo_1");
    await expect(env.DB.prepare("UPDATE audit_events SET actor = 'x'").run()).rejects.toThrow("never changed");
  });
});
