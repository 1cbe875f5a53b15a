import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CLAIM, forgetClaims, hashFor, json, migrate, TestHub } from "./harness.ts";

const AT_ONCE = { ITRANS_AUTO_SUBMIT_ENABLED: "true", ITRANS_AUTO_SUBMIT_AT_ONCE: "true", METRICS: "off" };

let hub: TestHub;
let cookie: string;
let nextHash = 1;

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
  ({ cookie } = await hub.signInAs("usr_demo_admin"));
});

const open = (overrides: Readonly<Record<string, string>> = {}): TestHub => {
  const opened = new TestHub({ ...AT_ONCE, ...overrides });
  opened.answer = async (request) => {
    const { externalRequestId: requestId } = await request.json<{ externalRequestId: string }>();
    return Response.json({ requestId, requestIdHash: hashFor(nextHash++) }, { status: 201 });
  };
  return opened;
};

beforeEach(async () => {
  await forgetClaims();
  hub = open();
});

const file = async (at: TestHub = hub): Promise<Response> => {
  const init = json("POST", CLAIM);
  return at.fetchToTheEnd("/api/claims", { ...init, headers: { ...init.headers, cookie } });
};

async function states(): Promise<readonly string[]> {
  const { results } = await env.DB.prepare(
    "SELECT state, COUNT(*) AS count FROM auto_submit_jobs GROUP BY state ORDER BY state",
  ).all<{ state: string; count: number }>();
  return results.map(({ state, count }) => `${state} ${count}`);
}

describe("a claim that was filed", () => {
  it("is answered as queued and submitted by the same invocation: no message is sent", async () => {
    const response = await file();
    expect(await response.json()).toMatchObject({ itransSubmission: { status: "queued", attempt: 0 } });
    expect(await states()).toEqual(["succeeded 1"]);
    expect(hub.hints).toEqual([]);
  });

  it("is submitted once by whoever looks, however many are filed together, with few messages", async () => {
    await Promise.all(Array.from({ length: 20 }, () => file()));
    expect(await states()).toEqual(["succeeded 20"]);
    expect(hub.calls).toHaveLength(20);
    expect(hub.hints.length).toBeLessThanOrEqual(2);
  });

  it("is taken along by an invocation that is at work, and does not wait for what that one waits for", async () => {
    const { answer } = hub;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    hub.answer = async (request) => {
      if (hub.calls.length === 1) await held;
      return answer(request);
    };
    const first = file();
    while (hub.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await file()).status).toBe(201);
    while (hub.calls.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    release();
    await first;
    expect(await states()).toEqual(["succeeded 2"]);
    expect(hub.hints).toEqual([]);
  });

  it("is held back by the hub's switch as a message's consumer is", async () => {
    const off = open({ ITRANS_AUTO_SUBMIT_ENABLED: "false" });
    const { claimId } = await (await file(off)).json<{ claimId: string }>();
    await env.DB.exec("INSERT INTO hub_settings VALUES ('autoSubmit.enabled', 'false', 'x', 1)");
    const submit = { method: "POST", headers: { cookie } };
    expect((await off.fetchToTheEnd(`/api/claims/${claimId}/submit`, submit)).status).toBe(202);
    expect(await states()).toEqual(["queued 1"]);
    expect(off.calls).toEqual([]);
  });

  it("goes through the queue where core may take longer than the platform waits after an answer, or it is set so", async () => {
    for (const overrides of [{ ITRANS_API_TIMEOUT_MS: "60000" }, { ITRANS_AUTO_SUBMIT_AT_ONCE: "false" }]) {
      await forgetClaims();
      const queued = open(overrides);
      await file(queued);
      expect(queued.calls).toEqual([]);
      expect(queued.hints).toHaveLength(1);
      await queued.runQueue();
      expect(await states()).toEqual(["succeeded 1"]);
    }
  });

  it("is tried again by a message when core refuses it", async () => {
    hub.answer = () => Response.json({ code: "conflict" }, { status: 409 });
    await file();
    expect(await states()).toEqual(["retrying 1"]);
    expect(hub.hints).toMatchObject([{ delaySeconds: 3 }]);
  });
});
