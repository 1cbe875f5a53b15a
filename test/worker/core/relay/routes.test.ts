import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { fromUtf8 } from "../../../../src/platform/encoding.ts";
import { makeKeyring } from "../../../../src/platform/keyring.ts";
import { coreSettingsSchema } from "../../../../src/platform/settings.ts";
import { destinationsFor, syncSettingsDestination } from "../../../../src/relay/destinations.store.ts";
import { secretPlace } from "../../../../src/relay/destinations.ts";
import { call, INSURER, KEYS, migrate, payloadOf, signed, submit } from "../support.ts";
import { addDestination, addRows, db, emptyRelay, lease, type RowOptions, T0 } from "./outbox-fixture.ts";

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
    ["another kind", { ...body, kind: "CLINIC" }],
    ["an insurer's address for a MedLink", { ...body, kind: "MEDLINK" }],
    ["an insurer without its address", { ...body, insurerAddress: undefined }],
    ["a header of ours", { ...body, headers: { "webhook-signature": "v1,x" } }],
    ["a header that breaks the line", { ...body, headers: { "x-own": "a\r\nb: c" } }],
    ["a literal IPv6 address", { ...body, url: "https://[::ffff:10.0.0.1]/" }],
    ["an address in octal", { ...body, url: "https://012.0.0.8/" }],
    ["a secret that is not text", { ...body, secret: 5 }],
    ["a rate that is no number", { ...body, requestsPerMinute: "240" }],
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

const post = (path: string, sent: unknown = {}, key: string = KEYS.OPERATOR_API_KEY) =>
  call(path, { method: "POST", key, body: sent });

describe("a destination", () => {
  test("of another tenant's MedLink can be made; the default tenant's comes from the settings", async () => {
    const made = await call("/tenants", {
      method: "POST",
      key: KEYS.OPERATOR_API_KEY,
      body: { tenantId: "north", name: "North" },
    });
    expect([201, 409]).toContain(made.status);
    const { insurerAddress: _, ...rest } = body;
    const medlink = { ...rest, kind: "MEDLINK", tenantId: "north", url: "https://north.ca/hook" };
    const created = await put("north-medlink", medlink);
    expect(created.status).toBe(201);
    expect(created.json).toMatchObject({ kind: "MEDLINK", deliverAfter: "commit", tenantId: "north", hasSecret: true });
    expect((await put("north-medlink-2", medlink)).status).toBe(409);
    expect((await put("medlink-2", { ...medlink, tenantId: undefined })).status).toBe(409);
  });

  test("keeps its extra headers sealed and shows their names only", async () => {
    const token = "Bearer a-token-nobody-may-see";
    const created = await put("sunrise", { ...body, headers: { authorization: token } });
    expect(created.json.headerNames).toEqual(["authorization"]);
    expect(JSON.stringify((await stored()).results)).not.toContain(token);
    expect((await put("sunrise", body)).json.headerNames).toEqual(["authorization"]);
    expect((await put("sunrise", { ...body, headers: {} })).json.headerNames).toEqual([]);
    expect(created.text).not.toContain(token);
  });

  test("is read, paused, resumed and deleted; a busy one is not deleted", async () => {
    await put("sunrise", body);
    const at = "/relay/destinations/sunrise";
    expect((await post(`${at}/pause`)).json.state).toBe("paused");
    expect((await call(at, { key: KEYS.OPERATOR_API_KEY })).json).toMatchObject({ state: "paused", lastPing: null });
    expect((await post(`${at}/resume`)).json.state).toBe("active");
    await addRows({ outboxId: 1, destinationId: "sunrise", dueAt: 8_000_000_000_000_000 });
    const remove = () => call(at, { method: "DELETE", key: KEYS.OPERATOR_API_KEY });
    expect((await remove()).status).toBe(409);
    await db.prepare("DELETE FROM outbox").run();
    expect((await remove()).status).toBe(204);
    expect((await remove()).status).toBe(404);
    for (const path of [at, `${at}/pause`, `${at}/resume`, `${at}/ping`, `${at}/secret`]) {
      const method = path === at ? "GET" : "POST";
      expect(
        (await call(path, { method, key: KEYS.OPERATOR_API_KEY, ...(method === "POST" ? { body: {} } : {}) })).status,
      ).toBe(404);
      expect((await call(path, { method, ...(method === "POST" ? { body: {} } : {}) })).status).toBe(403);
    }
  });

  test("gets a new secret with an overlap in which both sign, and not another before that is over", async () => {
    await put("sunrise", body);
    const at = "/relay/destinations/sunrise/secret";
    const rotated = await post(at, { overlapSeconds: 3_600, itransSignature: "previous" });
    expect(rotated.status).toBe(200);
    expect(rotated.json.secret).toMatch(/^[0-9a-f]{64}$/);
    expect(rotated.json.destination).toMatchObject({
      itransSignature: "previous",
      secret: { rotatedAt: expect.any(Number), previous: { expiresAt: expect.any(Number) } },
    });
    await addRows({ outboxId: 1, destinationId: "sunrise", dueAt: 1 });
    const leased = await lease(Date.now());
    expect(leased.deliveries[0]?.destination).toMatchObject({
      itransSignature: "previous",
      sealedPreviousSecret: { sealed: expect.any(String) },
    });
    const after = await lease(Date.now() + 3_700_000);
    expect(after.deliveries[0]?.destination).not.toHaveProperty("sealedPreviousSecret");
    expect((await post(at)).status).toBe(409);
    expect(
      (await post(at, { dropPrevious: true, overlapSeconds: 0, secret: "a-third-secret-of-theirs-77" })).json,
    ).not.toHaveProperty("secret");
    const shown = await call("/relay/destinations/sunrise", { key: KEYS.OPERATOR_API_KEY });
    expect(shown.json.secret.previous).toBeNull();
  });

  test.each([
    { secret: "short" },
    { secret: "changeme-changeme-changeme" },
    { overlapSeconds: -1 },
    { overlapSeconds: 1e9 },
    { itransSignature: "both" },
    { unknown: 1 },
  ])("keeps its secret when it is asked to rotate with %o", async (sent) => {
    await put("sunrise", body);
    const before = (await stored()).results;
    expect((await post("/relay/destinations/sunrise/secret", sent)).status).toBe(400);
    expect((await stored()).results).toEqual(before);
  });

  test("of the settings is rotated by the settings, and cannot be deleted", async () => {
    await syncSettingsDestination(
      db,
      coreSettingsSchema.parse({ RELAY_MEDLINK_WEBHOOK_URL: "https://medlink.ca/hook" }),
      1,
    );
    expect((await post("/relay/destinations/medlink/secret")).status).toBe(409);
    expect((await call("/relay/destinations/medlink", { method: "DELETE", key: KEYS.OPERATOR_API_KEY })).status).toBe(
      409,
    );
    expect((await post("/relay/destinations/medlink/pause")).status).toBe(200);
  });
});

test("the relay as a whole is paused and resumed by the operator alone", async () => {
  expect((await post("/relay/pause", {}, KEYS.WORKFLOW_API_KEY)).status).toBe(403);
  expect((await post("/relay/pause")).json).toEqual({ paused: true });
  expect((await call("/relay/workflow/status")).json).toMatchObject({ paused: true, pausedAt: expect.any(Number) });
  expect((await post("/relay/resume")).json).toEqual({ paused: false });
  expect((await call("/relay/workflow/status")).json).toMatchObject({ paused: false, pausedAt: null });
});

describe("what is done about dead letters", () => {
  const at = "/relay/workflow/dead-letters";
  beforeEach(async () => {
    await addDestination("a");
    await addRows(...[1, 2, 3].map((outboxId) => ({ outboxId, state: "dead" as const })));
    await db.prepare("UPDATE outbox SET settled_at = outbox_id, last_error = 'http-503'").run();
  });

  test("they are paged and filtered", async () => {
    const first = (await call(`${at}?limit=2`)).json;
    expect(first.deadLetters.map((letter: { outboxId: number }) => letter.outboxId)).toEqual([3, 2]);
    const second = (await call(`${at}?limit=2&cursor=${first.next}`)).json;
    expect(second.deadLetters.map((letter: { outboxId: number }) => letter.outboxId)).toEqual([1]);
    expect(second.next).toBeNull();
    expect((await call(`${at}?errorClass=http-5xx&since=2`)).json.count).toBe(2);
    expect((await call(`${at}?until=1970-01-01T00:00:00.002Z`)).json.count).toBe(1);
    for (const query of ["errorClass=everything", "since=yesterday", "cursor=x", "limit=0"]) {
      expect((await call(`${at}?${query}`)).status).toBe(400);
    }
  });

  test("one is looked into, replayed and discarded", async () => {
    expect((await call(`${at}/1`)).status).toBe(403);
    expect((await call(`${at}/1`, { key: KEYS.OPERATOR_API_KEY })).json).toMatchObject({ outboxId: 1, state: "dead" });
    expect((await call(`${at}/99`, { key: KEYS.OPERATOR_API_KEY })).status).toBe(404);
    await setRelayPausedForTest();
    expect((await post(`${at}/1/replay`)).json).toEqual({ outboxId: 1, replayed: true });
    expect((await post(`${at}/1/replay`)).json).toEqual({ outboxId: 1, replayed: false });
    expect((await post(`${at}/2/discard`, { reason: "TICKET-1" })).json).toEqual({
      outboxId: 2,
      discarded: true,
      rest: 0,
    });
    expect((await post(`${at}/2/discard`, { reason: "TICKET-1" })).json.discarded).toBe(false);
    expect((await post(`${at}/2/replay`)).status).toBe(409);
    expect((await post(`${at}/1/discard`, { reason: "TICKET-1" })).status).toBe(409);
    for (const reason of ["", "lower case", "X".repeat(41), "Mrs Smith"]) {
      expect((await post(`${at}/3/discard`, { reason })).status).toBe(400);
    }
    expect((await post(`${at}/3/replay`, {}, KEYS.WORKFLOW_API_KEY)).status).toBe(403);
  });

  test("many are replayed at once, but never all without a choice", async () => {
    await setRelayPausedForTest();
    expect((await post(`${at}/replay`, {})).status).toBe(400);
    expect((await post(`${at}/replay`, { destinationId: "a", perMinute: 0 })).status).toBe(400);
    const replayed = await post(`${at}/replay`, { destinationId: "a", limit: 2 });
    expect(replayed.json).toMatchObject({ replayed: 2, overtaken: 0, remaining: 1 });
  });
});

describe("deliveries", () => {
  const at = "/relay/workflow/deliveries";
  const idsOf = async (query: string, key?: string): Promise<number[]> => {
    const { status, json } = await call(`${at}?${query}`, key === undefined ? {} : { key });
    expect(status).toBe(200);
    return json.deliveries.map(({ outboxId }: { outboxId: number }) => outboxId);
  };

  beforeEach(async () => {
    await addDestination("a");
    await addDestination("b");
    const state = (outboxId: number): NonNullable<RowOptions["state"]> =>
      outboxId < 7 ? "delivered" : outboxId < 9 ? "due" : "dead";
    await addRows(
      ...Array.from({ length: 9 }, (_, i) => ({
        outboxId: i + 1,
        destinationId: i % 2 === 0 ? "a" : "b",
        state: state(i + 1),
        dueAt: T0 - i,
      })),
    );
    await db.prepare("UPDATE outbox SET settled_at = 100 + outbox_id / 2, attempts = 2, last_status = 200").run();
  });

  test("are listed newest first, by destination, a page at a time", async () => {
    const { json } = await call(`${at}?destination=a&limit=1`);
    expect(json.deliveries).toEqual([
      {
        outboxId: 5,
        eventId: "31337:0x5:0:INSURER",
        eventType: "REQUEST_ACKNOWLEDGED",
        requestIdHash: "subject-5",
        destinationId: "a",
        correlationId: expect.any(String),
        state: "delivered",
        attempts: 2,
        lastStatus: 200,
        lastError: null,
        createdAt: expect.any(Number),
        deliveredAt: 102,
        dueAt: null,
      },
    ]);
    const seen: number[] = [];
    let cursor = "";
    for (let page = 0; page < 9; page++) {
      const { deliveries, next } = (await call(`${at}?limit=2${cursor}`)).json;
      seen.push(...deliveries.map(({ outboxId }: { outboxId: number }) => outboxId));
      if (next === null) break;
      cursor = `&cursor=${next}`;
    }
    expect(seen).toEqual([6, 5, 4, 3, 2, 1]);
  });

  test("that lie far apart come on pages of their own, which say that there are more", async () => {
    await addRows({ outboxId: 120_000, state: "delivered" });
    const first = (await call(at)).json;
    expect(first.deliveries.map(({ outboxId }: { outboxId: number }) => outboxId)).toEqual([120_000]);
    const second = (await call(`${at}?cursor=${first.next}`)).json;
    expect(second.deliveries).toEqual([]);
    expect(await idsOf(`cursor=${second.next}`)).toEqual([6, 5, 4, 3, 2, 1]);
    expect((await call(`${at}?cursor=${second.next}`)).json.next).toBeNull();
  });

  test("come from the oldest on where that is asked for, a page at a time too", async () => {
    await addRows({ outboxId: 120_000, state: "delivered" });
    const first = (await call(`${at}?order=oldest&limit=4`)).json;
    expect(first.deliveries.map(({ outboxId }: { outboxId: number }) => outboxId)).toEqual([1, 2, 3, 4]);
    const second = (await call(`${at}?order=oldest&cursor=${first.next}`)).json;
    expect(second.deliveries.map(({ outboxId }: { outboxId: number }) => outboxId)).toEqual([5, 6]);
    const third = (await call(`${at}?order=oldest&cursor=${second.next}`)).json;
    expect(third.deliveries).toEqual([]);
    const fourth = (await call(`${at}?order=oldest&cursor=${third.next}`)).json;
    expect(fourth.deliveries.map(({ outboxId }: { outboxId: number }) => outboxId)).toEqual([120_000]);
    expect(fourth.next).toBeNull();
    expect(await idsOf("order=oldest&destination=b")).toEqual([2, 4, 6]);
  });

  test("of other statuses: pending ones by when they are due, dead ones newest first", async () => {
    expect(await idsOf("status=pending")).toEqual([8, 7]);
    expect((await call(`${at}?status=pending`)).json.deliveries[0]).toMatchObject({ dueAt: T0 - 7, deliveredAt: null });
    expect(await idsOf("status=pending&destination=b")).toEqual([8]);
    expect(await idsOf("status=dead")).toEqual([9]);
    expect(await idsOf("status=dead&destination=b")).toEqual([]);
  });

  test("are a tenant's own, and an operator's all", async () => {
    await db
      .prepare("INSERT OR IGNORE INTO tenants (tenant_id, name, created_at) VALUES ('another', 'Another', 0)")
      .run();
    await db.prepare("UPDATE destinations SET tenant_id = 'another' WHERE destination_id = 'a'").run();
    await db.prepare("UPDATE outbox SET tenant_id = 'another' WHERE destination_id = 'a'").run();
    expect(await idsOf("")).toEqual([6, 4, 2]);
    expect(await idsOf("destination=a")).toEqual([]);
    expect(await idsOf("status=dead")).toEqual([]);
    expect(await idsOf("", KEYS.OPERATOR_API_KEY)).toEqual([6, 5, 4, 3, 2, 1]);
    expect((await call(at, { key: KEYS.CLAIMS_API_KEY })).status).toBe(403);
    expect((await call(at, { key: "" })).status).toBe(401);
  });

  test("of one request are found whatever became of them, in the order of the ledger, and no other request's", async () => {
    expect((await put("insurer", { ...body, deliverAfter: "commit" })).status).toBe(201);
    const one = (await submit({ ...signed(payloadOf()), insurerAddress: INSURER })).json.requestIdHash;
    const other = (await submit({ ...signed(payloadOf()), insurerAddress: INSURER })).json.requestIdHash;
    await call(`/workflow/requests/${one}/acknowledge`, { method: "POST", body: {} });
    const found = (await call(`${at}?request=${one}`)).json.deliveries;
    const typesTo = (to: string): string[] =>
      found
        .filter(({ destinationId }: { destinationId: string }) => destinationId === to)
        .map(({ eventType }: { eventType: string }) => eventType);
    expect(typesTo("insurer")).toEqual(["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED"]);
    expect(found.every(({ requestIdHash }: { requestIdHash: string }) => requestIdHash === one)).toBe(true);
    expect(await idsOf(`request=${other}&destination=insurer`)).toHaveLength(1);
    expect(await idsOf(`request=${other}&destination=b`)).toEqual([]);
  });

  test("with a query that is none", async () => {
    for (const query of ["status=sent", "cursor=x", "limit=0", "limit=201", "request=claim-1"]) {
      expect((await call(`${at}?${query}`)).status).toBe(400);
    }
  });
});

/** So that nothing takes what was replayed. */
const setRelayPausedForTest = () => db.prepare("UPDATE relay_leases SET paused_at = 1").run();

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
