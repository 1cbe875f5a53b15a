import { beforeAll, describe, expect, it } from "vitest";
import { call, callWith, INSURER, KEYS, migrate, payloadOf, signed, testEnv } from "../support.ts";

const OPERATOR = KEYS.OPERATOR_API_KEY;
const OLD_MASTER = KEYS.PAYLOAD_MASTER_KEY;
const NEW_MASTER = "payload-master-after-rotation-9Qw3Zr8LkT2x";
const NEW_WRAPPING = "destination-wrapping-after-rotation-Xc71Lp0e";

const ADDED = { PAYLOAD_MASTER_KEY_PREVIOUS: NEW_MASTER };
const SWITCHED = { PAYLOAD_MASTER_KEY: NEW_MASTER, PAYLOAD_MASTER_KEY_PREVIOUS: OLD_MASTER };
const RETIRED = { PAYLOAD_MASTER_KEY: NEW_MASTER, PAYLOAD_MASTER_KEY_PREVIOUS: undefined };

const file = (over: object, claimId: string) =>
  callWith({ ...over }, "/workflow/claims", {
    method: "POST",
    body: signed(payloadOf(), { externalRequestId: claimId }),
  });
const read = (over: object, id: string) => callWith({ ...over }, `/workflow/requests/${id}`);

const rewrap = (over: object) => callWith({ ...over }, "/operations/rewrap", { method: "POST", key: OPERATOR });

const keyIds = async () =>
  (await testEnv.DB.prepare("SELECT DISTINCT master_key_id AS id FROM payload_keys").all<{ id: string }>()).results;

beforeAll(migrate);

describe("the payload master key", () => {
  it("is rotated without a request that fails: added, switched, re-wrapped, retired", async () => {
    const ids: string[] = [];
    for (const [i, over] of [{}, ADDED, SWITCHED].entries()) {
      const { status, json } = await file(over, `rotated-${i}`);
      expect(status).toBe(201);
      ids.push(json.requestId);
      // Isolates that were not reached yet open what the others wrote.
      for (const reader of [ADDED, SWITCHED]) expect((await read(reader, ids[0] ?? "")).status).toBe(200);
    }
    expect(await keyIds()).toHaveLength(2);
    const done = await rewrap(SWITCHED);
    expect(done.json.rewraps.find(({ kind }: { kind: string }) => kind === "payload-keys")).toMatchObject({
      finished: true,
      unreadable: 0,
      rewrapped: 2,
    });
    expect(await keyIds()).toHaveLength(1);
    for (const id of ids) {
      const { status, json } = await read(RETIRED, id);
      expect(status).toBe(200);
      expect(json.offchainPayload ?? json.payload).toBeDefined();
    }
    // The ids' lookup key went along: the same content is recognized under the new key alone.
    expect((await file(RETIRED, "rotated-0")).status).toBe(200);
    const verified = await callWith({ ...RETIRED }, "/ledger/verify");
    expect(verified.status).toBe(200);
  });

  it("counts what no key opens, and begins again when the key is back", async () => {
    const lost = "payload-master-that-nobody-has-51Kd0VbN";
    const gone = await rewrap({ PAYLOAD_MASTER_KEY: lost, PAYLOAD_MASTER_KEY_PREVIOUS: undefined });
    const run = gone.json.rewraps.find(({ kind }: { kind: string }) => kind === "payload-keys");
    expect(run.unreadable).toBeGreaterThan(0);
    const back = await rewrap({ PAYLOAD_MASTER_KEY: lost, PAYLOAD_MASTER_KEY_PREVIOUS: NEW_MASTER });
    const again = back.json.rewraps.find(({ kind }: { kind: string }) => kind === "payload-keys");
    expect(again).toMatchObject({ finished: true, unreadable: 0 });
    await rewrap({ PAYLOAD_MASTER_KEY: OLD_MASTER, PAYLOAD_MASTER_KEY_PREVIOUS: lost });
    expect((await read({}, "none")).status).toBe(404);
  });
});

it("wraps the secrets of destinations again under a new wrapping key", async () => {
  const put = await call("/relay/destinations/insurer-x", {
    method: "PUT",
    key: OPERATOR,
    body: {
      kind: "INSURER",
      insurerAddress: INSURER,
      url: "http://127.0.0.1:9/hook",
      secret: "a-secret-of-the-destination-0123456789",
      headers: { "x-tenant": "abc" },
    },
  });
  expect(put.status).toBe(201);
  const row = () =>
    testEnv.DB.prepare(
      "SELECT wrapping_key_id AS a, headers_wrapping_key_id AS b FROM destinations WHERE destination_id = 'insurer-x'",
    ).first<{ a: string; b: string }>();
  const before = await row();
  const done = await rewrap({
    DESTINATION_WRAPPING_KEY: NEW_WRAPPING,
    DESTINATION_WRAPPING_KEY_PREVIOUS: KEYS.DESTINATION_WRAPPING_KEY,
  });
  expect(done.json.rewraps.find(({ kind }: { kind: string }) => kind === "destinations")).toMatchObject({
    finished: true,
    unreadable: 0,
    rewrapped: 2,
  });
  const after = await row();
  expect(after?.a).not.toBe(before?.a);
  expect(after?.b).toBe(after?.a);
});

it.each(["WORKFLOW_API_KEY", "CLAIMS_API_KEY", "OPERATOR_API_KEY"] as const)(
  "accepts the old and the new %s together, then the new alone, and tells when the old one was last used",
  async (name) => {
    const added = "a-new-key-of-the-rotation-7Tz1Qm4Rv0";
    const path = {
      WORKFLOW_API_KEY: "/workflow/requests/x",
      CLAIMS_API_KEY: "/claims/x",
      OPERATOR_API_KEY: "/tenants",
    }[name];
    const ask = async (over: object, key: string) => (await callWith({ ...over }, path, { key })).status;
    const switched = { [name]: added, [`${name}_PREVIOUS`]: KEYS[name] };
    for (const over of [{ [`${name}_PREVIOUS`]: added }, switched]) {
      expect(await ask(over, KEYS[name])).not.toBe(401);
      expect(await ask(over, added)).not.toBe(401);
    }
    expect(await ask({ [name]: added }, added)).not.toBe(401);
    expect(await ask({ [name]: added }, KEYS[name])).toBe(401);
  },
);

it.each(["AUDITOR_TOKEN", "METRICS_SCRAPE_TOKEN"] as const)("accepts the old and the new %s together", async (name) => {
  const added = "a-new-token-of-the-rotation-5Yb8Wn2Jc6";
  const headers = (token: string) => ({ authorization: `Bearer ${token}` });
  const path = name === "AUDITOR_TOKEN" ? "/ledger/entries/0" : "/metrics";
  const ask = async (over: object, token: string) =>
    (await callWith({ LEDGER_LOG_PUBLIC: "false", ...over }, path, { key: "", headers: headers(token) })).status;
  const overlap = { [name]: added, [`${name}_PREVIOUS`]: KEYS[name] };
  for (const token of [added, KEYS[name]]) expect(await ask(overlap, token)).not.toBe(401);
  expect(await ask({ [name]: added }, KEYS[name])).toBe(401);
});

it("accepts payloads signed under the old and the new provider secret together", async () => {
  const over = {
    PROVIDER_SIGNATURE_HMAC_SECRET: "provider-signature-after-rotation-Gh20",
    PROVIDER_SIGNATURE_HMAC_SECRET_PREVIOUS: KEYS.PROVIDER_SIGNATURE_HMAC_SECRET,
  };
  expect((await file(over, "signed-by-the-old")).status).toBe(201);
});

it("publishes both verifier keys while the log's key is rotated", async () => {
  const over = {
    LEDGER_LOG_URL: "https://ledger.example/ledger/log",
    LEDGER_SIGNING_KEY_PREVIOUS: "hQ7zYx1uVt3sRq5pOn7mLk9jIh1gFe3dCb5aZy7xWv8",
  };
  const { status, text } = await callWith(over, "/ledger/log/key", { key: "" });
  expect(status).toBe(200);
  expect(text.match(/ledger\.example\/ledger\/log\+[0-9a-f]{8}\+/g)).toHaveLength(2);
});

it("shows the ages of secrets to operators, with no value and nothing made of one", async () => {
  const { default: worker } = await import("../../../../src/core/worker.ts");
  await worker.scheduled({ cron: "", scheduledTime: Date.now(), noRetry() {} }, testEnv);
  const { status, json, text } = await call("/operations/secrets", { key: OPERATOR });
  expect(status).toBe(200);
  const master = json.secrets.find(({ name }: { name: string }) => name === "PAYLOAD_MASTER_KEY");
  expect(master).toEqual({ name: "PAYLOAD_MASTER_KEY", worker: "itrans-core", setAt: expect.any(String), ageDays: 0 });
  const relays = json.secrets.find(({ name }: { name: string }) => name === "RELAY_WEBHOOK_SIGNING_SECRET");
  expect(relays).toEqual({ name: "RELAY_WEBHOOK_SIGNING_SECRET", worker: "itrans-relay", setAt: null, ageDays: null });
  for (const value of Object.values(KEYS)) expect(text).not.toContain(value);
  const { results } = await testEnv.DB.prepare("SELECT fingerprint FROM secret_sightings").all<{
    fingerprint: string;
  }>();
  for (const { fingerprint } of results) expect(text).not.toContain(fingerprint);
  expect((await call("/operations/secrets")).status).toBe(403);
});

it("records a step of a rotation in the ledger, by the secret's name", async () => {
  const step = (name: string, body: unknown) =>
    call(`/operations/secrets/${name}/rotations`, { method: "POST", key: OPERATOR, body });
  expect((await step("AUDITOR_TOKEN", { step: "switch" })).status).toBe(204);
  expect((await step("NO_SUCH_SECRET", { step: "switch" })).status).toBe(404);
  expect((await step("AUDITOR_TOKEN", { step: "forget" })).status).toBe(400);
  const { json } = await call("/operations/actions?action=SECRET_ROTATE", { key: OPERATOR });
  expect(json.actions[0]).toMatchObject({ action: "SECRET_ROTATE", target: "AUDITOR_TOKEN:switch" });
});
