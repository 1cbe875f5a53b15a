import { createScheduledController } from "cloudflare:test";
import { beforeAll, expect, it } from "vitest";
import worker from "../../../../src/core/worker.ts";
import { call, callWith, KEYS, makeKey, migrate, testEnv } from "../support.ts";

const OPERATOR = KEYS.OPERATOR_API_KEY;
const asOperator = (path: string, method = "GET", body?: unknown) =>
  call(path, { method, key: OPERATOR, ...(body === undefined ? {} : { body }) });

/** An environment whose ledger takes nothing. */
const NO_LEDGER = {
  SEQUENCER: { getByName: () => ({ append: async () => ({ type: "unavailable" }) }) },
};

const actions = async (query = ""): Promise<readonly Record<string, unknown>[]> =>
  (await asOperator(`/operations/actions${query}`)).json.actions;

const entryCount = async () =>
  (await testEnv.DB.prepare("SELECT COUNT(*) AS n FROM ledger_entries").first<{ n: number }>())?.n;

async function runCron(): Promise<void> {
  await worker.scheduled(createScheduledController({ scheduledTime: Date.now() }), testEnv);
}

beforeAll(migrate);

it("records each operator action in the ledger, with an opaque actor and a code, and its target only by commitment", async () => {
  await makeKey("clinic-a", { surface: "workflow", scopes: ["read"] });
  await asOperator("/relay/pause", "POST");
  await asOperator("/relay/resume", "POST");
  const shown = await actions();
  expect(shown.map(({ action, actor }) => [action, actor])).toEqual([
    ["RELAY_RESUME", "operator"],
    ["RELAY_PAUSE", "operator"],
    ["KEY_CREATE", "operator"],
    ["TENANT_CREATE", "operator"],
  ]);
  expect(shown[3]?.target).toBe("clinic-a");
  const { json } = await call(`/ledger/entries/${shown[3]?.seq}`);
  expect(json.entry).toMatchObject({ type: "OPERATOR_ACTION", data: { action: "TENANT_CREATE", actor: "operator" } });
  expect(JSON.stringify(json.entry)).not.toContain("clinic-a");
  expect(await actions("?action=RELAY_PAUSE")).toHaveLength(1);
});

it("does nothing and answers 503 when the ledger cannot record the action", async () => {
  const before = await entryCount();
  const refused = await callWith(NO_LEDGER, "/tenants", {
    method: "POST",
    key: OPERATOR,
    body: { tenantId: "clinic-unrecorded", name: "x" },
  });
  expect(refused.status).toBe(503);
  expect(refused.json.detail).toContain("not done");
  const { json } = await asOperator("/tenants?limit=500");
  expect(json.tenants.map(({ tenantId }: { tenantId: string }) => tenantId)).not.toContain("clinic-unrecorded");
  expect(await entryCount()).toBe(before);
});

it("stops the relay even while the ledger takes nothing, and appends the entry once when it is back", async () => {
  const before = await entryCount();
  const paused = await callWith(NO_LEDGER, "/relay/pause", { method: "POST", key: OPERATOR });
  expect(paused.status).toBe(200);
  expect((await asOperator("/operations/actions")).json.waiting).toBe(1);
  await runCron();
  await runCron();
  const { json } = await asOperator("/operations/actions");
  expect(json.waiting).toBe(0);
  expect(json.actions[0].action).toBe("RELAY_PAUSE");
  expect(await entryCount()).toBe((before ?? 0) + 1);
  await asOperator("/relay/resume", "POST");
});

it("does not resume the relay while the ledger takes nothing", async () => {
  await asOperator("/relay/pause", "POST");
  const refused = await callWith(NO_LEDGER, "/relay/resume", { method: "POST", key: OPERATOR });
  expect(refused.status).toBe(503);
  const row = await testEnv.DB.prepare("SELECT paused_at FROM relay_leases").first<{ paused_at: number | null }>();
  expect(row?.paused_at).not.toBeNull();
  await asOperator("/relay/resume", "POST");
});

it("keeps several keys of a tenant live at once, and revokes one at once and for good", async () => {
  const one = await makeKey("clinic-b", { surface: "workflow", scopes: ["read"], label: "front desk" });
  const two = await makeKey("clinic-b", { surface: "workflow", scopes: ["read"] });
  const read = (key: string) => call("/workflow/requests/none", { key });
  expect((await read(one)).status).toBe(404);
  expect((await read(two)).status).toBe(404);
  const { json } = await asOperator("/tenants/clinic-b/keys");
  const first = json.keys.find(({ label }: { label: string | null }) => label === "front desk");
  expect(first.lastUsedAt).toBeGreaterThan(0);
  const path = `/tenants/clinic-b/keys/${first.keyId}`;
  expect((await asOperator(path, "DELETE")).status).toBe(204);
  expect((await read(one)).status).toBe(401);
  expect((await read(two)).status).toBe(404);
  const entries = await entryCount();
  expect((await asOperator(path, "DELETE")).status).toBe(204);
  expect(await entryCount()).toBe(entries);
  expect((await asOperator("/tenants/clinic-b/keys/key_none", "DELETE")).status).toBe(404);
});

it("keeps nothing of a key but its hash", async () => {
  const key = await makeKey("clinic-c", { surface: "claims", scopes: ["submit"] });
  const { results } = await testEnv.DB.prepare("SELECT * FROM api_keys").all();
  expect(JSON.stringify(results)).not.toContain(key);
  expect(JSON.stringify(results)).not.toContain(key.slice(4, 20));
});

it("opens nothing with the keys of a closed tenant, and makes no new ones for it", async () => {
  const key = await makeKey("clinic-d", { surface: "workflow", scopes: ["read"] });
  expect((await asOperator("/tenants/clinic-d", "DELETE")).status).toBe(204);
  expect((await call("/workflow/requests/none", { key })).status).toBe(401);
  const made = await asOperator("/tenants/clinic-d/keys", "POST", { surface: "workflow", scopes: ["read"] });
  expect(made.status).toBe(404);
  expect((await asOperator("/tenants/default", "DELETE")).status).toBe(409);
});

it("gives each operator a key of their own, so that the trail tells them apart", async () => {
  const made = await asOperator("/tenants/default/keys", "POST", { surface: "operator", scopes: ["read", "operate"] });
  expect(made.status).toBe(201);
  const paused = await call("/relay/pause", { method: "POST", key: made.json.key });
  expect(paused.status).toBe(200);
  expect((await actions("?action=RELAY_PAUSE&limit=1"))[0]?.actor).toBe(made.json.keyId);
  for (const body of [
    { surface: "operator", scopes: ["submit"] },
    { surface: "workflow", scopes: ["operate"] },
  ]) {
    expect((await asOperator("/tenants/default/keys", "POST", body)).status).toBe(400);
  }
  const elsewhere = await asOperator("/tenants/clinic-a/keys", "POST", { surface: "operator", scopes: ["operate"] });
  expect(elsewhere.status).toBe(400);
});

it("lets no key but an operator's see tenants, keys or the trail", async () => {
  for (const path of ["/tenants", "/tenants/default/keys", "/operations/actions"]) {
    expect((await call(path)).status).toBe(403);
    expect((await call(path, { key: "" })).status).toBe(401);
  }
});

it("refuses to change or remove what stands behind an entry", async () => {
  const { DB } = testEnv;
  await expect(DB.prepare("UPDATE operator_actions SET actor = 'nobody'").run()).rejects.toThrow(/never changed/);
  await expect(DB.prepare("DELETE FROM operator_actions").run()).rejects.toThrow(/never deleted/);
  const again = "INSERT OR REPLACE INTO operator_actions SELECT * FROM operator_actions LIMIT 1";
  await expect(DB.prepare(again).run()).rejects.toThrow(/already present/);
});
