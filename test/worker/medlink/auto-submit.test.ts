import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { verifyProviderSignature } from "../../../src/platform/signature.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { CLAIM, type CoreStub, forgetJobs, hashFor, INSURER_ADDRESS, migrate, Session, TestHub } from "./harness.ts";

const ON = { ITRANS_AUTO_SUBMIT_ENABLED: "true" };

let hub: TestHub;
let session: Session;
let cookie: string;
let nextHash = 1;

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
  ({ cookie } = await hub.signInAs("usr_demo_admin"));
});

beforeEach(async () => {
  await forgetJobs();
  hub = new TestHub(ON);
  session = new Session(hub, cookie);
  hub.answer = async (request) => {
    const body = await request.json<{ externalRequestId: string }>();
    return Response.json({ requestId: body.externalRequestId, requestIdHash: hashFor(nextHash++) }, { status: 201 });
  };
});

const claimOf = async (claimId: string) => (await session.read("GET", `/api/claims/${claimId}`)).body;
const queue = async () => (await session.read("GET", "/api/itrans/auto-submit/queue?limit=50")).body;

describe("auto-submit", () => {
  it("queues a new claim, submits it signed under the claim's id, and stores both ids", async () => {
    const created = await session.read("POST", "/api/claims", CLAIM);
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({
      status: "draft",
      amount: "120.00",
      currency: "CAD",
      itransSubmission: { status: "queued", queued: true, attempt: 0, maxAttempts: 4 },
    });
    const { claimId } = created.body;
    expect(await hub.runQueue()).toBe(1);
    const [call] = hub.calls;
    expect(call).toMatchObject({ method: "POST", path: "/workflow/claims" });
    expect(call?.headers.get("x-api-key")).toBe(TEST_SECRETS.hub.ITRANS_WORKFLOW_API_KEY);
    const sent = JSON.parse(call?.body ?? "");
    expect(sent).toMatchObject({
      insurerAddress: INSURER_ADDRESS,
      externalRequestId: claimId,
      offchainPayload: { totalAmount: 120, currency: "CAD", type: "claim", notes: CLAIM.notes },
    });
    const secrets = [TEST_SECRETS.hub.ITRANS_PROVIDER_SIGNATURE_HMAC_SECRET];
    expect(verifyProviderSignature(sent.offchainPayload, sent.providerSignature, secrets)).toBe(true);
    expect(await claimOf(claimId)).toMatchObject({ status: "submitted", requestId: claimId });
    expect(await queue()).toMatchObject({
      config: { maxAttempts: 4, baseDelayMs: 3_000, maxDelayMs: 60_000, queueLimit: 1_000 },
      stats: { queued: 0, running: 0, retrying: 0, succeeded: 1, failed: 0, total: 1 },
      jobs: [{ claimId, claimType: "claim", state: "succeeded", attempt: 1, lastError: null, lastUpstreamStatus: 201 }],
    });
  });

  it("sends a pre-authorization to its own endpoint", async () => {
    await session.call("POST", "/api/claims", { ...CLAIM, type: "preauth" });
    await hub.runQueue();
    expect(hub.calls[0]?.path).toBe("/workflow/preauths");
  });

  it.each([400, 409, 429, 500])(
    "retries an answer of %i, four attempts in all, then the claim is pending",
    async (status) => {
      hub.answer = () => Response.json({ code: "conflict", detail: "planted-upstream" }, { status });
      const { claimId } = (await session.read("POST", "/api/claims", CLAIM)).body;
      for (let round = 0; round < 4; round++) {
        expect(await hub.runQueue()).toBe(1);
        hub.clock = hub.now() + 12_000;
      }
      expect(await hub.runQueue()).toBe(0);
      expect(hub.calls).toHaveLength(4);
      expect(new Set(hub.calls.map((call) => call.body)).size).toBe(1);
      expect(await queue()).toMatchObject({
        stats: { failed: 1, total: 1 },
        jobs: [{ state: "failed", attempt: 4, lastError: `upstream_${status}:conflict`, lastUpstreamStatus: status }],
      });
      expect(await claimOf(claimId)).toMatchObject({ status: "pending", requestId: null });
      const audited = await env.DB.prepare("SELECT action FROM audit_events WHERE subject = ? AND action = ?")
        .bind(claimId, "autoSubmit.failed")
        .all();
      expect(audited.results).toHaveLength(1);
    },
  );

  it("waits 3, 6 and 12 seconds between attempts by default", async () => {
    hub.answer = () => new Response("{}", { status: 500 });
    await session.call("POST", "/api/claims", CLAIM);
    const delays: number[] = [];
    for (let round = 0; round < 4; round++) {
      await hub.runQueue();
      delays.push(...hub.hints.map((hint) => hint.delaySeconds));
      await env.DB.exec(
        "UPDATE auto_submit_jobs SET next_attempt_at = 0, version = version + 1 WHERE state = 'retrying'",
      );
    }
    expect(delays).toEqual([3, 6, 12]);
  });

  it("takes a 2xx without both ids for a failure", async () => {
    hub.answer = () => Response.json({ requestId: "x" });
    await session.call("POST", "/api/claims", CLAIM);
    await hub.runQueue();
    expect(await queue()).toMatchObject({ jobs: [{ state: "retrying", lastError: "upstream_answer_without_ids" }] });
  });

  it("counts no attempt that timed out, was cut off, or met 502, 503 or 504", async () => {
    hub.env.ITRANS_API_TIMEOUT_MS = "100";
    await session.call("POST", "/api/claims", CLAIM);
    const silent: CoreStub = (request) =>
      new Promise((_, reject) => request.signal.addEventListener("abort", () => reject(request.signal.reason)));
    const status =
      (code: number): CoreStub =>
      () =>
        new Response("no JSON", { status: code });
    const outages: readonly [CoreStub, string, number | null][] = [
      [silent, "upstream_timeout", null],
      [() => Promise.reject(new Error("connection refused")), "upstream_unreachable", null],
      [status(502), "upstream_502", 502],
      [status(503), "upstream_503", 503],
      [status(504), "upstream_504", 504],
    ];
    for (const [answer, lastError, lastUpstreamStatus] of outages) {
      hub.answer = answer;
      await env.DB.exec(
        "UPDATE auto_submit_jobs SET next_attempt_at = 1, version = version + 1; DELETE FROM breakers;",
      );
      await hub.sweep();
      hub.hints.splice(1);
      await hub.runQueue();
      expect(await queue()).toMatchObject({ jobs: [{ state: "queued", attempt: 0, lastError, lastUpstreamStatus }] });
    }
    expect(hub.calls.filter(({ method }) => method === "POST")).toHaveLength(5); // beside the watch over core
  });

  it("runs an attempt once when its hint comes twice at once", async () => {
    await session.call("POST", "/api/claims", CLAIM);
    const [hint] = hub.hints;
    if (hint !== undefined) hub.hints.push(hint, hint);
    await hub.runQueue();
    expect(hub.calls).toHaveLength(1);
  });

  it("finds a due job whose hint was lost, and takes back one left running by a crash", async () => {
    const { claimId } = (await session.read("POST", "/api/claims", CLAIM)).body;
    hub.hints.length = 0;
    await env.DB.exec("UPDATE auto_submit_jobs SET next_attempt_at = 1, version = version + 1");
    await hub.sweep();
    expect(hub.hints).toHaveLength(1);
    hub.hints.length = 0;
    await env.DB.exec(
      "UPDATE auto_submit_jobs SET state = 'running', attempt = 1, lease_until = 1, next_attempt_at = NULL, version = version + 1",
    );
    await hub.sweep();
    expect(await queue()).toMatchObject({ jobs: [{ state: "retrying", attempt: 1, lastError: "crashed" }] });
    await hub.runQueue();
    expect(await claimOf(claimId)).toMatchObject({ status: "submitted" });
  });

  it("fails a crashed job whose attempts are spent", async () => {
    const { claimId } = (await session.read("POST", "/api/claims", CLAIM)).body;
    await env.DB.exec(
      "UPDATE auto_submit_jobs SET state = 'running', attempt = 4, lease_until = 1, next_attempt_at = NULL, version = version + 1",
    );
    await hub.sweep();
    expect(await queue()).toMatchObject({ jobs: [{ state: "failed", attempt: 4 }] });
    expect(await claimOf(claimId)).toMatchObject({ status: "pending" });
  });

  it("lets a person queue a failed job again, with the same request id", async () => {
    hub.env.ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS = "1";
    const accept = hub.answer;
    hub.answer = () => new Response("{}", { status: 500 });
    const { claimId, itransSubmission } = (await session.read("POST", "/api/claims", CLAIM)).body;
    const { jobId } = itransSubmission;
    expect((await session.call("POST", `/api/itrans/auto-submit/jobs/${jobId}/requeue`)).status).toBe(409);
    await hub.runQueue();
    hub.answer = accept;
    const requeued = await session.read("POST", `/api/itrans/auto-submit/jobs/${jobId}/requeue`);
    expect(requeued).toMatchObject({ status: 200, body: { job: { state: "queued", attempt: 0 } } });
    await hub.runQueue();
    expect(await claimOf(claimId)).toMatchObject({ status: "submitted", requestId: claimId });
    expect((await session.call("POST", `/api/itrans/auto-submit/jobs/${jobId}/requeue`)).status).toBe(409);
    expect((await session.call("POST", "/api/itrans/auto-submit/jobs/nope/requeue")).status).toBe(404);
  });

  it("keeps a claim that finds the queue full, and refuses to queue it by hand", async () => {
    hub.env.ITRANS_AUTO_SUBMIT_QUEUE_LIMIT = "1";
    await session.call("POST", "/api/claims", CLAIM);
    const second = await session.read("POST", "/api/claims", CLAIM);
    expect(second).toMatchObject({ status: 201, body: { itransSubmission: { queued: false, reason: "queue_full" } } });
    expect((await session.call("POST", `/api/claims/${second.body.claimId}/submit`)).status).toBe(503);
  });

  it("queues a claim by hand once, however often it is asked", async () => {
    hub.env.ITRANS_AUTO_SUBMIT_ENABLED = "false";
    const created = await session.read("POST", "/api/claims", CLAIM);
    expect(created.body.itransSubmission).toBeUndefined();
    const path = `/api/claims/${created.body.claimId}/submit`;
    const first = await session.read("POST", path);
    const second = await session.read("POST", path);
    expect(first).toMatchObject({ status: 202, body: { itransSubmission: { status: "queued", queued: true } } });
    expect(second.body.itransSubmission).toEqual(first.body.itransSubmission);
    await hub.runQueue();
    expect((await session.call("POST", path)).status).toBe(409);
  });

  it("is switched on and off by an admin at once, and by nobody else", async () => {
    const off = await session.read("PUT", "/api/itrans/auto-submit/settings", { enabled: false });
    expect(off).toEqual({ status: 200, body: { enabled: false, heldByOperator: false } });
    expect((await session.read("POST", "/api/claims", CLAIM)).body.itransSubmission).toBeUndefined();
    const billing = await hub.signInAs("usr_demo_billing");
    expect((await billing.call("PUT", "/api/itrans/auto-submit/settings", { enabled: true })).status).toBe(403);
    await session.call("PUT", "/api/itrans/auto-submit/settings", { enabled: true });
    expect((await session.read("POST", "/api/claims", CLAIM)).body.itransSubmission).toBeDefined();
  });

  it("records a dead-lettered hint and drops one it cannot read", async () => {
    const { itransSubmission } = (await session.read("POST", "/api/claims", CLAIM)).body;
    const { jobId } = itransSubmission;
    expect(await hub.deadLetter({ jobId })).toEqual(["dead"]);
    expect(await hub.deadLetter("nonsense")).toEqual(["dead"]);
    const audited = await env.DB.prepare("SELECT action FROM audit_events WHERE subject = ?").bind(jobId).all();
    expect(audited.results).toEqual([{ action: "autoSubmit.hintDeadLettered" }]);
  });

  it.each(["0", "201", "x", "1.5"])("refuses a queue limit of %s", async (limit) => {
    expect((await session.call("GET", `/api/itrans/auto-submit/queue?limit=${limit}`)).status).toBe(400);
  });

  it("forgets ended jobs after their time, and not the claim", async () => {
    const { claimId } = (await session.read("POST", "/api/claims", CLAIM)).body;
    await hub.runQueue();
    await env.DB.exec("UPDATE auto_submit_jobs SET updated_at = 1, version = version + 1");
    await hub.sweep();
    expect(await queue()).toMatchObject({ stats: { total: 0 }, jobs: [] });
    expect(await claimOf(claimId)).toMatchObject({ status: "submitted" });
  });
});
