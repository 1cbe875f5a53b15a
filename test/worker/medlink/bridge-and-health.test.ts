import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { verifyProviderSignature } from "../../../src/platform/signature.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { CLAIM, hashFor, INSURER_ADDRESS, json, migrate, postEvent, Session, TestHub } from "./harness.ts";

let hub: TestHub;
let session: Session;

let cookie: string;

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
  ({ cookie } = await hub.signInAs("usr_demo_admin"));
});

beforeEach(() => {
  hub = new TestHub();
  session = new Session(hub, cookie);
});

const offchainPayload = { totalAmount: 10.5, patientId: "p", providerId: "q", services: [], extra: { z: 1, a: 2 } };

describe("the bridge", () => {
  it("signs a claim, sends it with the claims key and the correlation id, and passes core's answer on", async () => {
    hub.answer = () => Response.json({ claimId: "c-1", status: "CREATED" }, { status: 201 });
    const headers = { "x-correlation-id": "corr-77" };
    const response = await session.call("POST", "/api/itrans/claims", { offchainPayload }, headers);
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({ claimId: "c-1", status: "CREATED" });
    const [call] = hub.calls;
    expect(call).toMatchObject({ method: "POST", path: "/claims" });
    expect(call?.headers.get("x-api-key")).toBe(TEST_SECRETS.hub.ITRANS_CLAIMS_API_KEY);
    expect(call?.headers.get("x-correlation-id")).toBe("corr-77");
    const sent = JSON.parse(call?.body ?? "");
    const secrets = [TEST_SECRETS.hub.ITRANS_PROVIDER_SIGNATURE_HMAC_SECRET];
    expect(verifyProviderSignature(sent.offchainPayload, sent.providerSignature, secrets)).toBe(true);
    expect(JSON.stringify(sent.offchainPayload)).toBe(JSON.stringify(offchainPayload));
  });

  it.each([
    ["POST", "finalize", "/claims/c-2/finalize"],
    ["POST", "settle", "/claims/c-2/settle"],
    ["GET", "anchor/status", "/claims/c-2/anchor/status"],
  ])("forwards %s %s with an empty body and passes a refusal on", async (method, action, path) => {
    hub.answer = () => Response.json({ claimId: "c-2" }, { status: 201 });
    await session.call("POST", "/api/itrans/claims", { offchainPayload });
    hub.answer = () => Response.json({ error: "out_of_order" }, { status: 409 });
    const response = await session.call(method, `/api/itrans/claims/c-2/${action}`);
    expect([response.status, await response.json()]).toEqual([409, { error: "out_of_order" }]);
    expect(hub.calls.at(-1)).toMatchObject({ method, path, body: "" });
  });

  it.each([
    ["claims", "/workflow/claims", "claim"],
    ["preauths", "/workflow/preauths", "preauth"],
  ])("sends workflow %s with its type signed, and takes the webhooks of it", async (kind, path, type) => {
    const requestIdHash = hashFor(path.length + 5_000);
    hub.answer = () => Response.json({ requestId: `r-${kind}`, requestIdHash }, { status: 201 });
    const body = { insurerAddress: INSURER_ADDRESS, offchainPayload, externalRequestId: `r-${kind}` };
    expect((await session.call("POST", `/api/itrans/workflow/${kind}`, body)).status).toBe(201);
    expect(hub.calls[0]?.path).toBe(path);
    const sent = JSON.parse(hub.calls[0]?.body ?? "");
    expect(sent).toMatchObject({ externalRequestId: `r-${kind}`, offchainPayload: { type } });
    const secrets = [TEST_SECRETS.hub.ITRANS_PROVIDER_SIGNATURE_HMAC_SECRET];
    expect(verifyProviderSignature(sent.offchainPayload, sent.providerSignature, secrets)).toBe(true);
    hub.answer = () => Response.json({ state: "SUBMITTED" });
    for (const id of [`r-${kind}`, requestIdHash]) {
      expect((await session.call("GET", `/api/itrans/workflow/requests/${id}`)).status).toBe(200);
    }
    const event = await postEvent(hub, requestIdHash);
    expect([event.status, await event.json()]).toEqual([
      200,
      { ok: true, claimId: `r-${kind}`, eventType: "REQUEST_SUBMITTED" },
    ]);
  });

  it("moves a claim of the clinic that is sent under its own id", async () => {
    const { claimId } = (await session.read("POST", "/api/claims", CLAIM)).body;
    const requestIdHash = hashFor(6_001);
    hub.answer = () => Response.json({ requestId: claimId, requestIdHash }, { status: 201 });
    const body = { insurerAddress: INSURER_ADDRESS, offchainPayload, externalRequestId: claimId };
    await session.call("POST", "/api/itrans/workflow/claims", body);
    expect((await session.read("GET", `/api/claims/${claimId}`)).body).toMatchObject({
      status: "submitted",
      requestIdHash,
    });
  });

  it("answers 502 when core cannot be reached or does not answer in time", async () => {
    hub.answer = () => Promise.reject(new Error("refused"));
    const response = await session.call("POST", "/api/itrans/claims", { offchainPayload });
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: "upstream_unavailable" });
    hub.env.ITRANS_API_TIMEOUT_MS = "100";
    hub.answer = (request) =>
      new Promise((_, reject) => request.signal.addEventListener("abort", () => reject(request.signal.reason)));
    expect((await session.call("POST", "/api/itrans/claims", { offchainPayload })).status).toBe(502);
  });

  it("asks core nothing about an id that is not the clinic's", async () => {
    expect((await session.call("GET", "/api/itrans/workflow/requests/somebody-elses")).status).toBe(404);
    expect((await session.call("POST", "/api/itrans/claims/somebody-elses/settle")).status).toBe(404);
    expect(hub.calls).toEqual([]);
  });
});

it("is deployed with its own calls kept off private addresses", () => {
  expect(Cloudflare.compatibilityFlags.global_fetch_strictly_public).toBe(true);
});

describe("health", () => {
  it("is ok with database and core, degraded without core, 503 without the database", async () => {
    hub.answer = () => Response.json({ status: "ok" });
    const well = await hub.fetch("/api/health");
    expect(well.status).toBe(200);
    expect(await well.json()).toEqual({
      status: "ok",
      version: expect.any(String),
      uptimeSec: expect.any(Number),
      db: { ok: true, latencyMs: expect.any(Number) },
      itrans: { ok: true, latencyMs: expect.any(Number) },
      timestamp: expect.stringMatching(/Z$/),
    });
    hub.answer = () => Promise.reject(new Error("down"));
    const degraded = await hub.fetch("/api/health");
    expect([degraded.status, await degraded.json()]).toMatchObject([
      200,
      { status: "degraded", itrans: { ok: false } },
    ]);
    const broken = { prepare: () => ({ run: () => Promise.reject(new Error("D1 is out")) }) };
    const out = new TestHub({ DB: broken });
    const answer = await out.fetch("/api/health");
    expect([answer.status, await answer.json()]).toMatchObject([503, { status: "unavailable", db: { ok: false } }]);
    expect((await out.fetch("/readyz")).status).toBe(503);
    expect((await hub.fetch("/readyz")).status).toBe(200);
  });

  it("outside development answers 503 to all but liveness while a secret is weak or missing, and names it", async () => {
    const weak = new TestHub({ ENVIRONMENT: "production", SESSION_SECRET: "short", HASH_KEY: "" });
    expect((await weak.fetch("/healthz")).status).toBe(200);
    for (const path of ["/api/health", "/readyz", "/api/claims", "/nowhere"]) {
      const response = await weak.fetch(path);
      expect(response.status).toBe(503);
      const { detail } = await response.json<{ detail: string }>();
      expect(detail).toContain("SESSION_SECRET is shorter than 32 characters");
      expect(detail).toContain("HASH_KEY is not set");
      expect(detail).not.toContain("short\b");
    }
  });

  it("hides seeding without the token and outside development", async () => {
    const body = { adminEmail: "a@b.test", adminPassword: "long enough password", insurerAddress: INSURER_ADDRESS };
    expect((await hub.fetch("/api/dev/seed", json("POST", body))).status).toBe(404);
    expect((await hub.fetch("/api/dev/seed", json("POST", "{"))).status).toBe(404);
    const production = new TestHub({ ENVIRONMENT: "production" });
    expect((await production.seed()).status).toBe(404);
    expect((await hub.seed()).status).toBe(200);
    expect(await (await hub.seed()).json()).toMatchObject({
      clinicId: "cln_demo",
      patientIds: ["pat_demo_1", "pat_demo_2"],
      insurerIds: ["ins_demo_1"],
    });
  });

  it("describes every operation in its OpenAPI document", async () => {
    const document = await (await hub.fetch("/api/openapi.json")).json<{ paths: Record<string, unknown> }>();
    expect(Object.keys(document.paths)).toContain("/api/itrans/webhooks/workflow");
    expect(Object.keys(document.paths)).toContain("/api/claims/{claimId}");
  });

  it("answers an unknown page with a problem document and carries the correlation id", async () => {
    const response = await hub.fetch("/nowhere", { headers: { "x-correlation-id": "corr-1" } });
    expect([response.status, response.headers.get("x-correlation-id")]).toEqual([404, "corr-1"]);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
  });
});
