import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CLAIM, type EventOptions, hashFor, migrate, postEvent, type Session, TestHub } from "./harness.ts";

let hub: TestHub;
let session: Session;
let n = 1_000;

beforeAll(async () => {
  await migrate();
  hub = new TestHub({ ITRANS_AUTO_SUBMIT_ENABLED: "true" });
  await hub.seed();
  session = await hub.signInAs("usr_demo_admin");
});

let claimId: string;
let hash: string;

/** A claim that core has taken. */
beforeEach(async () => {
  hash = hashFor(n++);
  hub.answer = async (request) => {
    const { externalRequestId: requestId } = await request.json<{ externalRequestId: string }>();
    return Response.json({ requestId, requestIdHash: hash }, { status: 201 });
  };
  claimId = (await session.read("POST", "/api/claims", CLAIM)).body.claimId;
  await hub.runQueue();
});

const claimNow = async () => (await session.read("GET", `/api/claims/${claimId}`)).body;

describe("webhook intake", () => {
  it.each([
    ["REQUEST_SUBMITTED", undefined, "submitted"],
    ["REQUEST_ACKNOWLEDGED", undefined, "pending"],
    ["REQUEST_ADJUDICATED", "APPROVED", "paid"],
    ["REQUEST_ADJUDICATED", "DENIED", "denied"],
    ["REQUEST_ADJUDICATED", "NEEDS_INFO", "infoRequested"],
  ])("applies %s %s: the claim is %s", async (eventType, decision, status) => {
    const response = await postEvent(hub, hash, { eventType, ...(decision === undefined ? {} : { decision }) });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ ok: true, claimId, eventType });
    expect((await claimNow()).status).toBe(status);
  });

  it("answers a duplicate 200 with duplicate: true and changes nothing", async () => {
    const options = { eventId: `dup-${hash}`, eventType: "REQUEST_ACKNOWLEDGED" };
    await postEvent(hub, hash, options);
    const before = await claimNow();
    const response = await postEvent(hub, hash, options);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ ok: true, duplicate: true });
    expect(await claimNow()).toEqual(before);
  });

  it.each<[string, EventOptions, number]>([
    ["a missing idempotency key", { headers: { "idempotency-key": undefined } }, 400],
    ["an empty idempotency key", { headers: { "idempotency-key": "" } }, 400],
    ["a missing signature", { headers: { "x-itrans-relay-signature": undefined } }, 401],
    ["a wrong signature", { secret: "not-the-signing-secret-of-this-hub" }, 401],
    ["a signature without its prefix", { headers: { "x-itrans-relay-signature": "00".repeat(32) } }, 401],
    ["a missing timestamp", { headers: { "x-itrans-relay-timestamp": undefined } }, 401],
    ["a timestamp that is no number", { headers: { "x-itrans-relay-timestamp": "now" } }, 401],
    ["a timestamp six minutes old", { timestamp: Date.now() - 360_000 }, 401],
    ["a timestamp six minutes ahead", { timestamp: Date.now() + 360_000 }, 401],
    ["a timestamp in seconds", { timestamp: Math.floor(Date.now() / 1_000) }, 401],
    ["an idempotency key of another event", { headers: { "idempotency-key": "other" } }, 400],
    ["an event id header of another event", { headers: { "x-itrans-relay-event-id": "other" } }, 400],
    ["an event type header of another type", { headers: { "x-itrans-relay-event-type": "REQUEST_ADJUDICATED" } }, 400],
    ["an unknown event type", { eventType: "REQUEST_TELEPORTED" }, 400],
    ["an adjudication without a decision", { eventType: "REQUEST_ADJUDICATED" }, 400],
    ["an unknown decision", { eventType: "REQUEST_ADJUDICATED", decision: "MAYBE" }, 400],
    ["a body that is not JSON", { body: "{" }, 400],
    ["a body that is not an event", { body: "[]" }, 400],
  ])("refuses %s", async (_, options, status) => {
    const before = await claimNow();
    const response = await postEvent(hub, hash, options);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ ok: false, error: expect.any(String), message: expect.any(String) });
    expect(await claimNow()).toEqual(before);
  });

  it("answers an unknown hash 404, retryable", async () => {
    const response = await postEvent(hub, hashFor(999_999));
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ ok: false, retryable: true, message: expect.any(String) });
  });

  it("applies a callback that comes before core's answer to the submission is there", async () => {
    const early = hashFor(n++);
    let callback: Promise<Response> | undefined;
    hub.answer = async (request) => {
      const { externalRequestId: requestId } = await request.json<{ externalRequestId: string }>();
      callback = postEvent(hub, early);
      await scheduler.wait(60);
      return Response.json({ requestId, requestIdHash: early }, { status: 201 });
    };
    const { body } = await session.read("POST", "/api/claims", CLAIM);
    await hub.runQueue();
    const response = await callback;
    expect(response?.status).toBe(200);
    expect(await response?.json()).toMatchObject({ claimId: body.claimId });
  });

  it("answers an unknown hash 404 while other submissions are under way for long", async () => {
    let callback: Response | undefined;
    hub.answer = async () => {
      callback = await postEvent(hub, hashFor(999_998));
      return Response.json({ error: "busy" }, { status: 503 });
    };
    await session.read("POST", "/api/claims", CLAIM);
    await hub.runQueue();
    expect(callback?.status).toBe(404);
  });

  it("accepts the previous signing secret during a rotation", async () => {
    const rotated = new TestHub({
      ITRANS_WEBHOOK_SIGNING_SECRET: "the-new-webhook-secret-of-a-rotation-01",
      ITRANS_WEBHOOK_SIGNING_SECRET_PREVIOUS: "the-old-webhook-secret-of-a-rotation-00",
    });
    for (const secret of ["the-new-webhook-secret-of-a-rotation-01", "the-old-webhook-secret-of-a-rotation-00"]) {
      expect((await postEvent(rotated, hash, { secret })).status).toBe(200);
    }
    expect((await postEvent(rotated, hash)).status).toBe(401);
  });

  it("never lets an older event undo a newer one, and notes it in the timeline", async () => {
    await postEvent(hub, hash, { eventType: "REQUEST_ADJUDICATED", decision: "APPROVED", seq: 5_003 });
    const late = await postEvent(hub, hash, { eventType: "REQUEST_SUBMITTED", seq: 5_001 });
    expect(late.status).toBe(200);
    await postEvent(hub, hash, { eventType: "REQUEST_ACKNOWLEDGED", seq: 5_002 });
    const claim = await claimNow();
    expect(claim.status).toBe("paid");
    expect(claim.timeline).toMatchObject([
      { kind: "created" },
      { kind: "queued" },
      { kind: "submissionAccepted" },
      { kind: "REQUEST_ADJUDICATED", status: "paid", ledgerSeq: 5_003, detail: null },
      { kind: "REQUEST_SUBMITTED", status: "paid", ledgerSeq: 5_001, detail: "superseded" },
      { kind: "REQUEST_ACKNOWLEDGED", status: "paid", ledgerSeq: 5_002, detail: "superseded" },
    ]);
  });

  it("takes an approval after a question", async () => {
    await postEvent(hub, hash, { eventType: "REQUEST_ADJUDICATED", decision: "NEEDS_INFO", seq: 6_001 });
    await postEvent(hub, hash, { eventType: "REQUEST_ADJUDICATED", decision: "APPROVED", seq: 6_002 });
    expect((await claimNow()).status).toBe("paid");
  });

  it("applies three identical deliveries that arrive at once exactly once", async () => {
    const options = { eventId: `par-${hash}`, eventType: "REQUEST_ACKNOWLEDGED" };
    const answers = await Promise.all([1, 2, 3].map(() => postEvent(hub, hash, options)));
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
    const bodies = await Promise.all(answers.map((answer) => answer.json<Record<string, unknown>>()));
    expect(bodies.filter((body) => body.duplicate === true)).toHaveLength(2);
    const timeline = (await claimNow()).timeline;
    expect(timeline.filter(({ kind }) => kind === "REQUEST_ACKNOWLEDGED")).toHaveLength(1);
  });

  it("notes an outdated event once when it arrives three times at once", async () => {
    await postEvent(hub, hash, { eventType: "REQUEST_ADJUDICATED", decision: "DENIED", seq: 6_503 });
    const options = { eventId: `old-${hash}`, eventType: "REQUEST_ACKNOWLEDGED", seq: 6_502 };
    const answers = await Promise.all([1, 2, 3].map(() => postEvent(hub, hash, options)));
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
    const { status, timeline } = await claimNow();
    expect(status).toBe("denied");
    expect(timeline.filter(({ kind }) => kind === "REQUEST_ACKNOWLEDGED")).toHaveLength(1);
  });

  it("ends in the newest state when different events of a claim arrive at once", async () => {
    const answers = await Promise.all([
      postEvent(hub, hash, { eventType: "REQUEST_SUBMITTED", seq: 7_001 }),
      postEvent(hub, hash, { eventType: "REQUEST_ADJUDICATED", decision: "DENIED", seq: 7_003 }),
      postEvent(hub, hash, { eventType: "REQUEST_ACKNOWLEDGED", seq: 7_002 }),
    ]);
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
    expect((await claimNow()).status).toBe("denied");
  });

  it("leaves nothing of an event whose batch fails", async () => {
    await env.DB.exec(
      "CREATE TRIGGER broken BEFORE INSERT ON claim_events WHEN NEW.kind = 'REQUEST_ACKNOWLEDGED' BEGIN SELECT RAISE(ABORT, 'broken'); END",
    );
    const options = { eventId: `crash-${hash}`, eventType: "REQUEST_ACKNOWLEDGED" };
    expect((await postEvent(hub, hash, options)).status).toBe(500);
    expect((await claimNow()).status).toBe("submitted");
    await env.DB.exec("DROP TRIGGER broken");
    expect(await (await postEvent(hub, hash, options)).json()).toEqual({
      ok: true,
      claimId,
      eventType: "REQUEST_ACKNOWLEDGED",
    });
  });

  it("refuses a body over 1 MB", async () => {
    expect((await postEvent(hub, hash, { body: " ".repeat(1_000_001) })).status).toBe(413);
  });
});
