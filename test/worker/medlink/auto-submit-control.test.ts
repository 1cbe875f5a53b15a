import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { clinicUpsert } from "../../../src/medlink/records/records.store.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { CLAIM, forgetClaims, hashFor, json, migrate, type Session, TestHub } from "./harness.ts";

let hub: TestHub;
let admin: Session;
let billing: Session;
let provider: Session;
let nextHash = 2_000_000;

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
  await env.DB.batch([clinicUpsert(env.DB, "cln_other", "Other", 1)]);
  admin = await hub.signInAs("usr_demo_admin");
  billing = await hub.signInAs("usr_demo_billing");
  provider = await hub.signInAs("usr_demo_provider");
});

beforeEach(async () => {
  await forgetClaims();
  Object.assign(hub.env, {
    ITRANS_AUTO_SUBMIT_ENABLED: "false",
    ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS: "1",
    ITRANS_AUTO_SUBMIT_QUEUE_LIMIT: "1000",
  });
  hub.hints.length = 0;
  hub.calls.length = 0;
  hub.answer = async (request) => {
    const { externalRequestId } = await request.json<{ externalRequestId: string }>();
    return Response.json({ requestId: externalRequestId, requestIdHash: hashFor(nextHash++) }, { status: 201 });
  };
});

const ENQUEUE = "/api/itrans/auto-submit/enqueue";
const REQUEUE = "/api/itrans/auto-submit/requeue";
const STATUS = "/api/itrans/auto-submit/status";
const SETTINGS = "/api/itrans/auto-submit/settings";

const file = async (count: number): Promise<string[]> => {
  const claimIds: string[] = [];
  for (let i = 0; i < count; i++) claimIds.push((await admin.read("POST", "/api/claims", CLAIM)).body.claimId);
  return claimIds;
};

async function operator(
  method: string,
  path: string,
  body?: unknown,
  key: string = TEST_SECRETS.hub.HUB_OPERATOR_API_KEY,
) {
  const init = body === undefined ? { method, headers: {} } : json(method, body);
  const response = await hub.fetch(path, { ...init, headers: { ...init.headers, "x-api-key": key } });
  return { status: response.status, body: await response.json<Record<string, unknown>>() };
}

/** Files claims and lets core refuse them, each with its status. */
async function fail(...statuses: readonly number[]): Promise<string[]> {
  const claimIds = await file(statuses.length);
  for (const [i, status] of statuses.entries()) {
    const accepts = hub.answer;
    hub.answer = () => Response.json({ code: "conflict" }, { status });
    await billing.read("POST", ENQUEUE, { claimIds: [claimIds[i]] });
    await hub.runQueue();
    hub.answer = accepts;
  }
  return claimIds;
}

const stats = async () => (await billing.read("GET", STATUS)).body.stats;

describe("queueing failed jobs again", () => {
  it("takes all of them, and they are submitted", async () => {
    await fail(400, 409, 500);
    expect((await billing.read("GET", STATUS)).body).toMatchObject({
      stats: { failed: 3 },
      failures: [
        { error: "upstream_400:conflict", count: 1 },
        { error: "upstream_409:conflict", count: 1 },
        { error: "upstream_500:conflict", count: 1 },
      ],
    });
    const answer = await billing.read("POST", REQUEUE, {});
    expect(answer).toEqual({ status: 200, body: { requeued: 3, refused: [], queueFull: false, nextCursor: null } });
    await hub.runQueue();
    expect(await stats()).toMatchObject({ failed: 0, succeeded: 3 });
  });

  it.each([
    [{ error: "upstream_409" }, 1],
    [{ error: "upstream_409:conflict" }, 1],
    [{ error: "upstream_40" }, 0],
    [{ since: "2000-01-01T00:00:00Z" }, 2],
    [{ since: "2100-01-01T00:00:00Z" }, 0],
    [{ clinicId: "cln_demo" }, 2],
  ])("takes those of the filter %j alone", async (filter, requeued) => {
    await fail(409, 500);
    expect((await billing.read("POST", REQUEUE, { filter })).body).toMatchObject({ requeued });
    expect(await stats()).toMatchObject({ queued: requeued, failed: 2 - requeued });
  });

  it("does a bounded number a call and goes on where it stopped", async () => {
    await fail(500, 500, 500);
    const first = (await billing.read("POST", REQUEUE, { limit: 2 })).body;
    expect(first).toMatchObject({ requeued: 2, nextCursor: expect.any(String) });
    const rest = (await billing.read("POST", REQUEUE, { limit: 2, cursor: first.nextCursor })).body;
    expect(rest).toMatchObject({ requeued: 1, nextCursor: null });
  });

  it("stops at the queue's limit, and names claims that must not go again", async () => {
    const [first] = await fail(500, 500, 500);
    await env.DB.prepare("UPDATE claims SET request_id = 'r', version = version + 1 WHERE claim_id = ?")
      .bind(first ?? "")
      .run();
    hub.env.ITRANS_AUTO_SUBMIT_QUEUE_LIMIT = "1";
    const answer = (await billing.read("POST", REQUEUE, {})).body;
    expect(answer).toMatchObject({
      requeued: 1,
      refused: [{ claimId: first, reason: "already_submitted" }],
      queueFull: true,
      nextCursor: expect.any(String),
    });
    await hub.runQueue();
    expect((await billing.read("POST", REQUEUE, { cursor: answer.nextCursor })).body).toMatchObject({
      requeued: 1,
      refused: [],
      queueFull: false,
      nextCursor: null,
    });
  });

  it("reaches no other clinic, except by the operator", async () => {
    await fail(500, 500);
    await env.DB.exec(
      "UPDATE auto_submit_jobs SET clinic_id = 'cln_other', version = version + 1 WHERE job_id = (SELECT MIN(job_id) FROM auto_submit_jobs)",
    );
    expect((await billing.call("POST", REQUEUE, { filter: { clinicId: "cln_other" } })).status).toBe(403);
    expect((await operator("GET", STATUS)).body).toMatchObject({ stats: { failed: 2 } });
    expect((await billing.read("POST", REQUEUE, {})).body).toMatchObject({ requeued: 1 });
    expect((await operator("POST", REQUEUE, { filter: { clinicId: "cln_demo" } })).body).toMatchObject({ requeued: 0 });
    // The claim itself is of the first clinic still: the job finds none.
    expect((await operator("POST", REQUEUE, {})).body).toMatchObject({ requeued: 0, refused: [{}] });
  });
});

describe("queueing claims in bulk", () => {
  it("reports each claim, and gives none two live jobs", async () => {
    const [a, b, c] = await file(3);
    await billing.read("POST", ENQUEUE, { claimIds: [c] });
    await hub.runQueue();
    await billing.read("POST", ENQUEUE, { claimIds: [b] });
    const { body } = await billing.read("POST", ENQUEUE, { claimIds: [a, a, b, c, "clm_nobody"] });
    expect(body).toEqual({
      queued: 1,
      claims: [
        { claimId: a, result: "queued", jobId: expect.any(String) },
        { claimId: b, result: "already_queued", jobId: expect.any(String) },
        { claimId: c, result: "already_submitted", jobId: null },
        { claimId: "clm_nobody", result: "not_found", jobId: null },
      ],
      queueFull: false,
      nextCursor: null,
    });
    await hub.runQueue();
    expect(await stats()).toMatchObject({ succeeded: 3, total: 3 });
  });

  it("finds claims by a filter, a bounded number a call, and stops at the queue's limit", async () => {
    const claimIds = await file(5);
    const filter = { status: "draft", type: "claim", since: "2000-01-01T00:00:00Z" };
    const first = (await billing.read("POST", ENQUEUE, { filter, limit: 2 })).body;
    expect(first).toMatchObject({ queued: 2, queueFull: false, nextCursor: expect.any(String) });
    hub.env.ITRANS_AUTO_SUBMIT_QUEUE_LIMIT = "4";
    const second = (await billing.read("POST", ENQUEUE, { filter, cursor: first.nextCursor })).body;
    expect(second).toMatchObject({ queued: 2, queueFull: true, nextCursor: expect.any(String) });
    await hub.runQueue();
    const third = (await billing.read("POST", ENQUEUE, { filter, cursor: second.nextCursor })).body;
    expect(third).toMatchObject({ queued: 1, queueFull: false, nextCursor: null });
    await hub.runQueue();
    expect(hub.calls.map(({ body }) => JSON.parse(body).externalRequestId).toSorted()).toEqual(claimIds.toSorted());
    expect((await billing.read("POST", ENQUEUE, { filter: { type: "preauth" } })).body).toMatchObject({ claims: [] });
  });
});

describe("who may do it", () => {
  const calls: readonly (readonly [string, string, unknown])[] = [
    ["GET", STATUS, undefined],
    ["POST", REQUEUE, {}],
    ["POST", ENQUEUE, { filter: {} }],
    ["PUT", SETTINGS, { enabled: true }],
  ];
  it.each(calls)("%s %s is refused to strangers, wrong keys and providers", async (method, path, body) => {
    expect((await hub.fetch(path, body === undefined ? { method } : json(method, body))).status).toBe(401);
    expect((await operator(method, path, body, "wrong")).status).toBe(401);
    expect((await provider.call(method, path, body)).status).toBe(403);
    const keyless = new TestHub({ HUB_OPERATOR_API_KEY: "" });
    const init = body === undefined ? { method, headers: {} } : json(method, body);
    expect((await keyless.fetch(path, { ...init, headers: { ...init.headers, "x-api-key": "" } })).status).toBe(401);
  });

  it("lets an admin switch the clinic, and the operator any clinic or all", async () => {
    expect((await billing.call("PUT", SETTINGS, { enabled: true })).status).toBe(403);
    expect((await admin.call("PUT", SETTINGS, { enabled: true, clinicId: "cln_other" })).status).toBe(403);
    expect((await admin.read("PUT", SETTINGS, { enabled: true })).body).toEqual({
      enabled: true,
      heldByOperator: false,
    });
    expect((await operator("PUT", SETTINGS, { enabled: false })).body).toEqual({
      enabled: false,
      heldByOperator: true,
    });
    expect((await admin.read("GET", SETTINGS)).body).toEqual({ enabled: false, heldByOperator: true });
    expect((await operator("PUT", SETTINGS, { enabled: true })).body).toEqual({ enabled: true, heldByOperator: false });
    expect((await operator("PUT", SETTINGS, { enabled: false, clinicId: "cln_demo" })).status).toBe(200);
    expect((await admin.read("GET", SETTINGS)).body).toEqual({ enabled: false, heldByOperator: false });
    const before = (await operator("PUT", SETTINGS, { enabled: false })).body;
    const after = (await operator("PUT", SETTINGS, { enabled: null })).body;
    expect([before.heldByOperator, after.heldByOperator], "its word taken back, nothing is held").toEqual([
      true,
      false,
    ]);
    expect((await operator("PUT", SETTINGS, { enabled: true, clinicId: "cln_nobody" })).status).toBe(404);
  });

  it.each<[string, unknown]>([
    [REQUEUE, { filter: { error: "x'; DROP" } }],
    [REQUEUE, { filter: { since: "yesterday" } }],
    [REQUEUE, { limit: 201 }],
    [REQUEUE, { cursor: "?" }],
    [ENQUEUE, {}],
    [ENQUEUE, { claimIds: [] }],
    [ENQUEUE, { claimIds: ["a"], filter: {} }],
    [ENQUEUE, { filter: { status: "paid" } }],
    [ENQUEUE, { claimIds: Array.from({ length: 201 }, (_, i) => `c${i}`) }],
  ])("%s refuses %j", async (path, body) => {
    expect((await billing.call("POST", path, body)).status).toBe(400);
  });
});

describe("the log", () => {
  it("has one event for a request, a batch and a cron, and none below LOG_LEVEL", async () => {
    // The day's first cron takes a snapshot, which is an event of its own.
    await hub.sweep();
    const written: string[] = [];
    const spies = (["log", "warn", "error"] as const).map((name) =>
      vi.spyOn(console, name).mockImplementation((line: string) => void written.push(JSON.parse(line).event)),
    );
    delete hub.env.LOG_LEVEL;
    try {
      const [claimId] = await file(1);
      await billing.call("POST", ENQUEUE, { claimIds: [claimId] });
      await hub.runQueue();
      await hub.sweep();
      expect(written).toEqual(["request", "request", "queue", "cron"]);
      hub.env.LOG_LEVEL = "warn";
      await file(1);
      await hub.sweep();
      expect(written).toHaveLength(4);
      hub.env.LOG_LEVEL = "debug";
      await billing.call("POST", ENQUEUE, { filter: {} });
      await hub.runQueue();
      expect(written.slice(4)).toEqual(["request", "auto-submit.accepted", "queue"]);
    } finally {
      hub.env.LOG_LEVEL = "error";
      for (const spy of spies) spy.mockRestore();
    }
  });
});
