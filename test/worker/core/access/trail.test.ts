/** Every call that changes something for an operator is in the trail, or here with the reason why not. */
import { beforeAll, expect, it } from "vitest";
import { call, callWith, INSURER, KEYS, migrate, testEnv } from "../support.ts";

const OPERATOR = KEYS.OPERATOR_API_KEY;
const METHODS = ["post", "put", "patch", "delete"] as const;

type Row =
  /** The action that this call records, and a call that is let through to it. */
  | {
      readonly action: string;
      /** Default: the row's own. */
      readonly path?: string;
      readonly body?: unknown;
      /** Settings that the call needs. */
      readonly over?: Readonly<Record<string, unknown>>;
    }
  | { readonly exempt: string };

const START = "2026-11-22T10:00:00.000Z";
/** What an operator did to the hub, as the hub sends it. */
const ON_HUB = {
  actionId: "act_0b7f8a52-3c1d-4e5f-8a9b-0c1d2e3f4a5b",
  salt: "5a".repeat(32),
  action: "HUB_FLAG_UPDATE",
  target: "FEATURE_FLAG_NEW_UI on_50 by usr_demo_operator",
};
const ITS_OWN_ENTRY = "the command is an entry of the ledger itself, with who gave it";

const CHAIN = { EVM_RPC_URL: "http://127.0.0.1:9", ANCHOR_CONTRACT_ADDRESS: `0x${"1a".repeat(20)}` };
const PAYER = { OPERATOR_API_URL: "http://127.0.0.1:9" };

/** In the order in which they are called: each leaves what the next ones need. */
const TRAIL: Readonly<Record<string, Row>> = {
  "POST /tenants": { action: "TENANT_CREATE", body: { tenantId: "trail-clinic", name: "Trail" } },
  "POST /tenants/{tenantId}/keys": {
    action: "KEY_CREATE",
    path: "/tenants/trail-clinic/keys",
    body: { surface: "workflow", scopes: ["read"] },
  },
  "DELETE /tenants/{tenantId}/keys/{keyId}": {
    action: "KEY_REVOKE",
    path: "/tenants/trail-clinic/keys/KEY",
  },
  "DELETE /tenants/{tenantId}": { action: "TENANT_CLOSE", path: "/tenants/trail-clinic" },
  "PUT /relay/destinations/{destinationId}": {
    action: "DESTINATION_PUT",
    path: "/relay/destinations/trail",
    body: {
      kind: "INSURER",
      insurerAddress: INSURER,
      url: "http://127.0.0.1:9/hook",
      secret: "a-secret-of-the-destination-0123456789",
    },
  },
  "POST /relay/destinations/{destinationId}/pause": {
    action: "DESTINATION_PAUSE",
    path: "/relay/destinations/trail/pause",
  },
  "POST /relay/destinations/{destinationId}/resume": {
    action: "DESTINATION_RESUME",
    path: "/relay/destinations/trail/resume",
  },
  "POST /relay/destinations/{destinationId}/secret": {
    action: "DESTINATION_SECRET_ROTATE",
    path: "/relay/destinations/trail/secret",
    body: { secret: "the-next-secret-of-it-9876543210-abcdef" },
  },
  "POST /relay/destinations/{destinationId}/ping": {
    action: "DESTINATION_PING",
    path: "/relay/destinations/trail/ping",
    over: { RELAY_QUEUE: { send: async () => undefined } },
  },
  "DELETE /relay/destinations/{destinationId}": {
    action: "DESTINATION_DELETE",
    path: "/relay/destinations/trail",
  },
  "POST /relay/pause": { action: "RELAY_PAUSE" },
  "POST /relay/resume": { action: "RELAY_RESUME" },
  "PUT /operations/alerts/contacts": {
    action: "ALERT_CONTACTS_PUT",
    body: { people: [{ name: "Trail", roles: ["on-call-primary"], email: "trail@example.invalid" }] },
  },
  "POST /operations/alerts/silences": {
    action: "ALERT_SILENCE",
    body: { minutes: 1, reason: "CHG-1" },
  },
  "DELETE /operations/alerts/silences/{silenceId}": {
    action: "ALERT_UNSILENCE",
    path: "/operations/alerts/silences/none",
  },
  "POST /operations/alerts/{name}/acknowledge": {
    action: "ALERT_ACKNOWLEDGE",
    path: "/operations/alerts/none/acknowledge",
  },
  "POST /operations/alerts/test": { action: "ALERT_TEST" },
  "POST /operations/incidents": {
    action: "INCIDENT_OPEN",
    body: { ticket: "INC-1", severity: "S3", summary: "Trail" },
  },
  "POST /operations/incidents/{ticket}/notes": {
    action: "INCIDENT_NOTE",
    path: "/operations/incidents/INC-1/notes",
    body: { note: "Looked at" },
  },
  "POST /operations/incidents/{ticket}/close": {
    action: "INCIDENT_CLOSE",
    path: "/operations/incidents/INC-1/close",
    body: { rootCause: "None", prevention: "None" },
  },
  "POST /operations/secrets/{name}/rotations": {
    action: "SECRET_ROTATE",
    path: "/operations/secrets/AUDITOR_TOKEN/rotations",
    body: { step: "add" },
  },
  "POST /operations/rewrap": { action: "REWRAP_START" },
  "POST /operations/backups": { action: "BACKUP_CREATE", body: { tag: "trail" } },
  "POST /operations/backups/{name}/advance": { exempt: "it pushes on what BACKUP_CREATE, or the cron, began" },
  "POST /operations/restore-drills": {
    action: "RESTORE_DRILL",
    body: { snapshot: "s", good: true, startedAt: START, finishedAt: START, entries: 1, reason: null, report: {} },
  },
  "POST /ledger/anchors/retry": { action: "ANCHOR_RETRY", over: CHAIN },
  "POST /ledger/anchors/supersede": { action: "ANCHOR_SUPERSEDE", body: { reason: "WRONG-ROOT" }, over: CHAIN },
  "POST /relay/workflow/dead-letters/replay": {
    action: "DEAD_LETTERS_REPLAY",
    body: { destinationId: "trail" },
  },
  "POST /relay/workflow/dead-letters/{outboxId}/replay": {
    action: "DEAD_LETTER_REPLAY",
    path: "/relay/workflow/dead-letters/999999/replay",
  },
  "POST /relay/workflow/dead-letters/{outboxId}/discard": {
    action: "DEAD_LETTER_DISCARD",
    path: "/relay/workflow/dead-letters/999999/discard",
    body: { reason: "TICKET-1", rest: "discard" },
  },
  "POST /settlements/reconciliation/runs": {
    action: "RECONCILIATION_RUN",
    body: { from: "2026-01-01", to: "2026-01-01" },
    over: PAYER,
  },
  "POST /settlements/reconciliation/runs/{runId}/continue": {
    action: "RECONCILIATION_RUN",
    path: "/settlements/reconciliation/runs/custom-2026-01-01-2026-01-01-trail/continue",
    over: PAYER,
  },
  "PUT /settlements/reconciliation/items/{itemId}/owner": {
    action: "RECONCILIATION_OWN",
    path: "/settlements/reconciliation/items/7/owner",
    body: {},
  },
  "POST /settlements/reconciliation/items/{itemId}/resolve": {
    action: "RECONCILIATION_RESOLVE",
    path: "/settlements/reconciliation/items/7/resolve",
    body: { action: "accept", reason: "TICKET-1" },
    over: PAYER,
  },
  "POST /operations/idempotency-keys/{keyId}/resolve": {
    action: "IDEMPOTENCY_RESOLVE",
    path: `/operations/idempotency-keys/${"ab".repeat(32)}/resolve`,
    body: {},
  },
  "POST /operations/actions": { action: "HUB_FLAG_UPDATE", body: ON_HUB },
  "PUT /operations/maintenance": { action: "MAINTENANCE_OFF", body: { on: false } },
  "POST /settlements": { exempt: ITS_OWN_ENTRY },
  "POST /settlements/{refId}/replay": { exempt: ITS_OWN_ENTRY },
  "POST /settlements/{refId}/resolve": { exempt: ITS_OWN_ENTRY },
  "DELETE /claims/{claimId}/personal-data": { exempt: ITS_OWN_ENTRY },
  "DELETE /workflow/requests/{requestId}/personal-data": { exempt: ITS_OWN_ENTRY },
};

interface Listed {
  readonly seq: number;
  readonly action: string;
  readonly actor: string;
}
const newest = async (): Promise<Listed | undefined> =>
  (await call("/operations/actions?limit=1", { key: OPERATOR })).json.actions[0];

beforeAll(migrate);

/** The mutating calls that a key of operators may make only with the scope `operate`. */
async function operatorsCalls(): Promise<readonly string[]> {
  const { json: made } = await call("/tenants/default/keys", {
    method: "POST",
    key: OPERATOR,
    body: { surface: "operator", scopes: ["read"] },
  });
  const { json: document } = await call("/openapi.json", { key: "" });
  const found: string[] = [];
  for (const [path, item] of Object.entries<Record<string, unknown>>(document.paths)) {
    for (const method of METHODS.filter((one) => one in item)) {
      const url = path.replace(/\{\w+\}/g, "x");
      const { status, json } = await call(url, { method: method.toUpperCase(), key: made.key, body: {} });
      if (status === 403 && /scope.*\boperate\b/.test(json.detail)) found.push(`${method.toUpperCase()} ${path}`);
    }
  }
  return found;
}

it("has a row for every call by which operators change something, and no other", async () => {
  const found = await operatorsCalls();
  expect(found.length).toBeGreaterThan(25);
  expect(Object.keys(TRAIL).toSorted()).toEqual(found.toSorted());
});

/** A run that failed, an open item and a key that was left, as some rows act on them. */
async function leaveThingsToDo(): Promise<void> {
  const long = Date.now() - 3_600_000;
  const { DB } = testEnv;
  await DB.batch([
    DB.prepare(
      `INSERT INTO reconciliation_runs (ledger_id, run_id, kind, from_day, to_day, state, started_by, day, day_started_at, frontier,
         list_ended, expected, ours, theirs, agreed, in_flight, asked, mismatches, version, lease_until, due_at, failures, started_at)
       VALUES ('main', 'custom-2026-01-01-2026-01-01-trail', 'custom', '2026-01-01', '2026-01-01', 'failed', 'operator', '2026-01-01',
         ?1, '', 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, ?1, 1, ?1)`,
    ).bind(long),
    DB.prepare(
      `INSERT INTO reconciliation_items (item_id, ledger_id, ref_id, kind, day, theirs, state, run_id, found_at, seen_at)
       VALUES (7, 'main', 'op-7', 'missing_here', '2026-01-01',
         '{"type":"CLAIM_PAYMENT","amountCents":100,"currency":"CAD","status":"COMPLETED","operatorTransactionId":"op-7"}', 'open', 'r', ?1, ?1)`,
    ).bind(long),
    DB.prepare(
      `INSERT INTO idempotency_keys (key_id, scope, tenant_id, fingerprint, state, effect_id, token, busy_until, correlation_id,
         created_at, updated_at, expires_at)
       VALUES (?2, 'settlements', 'default', ?2, 'PROCESSING', 'stl_00000000000000000000000000', 1, ?1, 'trail', ?1, ?1, ?3)`,
    ).bind(long, "ab".repeat(32), Date.now() + 3_600_000),
  ]);
}

it("has an entry of the ledger for each, by the key that asked", async () => {
  await leaveThingsToDo();
  const missing: string[] = [];
  for (const [call_, row] of Object.entries(TRAIL)) {
    if ("exempt" in row) continue;
    const [method = "", template = ""] = call_.split(" ");
    const path = (row.path ?? template).replace("/KEY", `/${await keyOfTrail()}`);
    const before = await newest();
    const over = row.over ?? {};
    const answer = await callWith({ ...over }, path, {
      method,
      key: OPERATOR,
      ...(row.body === undefined ? {} : { body: row.body }),
    });
    const after = await newest();
    const isNew = after !== undefined && after.seq > (before?.seq ?? -1);
    if (!isNew || after.action !== row.action || after.actor !== "operator")
      missing.push(`${call_} answers ${answer.status} ${answer.text} and left ${JSON.stringify(after)}`);
  }
  expect(missing).toEqual([]);
}, 300_000);

async function keyOfTrail(): Promise<string> {
  const { json } = await call("/tenants/trail-clinic/keys", { key: OPERATOR });
  return json.keys?.[0]?.keyId ?? "none";
}

it("has one entry for an export of a backup, however many files it takes", async () => {
  const exports = async () =>
    (await call("/operations/actions?action=BACKUP_EXPORT", { key: OPERATOR })).json.actions.length;
  const before = await exports();
  const path = `tail/0-1-${"c".repeat(64)}.sealed`;
  await testEnv.BACKUPS?.put(`core/main/${path}`, "sealed");
  const fetched = async (key: string) =>
    (await call(`/operations/backup-object?path=${encodeURIComponent(path)}`, { key })).status;
  expect((await call("/operations/backup-keys", { key: OPERATOR })).status).toBe(200);
  expect(await exports()).toBe(before + 1);
  for (let file = 0; file < 3; file++) expect(await fetched(OPERATOR)).toBe(200);
  expect(await exports()).toBe(before + 1);
  // Whoever knows a path needs no list.
  const { json } = await call("/tenants/default/keys", {
    method: "POST",
    key: OPERATOR,
    body: { surface: "operator", scopes: ["operate"] },
  });
  for (let file = 0; file < 3; file++) expect(await fetched(json.key)).toBe(200);
  expect(await exports()).toBe(before + 2);
});

const ofHub = (body: unknown, key = OPERATOR) => call("/operations/actions", { method: "POST", key, body });

it("has one entry for what the hub tells again and again, and shows what it was and by whom", async () => {
  const done = { ...ON_HUB, actionId: "act_11111111-2222-4333-8444-555555555555" };
  const told = async (): Promise<readonly Listed[]> =>
    (await call("/operations/actions?action=HUB_FLAG_UPDATE&limit=500", { key: OPERATOR })).json.actions;
  const before = (await told()).length;
  const answers = await Promise.all([ofHub(done), ofHub(done), ofHub(done)]);
  answers.push(await ofHub(done));
  expect(answers.map(({ status }) => status)).toEqual([204, 204, 204, 204]);
  const recorded = (await told()).toReversed().slice(before);
  expect(recorded).toMatchObject([{ actor: "operator", target: done.target }]);
  const { json: shown } = await call(`/ledger/entries/${recorded[0]?.seq}`, { key: OPERATOR });
  expect(shown.entry).toMatchObject({
    type: "OPERATOR_ACTION",
    data: { action: "HUB_FLAG_UPDATE", actor: "operator" },
  });
});

it("takes no other action under an id that is recorded", async () => {
  const done = { ...ON_HUB, actionId: "act_66666666-2222-4333-8444-555555555555" };
  expect((await ofHub(done)).status).toBe(204);
  const before = await newest();
  expect((await ofHub({ ...done, target: "FEATURE_FLAG_NEW_UI off by usr_demo_operator" })).status).toBe(409);
  expect((await ofHub({ ...done, action: "HUB_SEED" })).status).toBe(409);
  expect(await newest()).toEqual(before);
});

it.each([
  ["an action of core's own", { action: "RELAY_PAUSE" }],
  ["an action that nobody knows", { action: "HUB_NOTHING" }],
  ["an address as what it was done to", { target: "someone@clinic.test" }],
  ["a sentence as what it was done to", { target: "Dr. Somebody, who lost it" }],
  ["a long target", { target: "x".repeat(201) }],
  ["a salt that is too short", { salt: "5a" }],
  ["an id of another form", { actionId: "mine" }],
  ["a field more", { actor: "usr_else" }],
])("refuses from the hub %s", async (_, change) => {
  const before = await newest();
  expect((await ofHub({ ...ON_HUB, ...change })).status).toBe(400);
  expect(await newest()).toEqual(before);
});

it("takes the hub's word from keys with the scope operate alone", async () => {
  const made = async (scopes: readonly string[]) =>
    (await call("/tenants/default/keys", { method: "POST", key: OPERATOR, body: { surface: "operator", scopes } }))
      .json;
  const readsOnly = await made(["read", "audit"]);
  expect((await ofHub(ON_HUB, readsOnly.key)).status).toBe(403);
  expect((await ofHub(ON_HUB, "")).status).toBe(401);
  const operates = await made(["operate"]);
  const done = { ...ON_HUB, actionId: "act_77777777-2222-4333-8444-555555555555" };
  expect((await ofHub(done, operates.key)).status).toBe(204);
  expect(await newest()).toMatchObject({ action: "HUB_FLAG_UPDATE", actor: operates.keyId });
});

it("lets an operator see to alerts and fetch a backup while ledger and database are away, and change nothing else", async () => {
  const gone = () => {
    throw new Error("D1_ERROR: the database is away");
  };
  const away = {
    SEQUENCER: { getByName: () => ({ append: async () => ({ type: "unavailable" }) }) },
    DB: { prepare: gone, batch: gone, withSession: gone },
  };
  const asked = async (method: string, path: string, body?: unknown) =>
    (await callWith(away, path, { method, key: OPERATOR, ...(body === undefined ? {} : { body }) })).status;
  expect(await asked("POST", "/operations/alerts/test", {})).toBe(200);
  expect(await asked("POST", "/operations/alerts/dead-letters/acknowledge", {})).toBe(409);
  const path = `tail/0-1-${"e".repeat(64)}.sealed`;
  await testEnv.BACKUPS?.put(`core/main/${path}`, "sealed");
  expect(await asked("GET", `/operations/backup-object?path=${encodeURIComponent(path)}`)).toBe(200);
  expect(await asked("POST", "/relay/pause")).toBe(503);
});

it("does not keep the hub's word waiting where the ledger takes nothing: the hub does", async () => {
  const away = { getByName: () => ({ append: async () => ({ type: "unavailable" }) }) };
  const waiting = async () => (await call("/operations/actions?limit=1", { key: OPERATOR })).json.waiting;
  const before = await waiting();
  const done = { ...ON_HUB, actionId: "act_88888888-2222-4333-8444-555555555555" };
  const init = { method: "POST", key: OPERATOR, body: done };
  expect((await callWith({ SEQUENCER: away }, "/operations/actions", init)).status).toBe(503);
  expect(await waiting()).toBe(before);
  expect((await ofHub(done)).status).toBe(204);
});
