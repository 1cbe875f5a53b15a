import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { userUpsert } from "../../../src/medlink/accounts/accounts.store.ts";
import { INTERACTIONS } from "../../../src/medlink/fhir/capability.ts";
import { clinicUpsert } from "../../../src/medlink/records/records.store.ts";
import { FHIR_CLAIM } from "../../unit/medlink/fhir/sample.ts";
import { forgetClaims, hashFor, migrate, postEvent, type Session, TestHub } from "./harness.ts";

let hub: TestHub;
let provider: Session;
let stranger: Session;
let nextHash = 7_000_000;

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
  provider = await hub.signInAs("usr_demo_provider");
  const { fields } = await hub.hub();
  const user = { userId: "usr_f", clinicId: "cln_f", role: "admin", email: "f@other.test", name: "F" } as const;
  await env.DB.batch([clinicUpsert(env.DB, "cln_f", "Another", 1), await userUpsert(env.DB, fields, user, "-", 1)]);
  stranger = await hub.signInAs("usr_f");
});

beforeEach(async () => {
  await forgetClaims();
  await env.DB.exec("DELETE FROM fhir_claims");
  Object.assign(hub.env, { ITRANS_AUTO_SUBMIT_ENABLED: "false" });
  hub.hints.length = 0;
  hub.answer = async (request) => {
    const { externalRequestId } = await request.json<{ externalRequestId: string }>();
    return Response.json({ requestId: externalRequestId, requestIdHash: hashFor(nextHash++) }, { status: 201 });
  };
});

interface Resource {
  readonly resourceType: string;
  readonly id: string;
  readonly issue: readonly { readonly code: string; readonly expression?: readonly string[] }[];
  readonly entry: readonly {
    readonly resource: Resource;
    readonly response: { readonly status: string; readonly outcome?: Resource };
  }[];
  readonly type: unknown;
  readonly total: unknown;
  readonly outcome: string;
  readonly [name: string]: unknown;
}

async function fhir(method: string, path: string, body?: unknown, headers: Record<string, string> = {}, as = provider) {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const response = await hub.fetch(path, {
    method,
    headers: {
      cookie: as.cookie,
      ...(text === undefined ? {} : { "content-type": "application/fhir+json" }),
      ...headers,
    },
    ...(text === undefined ? {} : { body: text }),
  });
  const answered = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: await new Response(answered === "" ? "{}" : answered).json<Resource>(),
  };
}

const claimsKept = async (): Promise<number> =>
  (await env.DB.prepare("SELECT COUNT(*) AS n FROM claims").first<{ n: number }>())?.n ?? -1;

const named = (value: string, over: Record<string, unknown> = {}) => ({
  ...FHIR_CLAIM,
  identifier: [{ system: "https://practice.example/claims", value }],
  ...over,
});

describe("filing a FHIR Claim", () => {
  it("makes a claim of the hub, and answers where it is and what it is", async () => {
    const created = await fhir("POST", "/fhir/Claim", FHIR_CLAIM);
    expect(created.status).toBe(201);
    expect(created.headers.get("content-type")).toBe("application/fhir+json");
    expect(created.headers.get("location")).toBe(`http://hub.test/fhir/Claim/${created.body.id}`);
    expect(created.headers.get("etag")).toBe('W/"0"');
    const claimId = created.body.id.replace("-", "_");
    expect((await provider.read("GET", `/api/claims/${claimId}`)).body).toMatchObject({
      patientId: "pat_demo_1",
      type: "claim",
      amount: "175.50",
      status: "draft",
      notes: "Diagnosis: K02.1",
    });
    const again = await fhir("GET", `/fhir/Claim/${created.body.id}`);
    expect(again.body).toEqual(created.body);
  });

  it("is the same claim when it comes again, and a conflict when it says another thing under its name", async () => {
    const first = await fhir("POST", "/fhir/Claim", FHIR_CLAIM);
    const again = await fhir("POST", "/fhir/Claim", FHIR_CLAIM);
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body.id).toBe(first.body.id);
    const other = await fhir("POST", "/fhir/Claim", { ...FHIR_CLAIM, total: { value: 1, currency: "CAD" } });
    expect([other.status, other.body.issue[0]?.code]).toEqual([409, "duplicate"]);
    const conditional = await fhir(
      "POST",
      "/fhir/Claim",
      { ...FHIR_CLAIM, total: { value: 1, currency: "CAD" } },
      { "if-none-exist": "identifier=https%3A%2F%2Fpractice.example%2Fclaims|INV-1001" },
    );
    expect([conditional.status, conditional.body.id]).toEqual([200, first.body.id]);
    expect(await claimsKept()).toBe(1);
  });

  it("is one claim however many send it at once", async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => fhir("POST", "/fhir/Claim", FHIR_CLAIM)));
    expect(all.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 201]);
    expect(new Set(all.map(({ body }) => body.id)).size).toBe(1);
    expect(await claimsKept()).toBe(1);
  });

  it("is queued for iTrans when it is active and auto-submit is on, and not as a draft", async () => {
    Object.assign(hub.env, { ITRANS_AUTO_SUBMIT_ENABLED: "true" });
    const active = await fhir("POST", "/fhir/Claim", named("A"));
    const draft = await fhir("POST", "/fhir/Claim", named("B", { status: "draft" }));
    expect(hub.hints).toHaveLength(1);
    await hub.runQueue();
    expect((await fhir("GET", `/fhir/ClaimResponse/${active.body.id}`)).body).toMatchObject({ outcome: "queued" });
    expect((await fhir("GET", `/fhir/ClaimResponse/${draft.body.id}`)).status).toBe(404);
  });

  it("gives no body to who asks for none", async () => {
    const minimal = await fhir("POST", "/fhir/Claim", FHIR_CLAIM, { prefer: "return=minimal" });
    expect([minimal.status, minimal.body]).toEqual([201, {}]);
    expect(minimal.headers.get("location")).toContain("/fhir/Claim/");
  });

  it("leaves no text of it in the database", async () => {
    await fhir("POST", "/fhir/Claim", named("INV-PLANTED-4711"));
    for (const table of ["claims", "fhir_claims", "claim_events", "audit_events"]) {
      const { results } = await env.DB.prepare(`SELECT * FROM ${table}`).all();
      expect(JSON.stringify(results)).not.toMatch(/PLANTED|K02|Caries|practice\.example/);
    }
  });
});

describe("what is refused", () => {
  it("is answered with an OperationOutcome that names the place", async () => {
    const { status: _, ...rest } = FHIR_CLAIM;
    const missing = await fhir("POST", "/fhir/Claim", rest);
    expect(missing.status).toBe(400);
    expect(missing.body).toMatchObject({
      resourceType: "OperationOutcome",
      issue: [{ severity: "error", code: "required", expression: ["Claim.status"] }],
    });
    expect(await claimsKept()).toBe(0);
  });

  it.each<[string, unknown, Record<string, string>, number, string]>([
    ["broken JSON", "{", {}, 400, "structure"],
    ["another resource", { resourceType: "Patient" }, {}, 400, "code-invalid"],
    ["no resource", {}, {}, 400, "invalid"],
    ["XML", "<Claim/>", { "content-type": "application/fhir+xml" }, 415, "not-supported"],
    ["an answer in XML", FHIR_CLAIM, { accept: "application/fhir+xml" }, 406, "not-supported"],
    ["another site's page", FHIR_CLAIM, { "sec-fetch-site": "cross-site" }, 403, "forbidden"],
    ["a condition on something else", FHIR_CLAIM, { "if-none-exist": "patient=Patient/1" }, 400, "not-supported"],
    ["another's identifier as condition", FHIR_CLAIM, { "if-none-exist": "identifier=x|y" }, 400, "not-supported"],
    [
      "a patient who is nobody",
      { ...FHIR_CLAIM, patient: { reference: "Patient/pat-nobody" } },
      {},
      422,
      "business-rule",
    ],
  ])("%s", async (_, body, headers, status, code) => {
    const answered = await fhir("POST", "/fhir/Claim", body, headers);
    expect([answered.status, answered.body.resourceType, answered.body.issue[0]?.code]).toEqual([
      status,
      "OperationOutcome",
      code,
    ]);
    expect(answered.headers.get("content-type")).toBe("application/fhir+json");
    expect(await claimsKept()).toBe(0);
  });

  it.each([
    ["POST", "/fhir/Claim"],
    ["POST", "/fhir"],
    ["GET", "/fhir/Claim/x"],
    ["GET", "/fhir/ClaimResponse/x"],
    ["GET", "/fhir/ClaimResponse?request=x"],
  ])("%s %s of nobody", async (method, path) => {
    const init =
      method === "POST"
        ? { body: JSON.stringify(FHIR_CLAIM), headers: { "content-type": "application/fhir+json" } }
        : {};
    const response = await hub.fetch(path, { method, ...init });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ resourceType: "OperationOutcome", issue: [{ code: "login" }] });
  });

  it("another clinic's patient, claim and response", async () => {
    const theirs = await fhir("POST", "/fhir/Claim", FHIR_CLAIM, {}, stranger);
    expect([theirs.status, theirs.body.issue[0]?.expression]).toEqual([422, ["Claim.patient"]]);
    const ours = await fhir("POST", "/fhir/Claim", FHIR_CLAIM);
    for (const path of [`/fhir/Claim/${ours.body.id}`, `/fhir/ClaimResponse/${ours.body.id}`]) {
      expect((await fhir("GET", path, undefined, {}, stranger)).status).toBe(404);
    }
    const found = await fhir("GET", `/fhir/ClaimResponse?request=Claim/${ours.body.id}`, undefined, {}, stranger);
    expect(found.body).toMatchObject({ total: 0 });
  });

  it("what is not there", async () => {
    const nothing = await fhir("GET", "/fhir/Patient/1");
    expect([nothing.status, nothing.body.resourceType]).toEqual([404, "OperationOutcome"]);
  });
});

describe("the response to a claim", () => {
  it("follows what iTrans says, by id and by search", async () => {
    Object.assign(hub.env, { ITRANS_AUTO_SUBMIT_ENABLED: "true" });
    const { id } = (await fhir("POST", "/fhir/Claim", FHIR_CLAIM)).body;
    await hub.runQueue();
    const requestHash = hashFor(nextHash - 1);
    const response = async () => (await fhir("GET", `/fhir/ClaimResponse/${id}`)).body;
    expect(await response()).toMatchObject({ outcome: "queued" });
    await postEvent(hub, requestHash, { eventType: "REQUEST_ADJUDICATED", decision: "NEEDS_INFO" });
    expect(await response()).toMatchObject({ outcome: "partial" });
    await postEvent(hub, requestHash, { eventType: "REQUEST_ADJUDICATED", decision: "APPROVED" });
    expect(await response()).toMatchObject({
      outcome: "complete",
      payment: { amount: { value: 175.5, currency: "CAD" } },
    });
    for (const request of [id, `Claim/${id}`, `http://hub.test/fhir/Claim/${id}`]) {
      const found = await fhir("GET", `/fhir/ClaimResponse?request=${encodeURIComponent(request)}`);
      expect(found.body).toMatchObject({
        type: "searchset",
        total: 1,
        entry: [{ resource: { id }, search: { mode: "match" } }],
      });
    }
    expect((await fhir("GET", "/fhir/ClaimResponse")).status).toBe(400);
    expect((await fhir("GET", "/fhir/ClaimResponse?request=Claim/clm-other")).body).toMatchObject({ total: 0 });
  });
});

describe("a bundle", () => {
  const post = { method: "POST", url: "Claim" };
  const bundle = (type: string, ...resources: readonly unknown[]) => ({
    resourceType: "Bundle",
    type,
    entry: resources.map((resource) => ({ resource, ...(type === "collection" ? {} : { request: post }) })),
  });

  it.each(["transaction", "collection"])("of type %s is filed whole", async (type) => {
    const answered = await fhir("POST", "/fhir", bundle(type, named("1"), named("2", { use: "preauthorization" })));
    expect(answered.status).toBe(200);
    expect(answered.body.type).toBe("transaction-response");
    expect(answered.body.entry.map(({ response }) => response.status)).toEqual(["201 Created", "201 Created"]);
    expect(await claimsKept()).toBe(2);
    const again = await fhir("POST", "/fhir", bundle(type, named("1"), named("2", { use: "preauthorization" })));
    expect(again.body.entry.map(({ response }) => response.status)).toEqual(["200 OK", "200 OK"]);
    expect(await claimsKept()).toBe(2);
  });

  it.each([
    ["one of its claims is not R4", named("2", { status: "sent" }), 400, "Bundle.entry[1].resource.status"],
    [
      "a patient is nobody",
      named("2", { patient: { reference: "Patient/no" } }),
      422,
      "Bundle.entry[1].resource.patient",
    ],
    ["two claims have one name", named("1"), 400, "Bundle.entry[1].resource.identifier[0]"],
  ])("as a transaction is not filed at all when %s", async (_, second, status, expression) => {
    const answered = await fhir("POST", "/fhir", bundle("transaction", named("1"), second));
    expect([answered.status, answered.body.issue[0]?.expression]).toEqual([status, [expression]]);
    expect(await claimsKept()).toBe(0);
  });

  it("as a batch is filed one by one", async () => {
    const answered = await fhir(
      "POST",
      "/fhir",
      bundle("batch", named("1"), named("2", { status: "sent" }), named("3")),
    );
    expect(answered.body.type).toBe("batch-response");
    expect(answered.body.entry.map(({ response }) => response.status)).toEqual([
      "201 Created",
      "400 Bad Request",
      "201 Created",
    ]);
    expect(answered.body.entry[1]?.response.outcome).toMatchObject({ issue: [{ code: "code-invalid" }] });
    expect(await claimsKept()).toBe(2);
  });

  it("is taken at the claim's address too", async () => {
    const answered = await fhir("POST", "/fhir/Claim", bundle("transaction", named("1")));
    expect(answered.body).toMatchObject({ resourceType: "Bundle", type: "transaction-response" });
  });
});

describe("the capability statement", () => {
  it("is there for everyone, and has what R4 requires", async () => {
    const response = await hub.fetch("/fhir/metadata");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/fhir+json");
    expect(await response.json()).toMatchObject({
      resourceType: "CapabilityStatement",
      status: "active",
      date: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T/),
      kind: "instance",
      fhirVersion: "4.0.1",
      format: expect.arrayContaining(["application/fhir+json"]),
      rest: [{ mode: "server" }],
    });
  });

  it("names each interaction that is routed, and no other", async () => {
    const { paths } = await (await hub.fetch("/api/openapi.json")).json<{
      paths: Record<string, Record<string, unknown>>;
    }>();
    const routed = Object.entries(paths)
      .filter(([path]) => path.startsWith("/fhir"))
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`));
    expect(new Set(INTERACTIONS.map(({ method, path }) => `${method} ${path}`))).toEqual(new Set(routed));
    const { rest } = await (await hub.fetch("/fhir/metadata")).json<{
      rest: [{ interaction: { code: string }[]; resource: { type: string; interaction: { code: string }[] }[] }];
    }>();
    const stated = [
      ...rest[0].interaction.map(({ code }) => code),
      ...rest[0].resource.flatMap(({ type, interaction }) => interaction.map(({ code }) => `${type} ${code}`)),
    ];
    const served = INTERACTIONS.filter(({ code }) => code !== "capabilities").map(({ type, code }) =>
      type === undefined ? code : `${type} ${code}`,
    );
    expect(stated.sort()).toEqual(served.sort());
  });
});
