import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fromUtf8 } from "../../../../src/platform/encoding.ts";
import { makeKeyring } from "../../../../src/platform/keyring.ts";
import { coreSettingsSchema } from "../../../../src/platform/settings.ts";
import { destinationsFor, syncSettingsDestination } from "../../../../src/relay/destinations.store.ts";
import { secretPlace } from "../../../../src/relay/destinations.ts";
import { call, INSURER, KEYS, migrate } from "../support.ts";
import { addDestination, addRows, db, emptyRelay } from "./outbox-fixture.ts";

beforeAll(migrate);
beforeEach(emptyRelay);

const SECRET = "a-secret-of-the-insurer-0f3d9c71";
const body = {
  kind: "INSURER",
  insurerAddress: INSURER,
  url: "https://hooks.insurer.ca/itrans",
  secret: SECRET,
};

const put = (id: string, sent: unknown, key: string = KEYS.OPERATOR_API_KEY) =>
  call(`/relay/destinations/${id}`, { method: "PUT", key, body: sent });

const stored = () => db.prepare("SELECT * FROM destinations").all<Record<string, unknown>>();

describe("PUT /relay/destinations/:destinationId", () => {
  test("creates, then replaces, and never shows the secret", async () => {
    const created = await put("sunrise", body);
    expect(created.status).toBe(201);
    expect(created.json).toMatchObject({
      destinationId: "sunrise",
      tenantId: "default",
      kind: "INSURER",
      insurerAddress: INSURER,
      hasSecret: true,
      deliverAfter: "anchor",
      eventTypes: ["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED", "REQUEST_ADJUDICATED"],
      requestsPerMinute: 240,
      timeoutMs: 8_000,
      state: "active",
    });
    const { secret: _, ...withoutSecret } = body;
    const replaced = await put("sunrise", { ...withoutSecret, deliverAfter: "commit", timeoutMs: 500 });
    expect(replaced.status).toBe(200);
    expect(replaced.json).toMatchObject({ deliverAfter: "commit", timeoutMs: 500, hasSecret: true });
    const listed = await call("/relay/destinations", { key: KEYS.OPERATOR_API_KEY });
    expect(listed.json.destinations).toHaveLength(1);
    for (const { text } of [created, replaced, listed]) expect(text).not.toContain(SECRET);
  });

  test("keeps the secret sealed, for its own destination only", async () => {
    await put("sunrise", body);
    const { results } = await stored();
    expect(JSON.stringify(results)).not.toContain(SECRET);
    const keyring = await makeKeyring([KEYS.DESTINATION_WRAPPING_KEY], "destination");
    const sealed = { keyId: String(results[0]?.wrapping_key_id), sealed: String(results[0]?.secret_wrapped) };
    expect(fromUtf8(await keyring.open(sealed, secretPlace("sunrise")))).toBe(SECRET);
    await expect(keyring.open(sealed, secretPlace("other"))).rejects.toThrow();
  });

  test.each([
    ["http elsewhere", { ...body, url: "http://hooks.insurer.ca/" }],
    ["a private address", { ...body, url: "https://10.0.0.8/" }],
    ["credentials in the URL", { ...body, url: "https://u:p@hooks.insurer.ca/" }],
    ["no URL", { ...body, url: undefined }],
    ["a short secret", { ...body, secret: "short" }],
    ["a secret with spaces", { ...body, secret: "twenty four characters and" }],
    ["a placeholder secret", { ...body, secret: "changeme-changeme-changeme" }],
    ["no secret for a new one", { ...body, secret: undefined }],
    ["another kind", { ...body, kind: "MEDLINK" }],
    ["an address that is none", { ...body, insurerAddress: "0x12" }],
    ["an unknown event type", { ...body, eventTypes: ["REQUEST_CORRECTED"] }],
    ["no event type", { ...body, eventTypes: [] }],
    ["a rate of nothing", { ...body, requestsPerMinute: 0 }],
    ["an absurd rate", { ...body, requestsPerMinute: 1e12 }],
    ["an absurd timeout", { ...body, timeoutMs: 3_600_000 }],
    ["a field that does not exist", { ...body, redirect: "follow" }],
  ])("refuses %s and writes nothing", async (_, sent) => {
    const refused = await put("sunrise", sent);
    expect(refused.status).toBe(400);
    expect(refused.json).toMatchObject({ code: "invalid_body", message: expect.any(String) });
    expect((await stored()).results).toEqual([]);
  });

  test("refuses an id or an address that another destination has", async () => {
    await put("sunrise", body);
    expect((await put("sunset", { ...body, insurerAddress: INSURER.toLowerCase() })).status).toBe(409);
    await syncSettingsDestination(
      db,
      coreSettingsSchema.parse({ RELAY_MEDLINK_WEBHOOK_URL: "https://medlink.ca/hook" }),
      1,
    );
    expect((await put("medlink", { ...body, insurerAddress: `0x${"1".repeat(40)}` })).status).toBe(409);
    expect((await put("elsewhere", { ...body, tenantId: "no-such-tenant" })).status).toBe(404);
    expect((await stored()).results).toHaveLength(2);
  });

  test("is for operators", async () => {
    expect((await put("sunrise", body, KEYS.WORKFLOW_API_KEY)).status).toBe(403);
    expect((await put("sunrise", body, KEYS.CLAIMS_API_KEY)).status).toBe(403);
    expect((await put("sunrise", body, "")).status).toBe(401);
    expect((await call("/relay/destinations")).status).toBe(403);
  });
});

describe("status and dead letters", () => {
  test("the status tells counts, policy and destinations to the workflow key", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 }, { outboxId: 2, state: "dead" });
    const { status, json } = await call("/relay/workflow/status");
    expect(status).toBe(200);
    expect(json).toMatchObject({
      status: "backlog",
      paused: false,
      deliveredCount: 0,
      pending: 1,
      retrying: 0,
      deadLetterCount: 1,
      oldestPendingAgeMs: expect.any(Number),
      retryPolicy: { maxRetries: 8, initialBackoffMs: 1_000, maxBackoffMs: 60_000, notYetKnownWindowMs: 600_000 },
      destinations: [{ destinationId: "a", requestsPerMinute: 1_000_000 }],
    });
    expect((await call("/relay/workflow/status", { key: KEYS.CLAIMS_API_KEY })).status).toBe(403);
    expect((await call("/relay/workflow/status", { key: "" })).status).toBe(401);
  });

  test("an empty relay is idle", async () => {
    const { json } = await call("/relay/workflow/status");
    expect(json).toMatchObject({ status: "idle", pending: 0, oldestPendingAgeMs: null, destinations: [] });
  });

  test("dead letters are listed up to the limit and counted beyond it", async () => {
    await addDestination("a");
    await addRows(...[1, 2, 3].map((outboxId) => ({ outboxId, state: "dead" as const })));
    const { json } = await call("/relay/workflow/dead-letters?limit=2");
    expect(json.count).toBe(3);
    expect(json.deadLetters).toHaveLength(2);
    expect((await call("/relay/workflow/dead-letters")).json.deadLetters).toHaveLength(3);
    for (const limit of ["0", "201", "-1", "many"]) {
      expect((await call(`/relay/workflow/dead-letters?limit=${limit}`)).status).toBe(400);
    }
  });
});

describe("destinations of the settings and of a command", () => {
  const settings = (values: Record<string, string>) =>
    coreSettingsSchema.parse({ ENVIRONMENT: "production", ...values });

  test("the default tenant's MedLink follows the settings and is written only when something differs", async () => {
    const url = { RELAY_MEDLINK_WEBHOOK_URL: "https://medlink.ca/hook" };
    expect(await syncSettingsDestination(db, settings({}), 1)).toEqual({ type: "none" });
    expect(await syncSettingsDestination(db, settings(url), 1)).toEqual({ type: "written" });
    expect(await syncSettingsDestination(db, settings(url), 2)).toEqual({ type: "unchanged" });
    const faster = settings({ ...url, RELAY_MEDLINK_REQUESTS_PER_MINUTE: "6000" });
    expect(await syncSettingsDestination(db, faster, 3)).toEqual({ type: "written" });
    expect((await stored()).results).toMatchObject([
      {
        destination_id: "medlink",
        kind: "MEDLINK",
        deliver_after: "commit",
        secret_wrapped: null,
        requests_per_minute: 6_000,
        created_at: 1,
        updated_at: 3,
      },
    ]);
    const bad = settings({ RELAY_MEDLINK_WEBHOOK_URL: "http://127.0.0.1:5000/hook" });
    expect(await syncSettingsDestination(db, bad, 4)).toMatchObject({ type: "refused" });
  });

  test("a command finds its tenant's MedLink and the insurer of its address, in any case", async () => {
    await syncSettingsDestination(db, settings({ RELAY_MEDLINK_WEBHOOK_URL: "https://medlink.ca/hook" }), 1);
    await put("sunrise", body);
    await put("sunset", { ...body, insurerAddress: `0x${"2".repeat(40)}` });
    const found = await destinationsFor(db, ["default"], [INSURER.toLowerCase()]);
    expect(found.map(({ destinationId }) => destinationId).toSorted()).toEqual(["medlink", "sunrise"]);
    expect(found.find(({ kind }) => kind === "INSURER")).toEqual({
      destinationId: "sunrise",
      tenantId: "default",
      kind: "INSURER",
      insurerAddress: INSURER,
      deliverAfter: "anchor",
      eventTypes: ["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED", "REQUEST_ADJUDICATED"],
    });
    expect(await destinationsFor(db, ["another"], [INSURER])).toEqual([]);
  });
});
