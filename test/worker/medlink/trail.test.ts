/** Every call by which an operator changes something on the hub is in core's trail, or here with the reason why not. */
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { HUB_ACTIONS, HUB_TARGET, type HubActionCode } from "../../../src/audit/operator-action.ts";
import { userUpsert } from "../../../src/medlink/accounts/accounts.store.ts";
import { sendWaitingActions } from "../../../src/medlink/audit/record-trail.edge.ts";
import { readHubGauges } from "../../../src/medlink/operations/hub-readings.store.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { ACCESS } from "./access-matrix.ts";
import { ADMIN, CLAIM, INSURER_ADDRESS, json, migrate, type Session, TestHub } from "./harness.ts";

const USER = `usr_${"a".repeat(24)}`;
const CLINIC = "cln_demo";

/** Ids that come with the test's beginning. */
interface World {
  readonly invitationId: string;
  readonly failedJobs: readonly string[];
  readonly draftId: string;
}

type Row =
  /** The action that this call records, what it is told of as done to, and a call that is let through to it. */
  | {
      readonly action: HubActionCode;
      readonly to: (world: World) => string;
      /** Default: the row's own. */
      readonly path?: (world: World) => string;
      readonly body?: (world: World) => unknown;
    }
  | { readonly exempt: string };

const OWN_ACCOUNT = "their own account, as everyone's: the hub's audit has it";
const CORES = "core does it, and records it before";
const CORES_ENTRY = "core does it, and the command is an entry of the ledger itself";
const nothing = () => "";

/** In the order in which they are called: each leaves what the next ones need. */
const TRAIL: Readonly<Record<string, Row>> = {
  "PUT /api/admin/flags/{name}": {
    action: "HUB_FLAG_UPDATE",
    path: () => "/api/admin/flags/FEATURE_FLAG_NEW_UI",
    body: () => ({ enabled: true, percentage: 50 }),
    to: () => "FEATURE_FLAG_NEW_UI on_50",
  },
  "POST /api/admin/clinics": { action: "HUB_CLINIC_CREATE", body: () => ({ name: "Trail Dental" }), to: nothing },
  "PATCH /api/users/{userId}": {
    action: "HUB_USER_UPDATE",
    path: () => `/api/users/${USER}`,
    body: () => ({ role: "provider" }),
    to: () => `${USER} provider`,
  },
  "POST /api/users/{userId}/password-reset": {
    action: "HUB_PASSWORD_RESET",
    path: () => `/api/users/${USER}/password-reset`,
    to: () => USER,
  },
  "DELETE /api/users/{userId}/second-factor": {
    action: "HUB_SECOND_FACTOR_REMOVE",
    path: () => `/api/users/${USER}/second-factor`,
    to: () => USER,
  },
  "POST /api/invitations": {
    action: "HUB_INVITATION_CREATE",
    body: () => ({ email: "new@clinic.test", name: "New", role: "billing", clinicId: CLINIC }),
    to: () => `billing ${CLINIC}`,
  },
  "DELETE /api/invitations/{invitationId}": {
    action: "HUB_INVITATION_WITHDRAW",
    path: ({ invitationId }) => `/api/invitations/${invitationId}`,
    to: ({ invitationId }) => invitationId,
  },
  "POST /api/admin/sessions/clear": {
    action: "HUB_SESSIONS_CLEAR",
    body: () => ({ scope: { type: "clinic", clinicId: CLINIC } }),
    to: () => CLINIC,
  },
  "POST /api/admin/re-encrypt": {
    action: "HUB_RENEWAL_START",
    body: () => ({ start: true }),
    to: () => "re-encrypt",
  },
  "POST /api/admin/re-hash": { action: "HUB_RENEWAL_START", body: () => ({ start: true }), to: () => "re-hash" },
  "POST /api/admin/seed": {
    action: "HUB_SEED",
    body: () => ({ adminEmail: ADMIN.email, adminPassword: "a long enough one 4711", insurerAddress: INSURER_ADDRESS }),
    to: nothing,
  },
  "POST /api/operations/backups": { action: "HUB_BACKUP_CREATE", body: () => ({ tag: "trail" }), to: nothing },
  "PUT /api/operations/alerts/contacts": {
    action: "HUB_CONTACTS_PUT",
    body: () => ({ people: [{ name: "One", phone: "+1-555-0101", roles: ["on-call-primary"] }] }),
    to: () => "people_1",
  },
  "PUT /api/itrans/auto-submit/settings": {
    action: "HUB_AUTO_SUBMIT_SETTINGS",
    body: () => ({ enabled: true, clinicId: CLINIC }),
    to: () => `${CLINIC} on`,
  },
  "POST /api/itrans/auto-submit/enqueue": {
    action: "HUB_AUTO_SUBMIT_ENQUEUE",
    body: ({ draftId }) => ({ claimIds: [draftId] }),
    to: ({ draftId }) => `claims_1 ${draftId}`,
  },
  "POST /api/itrans/auto-submit/jobs/{jobId}/requeue": {
    action: "HUB_AUTO_SUBMIT_REQUEUE",
    path: ({ failedJobs }) => `/api/itrans/auto-submit/jobs/${failedJobs[0]}/requeue`,
    to: ({ failedJobs }) => String(failedJobs[0]),
  },
  "POST /api/itrans/auto-submit/requeue": { action: "HUB_AUTO_SUBMIT_REQUEUE", body: () => ({}), to: () => "hub" },
  "POST /api/edi/connectors/{name}/test": {
    action: "HUB_CONNECTOR_TEST",
    path: () => "/api/edi/connectors/cdanet/test",
    to: () => "cdanet",
  },
  "POST /api/edi/sandbox/reset": { action: "HUB_SANDBOX_RESET", to: nothing },
  "PUT /api/operations/maintenance": {
    action: "HUB_MAINTENANCE_ON",
    body: () => ({ on: true, minutes: 5, reason: "CHG-1" }),
    to: () => "CHG-1 minutes_5",
  },

  "POST /api/operations/backups/{name}/advance": { exempt: "it pushes on what HUB_BACKUP_CREATE, or the cron, began" },
  "POST /api/operations/relay/pause": { exempt: CORES },
  "POST /api/operations/relay/resume": { exempt: CORES },
  "POST /api/operations/relay/destinations/{destinationId}/pause": { exempt: CORES },
  "POST /api/operations/relay/destinations/{destinationId}/resume": { exempt: CORES },
  "POST /api/operations/relay/dead-letters/replay": { exempt: CORES },
  "POST /api/operations/relay/dead-letters/{outboxId}/replay": { exempt: CORES },
  "POST /api/operations/relay/dead-letters/{outboxId}/discard": { exempt: CORES },
  "POST /api/operations/settlements/{refId}/resolve": { exempt: CORES_ENTRY },
  "POST /api/operations/settlements/{refId}/replay": { exempt: CORES_ENTRY },
  "POST /api/operations/reconciliation/runs": { exempt: CORES },
  "POST /api/operations/reconciliation/runs/{runId}/continue": { exempt: CORES },
  "PUT /api/operations/reconciliation/items/{itemId}/owner": { exempt: CORES },
  "POST /api/operations/reconciliation/items/{itemId}/resolve": { exempt: CORES },
  "POST /api/operations/idempotency-keys/{keyId}/resolve": { exempt: CORES },
  "POST /api/operations/alerts/{name}/acknowledge": { exempt: CORES },
  "POST /api/operations/alerts/silences": { exempt: CORES },
  "DELETE /api/operations/alerts/silences/{silenceId}": { exempt: CORES },
  "POST /api/operations/alerts/test": { exempt: CORES },

  "POST /api/auth/logout-everywhere": { exempt: OWN_ACCOUNT },
  "PATCH /api/auth/me": { exempt: OWN_ACCOUNT },
  "POST /api/auth/change-password": { exempt: OWN_ACCOUNT },
  "POST /api/auth/totp/setup": { exempt: OWN_ACCOUNT },
  "POST /api/auth/totp/enable": { exempt: OWN_ACCOUNT },
  "POST /api/auth/totp/disable": { exempt: OWN_ACCOUNT },
  "POST /api/auth/totp/backup-codes": { exempt: OWN_ACCOUNT },
  "DELETE /api/auth/sessions/{sessionId}": { exempt: OWN_ACCOUNT },
};

const ACTIONS = "/operations/actions";
const KEY = { "x-api-key": TEST_SECRETS.hub.HUB_OPERATOR_API_KEY };
const FLAG = "/api/admin/flags/FEATURE_FLAG_BULK_OPERATIONS";

let hub: TestHub;
let world: World;
let operator: Session;
let admin: Session;

/** What core was told, in order. */
const told = () =>
  hub.calls.flatMap(({ method, path, headers, body }) =>
    method === "POST" && path === ACTIONS
      ? [{ ...JSON.parse(body), correlationId: headers.get("x-correlation-id"), key: headers.get("x-api-key") }]
      : [],
  );
const isTelling = ({ url, method }: Request): boolean => method === "POST" && new URL(url).pathname === ACTIONS;
const coreTakes = () => {
  hub.answer = (request) => (isTelling(request) ? new Response(null, { status: 204 }) : Response.json({}));
};
const coreIs = (status: number) => {
  hub.answer = () => Response.json({ code: "unavailable" }, { status });
};

const asOperator = (method: string, path: string, body?: unknown, by: TestHub = hub): Promise<Response> => {
  const init = body === undefined ? { method, headers: {} } : json(method, body);
  return by.fetch(path, { ...init, headers: { ...init.headers, ...KEY } });
};

const rows = async () =>
  (await env.DB.prepare("SELECT * FROM operator_actions ORDER BY at, action_id").all<Record<string, unknown>>())
    .results;
const waiting = async () => (await rows()).filter((row) => row.sent_at === null);

/** All that the hub's database holds, but for the trail itself. */
async function contents(): Promise<string> {
  const { results } = await env.DB.prepare(
    `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'd1\\_%' ESCAPE '\\'
       AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name <> 'operator_actions'`,
  ).all<{ name: string }>();
  const tables = await env.DB.batch(results.map(({ name }) => env.DB.prepare(`SELECT * FROM "${name}"`)));
  return JSON.stringify(tables.map((table) => table.results));
}

async function makeWorld(): Promise<World> {
  const { db, fields, now } = await hub.hub();
  const target = { userId: USER, clinicId: CLINIC, role: "billing", email: "t@clinic.test", name: "Target" } as const;
  await (await userUpsert(db, fields, target, "no password", now())).run();
  const invitation = { email: "i@clinic.test", name: "I", role: "billing" };
  const { invitationId } = (await admin.read("POST", "/api/invitations", invitation)).body;
  const filed = async () => (await admin.read("POST", "/api/claims", CLAIM)).body.claimId;
  hub.answer = () => Response.json({ code: "conflict" }, { status: 409 });
  const claimIds = [await filed(), await filed()];
  await admin.call("POST", "/api/itrans/auto-submit/enqueue", { claimIds });
  await hub.runQueue();
  const { results } = await env.DB.prepare("SELECT job_id AS jobId FROM auto_submit_jobs WHERE state = 'failed'").all<{
    readonly jobId: string;
  }>();
  return { invitationId: String(invitationId), failedJobs: results.map(({ jobId }) => jobId), draftId: await filed() };
}

beforeAll(async () => {
  await migrate();
  hub = new TestHub({ ITRANS_AUTO_SUBMIT_ENABLED: "false", ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS: "1" });
  await hub.seed();
  admin = await hub.signInAs("usr_demo_admin");
  world = await makeWorld();
});

beforeEach(async () => {
  await env.DB.exec("DELETE FROM operator_actions");
  operator = await hub.signInAs("usr_demo_operator");
  admin = await hub.signInAs("usr_demo_admin");
  hub.calls.length = 0;
  coreTakes();
});

afterAll(async () => {
  // Files share the worker, and with it what it knows of maintenance.
  coreTakes();
  await asOperator("PUT", "/api/operations/maintenance", { on: false });
});

describe("the trail of what operators do to the hub", () => {
  it("has a row for every call by which operators change something, and no other", () => {
    // Sign-in and the like are for everyone: what lets an operator in alone, or beside a clinic's people, refuses nobody's.
    const letsIn = Object.entries(ACCESS).flatMap(([route, { outcomes }]) =>
      !route.startsWith("GET ") && outcomes.operator !== 403 && outcomes.operator !== outcomes.nobody ? [route] : [],
    );
    expect(letsIn.length).toBeGreaterThan(40);
    expect(Object.keys(TRAIL).toSorted()).toEqual(letsIn.toSorted());
  });

  it("is told to core once for each, before anything is changed", async () => {
    expect(world.failedJobs).toHaveLength(2);
    const faults: string[] = [];
    for (const [call, row] of Object.entries(TRAIL)) {
      if ("exempt" in row) continue;
      const [method = "", template = ""] = call.split(" ");
      hub.calls.length = 0;
      const before = await contents();
      let whenTold: string | undefined;
      hub.answer = async (request) => {
        if (!isTelling(request)) return Response.json({});
        whenTold = await contents();
        return new Response(null, { status: 204 });
      };
      const response = await asOperator(method, row.path?.(world) ?? template, row.body?.(world));
      const target = [row.to(world), "by operator"].filter((part) => part !== "").join(" ");
      const [one, ...more] = told();
      if (response.status >= 300) faults.push(`${call} answers ${response.status} ${await response.text()}`);
      if (one?.action !== row.action || one.target !== target || more.length > 0)
        faults.push(`${call} told ${JSON.stringify(told())}, not ${row.action} ${target}`);
      if (whenTold !== before) faults.push(`${call} changed something before it was told`);
      if ((await contents()) === before) faults.push(`${call} changed nothing`);
    }
    expect(faults).toEqual([]);
    expect(await waiting()).toEqual([]);
  });

  it("knows when maintenance ends, and only of a renewal that is begun", async () => {
    await asOperator("PUT", "/api/operations/maintenance", { on: false });
    await asOperator("POST", "/api/admin/re-encrypt", { rows: 10 });
    expect(told()).toMatchObject([{ action: "HUB_MAINTENANCE_OFF", target: "by operator" }]);
  });

  it("has an action for each code that core takes", () => {
    const used = Object.values(TRAIL).flatMap((row) => ("action" in row ? [row.action] : []));
    const elsewhere = ["HUB_BACKUP_EXPORT", "HUB_MAINTENANCE_OFF"];
    expect([...new Set([...used, ...elsewhere])].toSorted()).toEqual([...HUB_ACTIONS].toSorted());
  });

  it("says who it was: the person who signed in, with the request's correlation id and under core's operator key", async () => {
    const response = await operator.call("PUT", FLAG, { enabled: false }, { "x-correlation-id": "trail-1" });
    expect(response.status).toBe(200);
    expect(told()).toEqual([
      {
        actionId: expect.stringMatching(/^act_[0-9a-f-]{36}$/),
        salt: expect.stringMatching(/^[0-9a-f]{64}$/),
        action: "HUB_FLAG_UPDATE",
        target: "FEATURE_FLAG_BULK_OPERATIONS off by usr_demo_operator",
        correlationId: "trail-1",
        key: TEST_SECRETS.hub.ITRANS_OPERATOR_API_KEY,
      },
    ]);
  });

  it("draws an id and a salt for each action", async () => {
    for (const enabled of [true, false]) await asOperator("PUT", FLAG, { enabled });
    const [first, second] = told();
    expect(first.actionId).not.toBe(second.actionId);
    expect(first.salt).not.toBe(second.salt);
  });

  it("has nothing of what a clinic's own administrator does by the same calls", async () => {
    const done = [
      await admin.call("PUT", "/api/itrans/auto-submit/settings", { enabled: false }),
      await admin.call("PATCH", `/api/users/${USER}`, { role: "billing" }),
      await admin.call("POST", `/api/users/${USER}/password-reset`),
      await admin.call("POST", "/api/edi/sandbox/reset"),
    ];
    expect(done.map(({ status }) => status)).toEqual([200, 200, 201, 200]);
    expect(told()).toEqual([]);
    expect(await rows()).toEqual([]);
  });

  it("has nothing of calls that are refused before they are looked at", async () => {
    expect((await hub.fetch(FLAG, json("PUT", { enabled: true }))).status).toBe(401);
    expect((await admin.call("PUT", FLAG, { enabled: true })).status).toBe(403);
    expect((await asOperator("PUT", FLAG, { enabled: "yes" })).status).toBe(400);
    expect(told()).toEqual([]);
    expect(await rows()).toEqual([]);
  });

  it("names nobody, whatever stands in the call", async () => {
    const anna = "anna.smith@clinic.test";
    await asOperator("POST", "/api/invitations", {
      email: anna,
      name: "Anna Smith",
      role: "billing",
      clinicId: "Smith",
    });
    await asOperator("POST", "/api/admin/clinics", { name: "Anna Smith Dental" });
    await asOperator("PATCH", `/api/users/${anna}`, { disabled: true });
    await asOperator("DELETE", `/api/users/anna_smith/second-factor`);
    await asOperator("DELETE", "/api/invitations/Anna%20Smith");
    await asOperator("POST", "/api/admin/sessions/clear", { scope: { type: "user", userId: anna } });
    await asOperator("POST", "/api/operations/backups", { tag: "anna-smith" });
    await asOperator("POST", "/api/itrans/auto-submit/enqueue", { claimIds: [anna] });
    await asOperator("POST", "/api/itrans/auto-submit/requeue", { filter: { clinicId: "anna" } });
    await asOperator("POST", "/api/itrans/auto-submit/jobs/anna/requeue");
    await asOperator("PUT", "/api/itrans/auto-submit/settings", { enabled: true, clinicId: anna });
    await asOperator("PUT", "/api/operations/alerts/contacts", {
      people: [{ name: "Anna Smith", email: anna, roles: ["on-call-primary"] }],
    });
    await asOperator("POST", "/api/admin/seed", {
      adminEmail: anna,
      adminPassword: "a long enough one 4711",
      insurerAddress: INSURER_ADDRESS,
    });
    expect(told()).toHaveLength(13);
    expect(JSON.stringify([told(), await rows()])).not.toMatch(/anna|smith|clinic\.test/i);
    for (const { target } of told()) expect(target).toMatch(HUB_TARGET);
  });

  it("is not kept by a hub that has no operator key of core", async () => {
    const keyless = new TestHub({ ITRANS_OPERATOR_API_KEY: "" });
    expect((await asOperator("PUT", FLAG, { enabled: true }, keyless)).status).toBe(200);
    expect(keyless.calls).toEqual([]);
    expect(await rows()).toEqual([]);
  });
});

describe("what an operator fetches of a backup", () => {
  const exported = () => told().filter(({ action }) => action === "HUB_BACKUP_EXPORT");
  const fetchFiles = (by: (path: string) => Promise<Response>) =>
    Promise.all(
      ["backup-object?path=a", "backup-object?path=b", "backups/none/manifest"].map((path) =>
        by(`/api/operations/${path}`),
      ),
    );
  const byKey = (path: string) => asOperator("GET", path);
  const byPerson = (path: string) => operator.call("GET", path);

  it("is one action an hour of each operator, however many files", async () => {
    await fetchFiles(byKey);
    await fetchFiles(byKey);
    expect(exported()).toMatchObject([{ target: "by operator" }]);
    await fetchFiles(byPerson);
    expect(exported()).toMatchObject([{}, { target: "by usr_demo_operator" }]);
    await env.DB.exec("UPDATE operator_actions SET at = at - 3600001");
    await fetchFiles(byKey);
    expect(exported()).toHaveLength(3);
  });

  it("is none where it is only listed", async () => {
    for (const path of ["backups", "backups/none", "backup-keys"]) await byKey(`/api/operations/${path}`);
    expect(told()).toEqual([]);
  });
});

describe("while core takes nothing", () => {
  const flagIs = async () =>
    env.DB.prepare("SELECT enabled FROM flags WHERE name = 'FEATURE_FLAG_BULK_OPERATIONS'").first<number>("enabled");
  const set = (enabled: boolean) => asOperator("PUT", FLAG, { enabled });

  it.each([503, 500, 429, 401, 404, 200])(
    "and answers %d, an operator's action is done, waits, and is sent once by the cron as it was",
    async (status) => {
      coreIs(status);
      await set(false);
      await env.DB.exec("DELETE FROM operator_actions");
      hub.calls.length = 0;
      expect((await set(true)).status).toBe(200);
      expect(await flagIs()).toBe(1);
      expect(await waiting()).toHaveLength(1);
      coreTakes();
      await hub.sweep();
      const [first, second, ...more] = told();
      expect(second).toEqual(first);
      expect(more).toEqual([]);
      expect(await waiting()).toEqual([]);
      await hub.sweep();
      expect(told()).toHaveLength(2);
    },
  );

  it("and does not even answer, an operator is kept waiting for seconds alone", async () => {
    hub.answer = (request) =>
      new Promise((_, reject) => request.signal.addEventListener("abort", () => reject(new Error("aborted"))));
    const startedAt = Date.now();
    expect((await set(false)).status).toBe(200);
    expect(Date.now() - startedAt).toBeLessThan(10_000);
    expect(await waiting()).toHaveLength(1);
  });

  /** Actions that wait, each a millisecond after the one before. */
  const leaveWaiting = (count: number) =>
    env.DB.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < CAST(?1 AS INTEGER))
       INSERT INTO operator_actions (action_id, salt, action, target, actor, correlation_id, at)
       SELECT 'act_' || i, ?2, 'HUB_SEED', 'by operator', 'operator', 'c-' || i, i FROM n`,
    )
      .bind(count, "ab".repeat(32))
      .run();

  it("what waits goes fifty a turn, oldest first, each under its own correlation id", async () => {
    await leaveWaiting(60);
    await hub.sweep();
    expect(told().map(({ correlationId }) => correlationId)).toEqual(
      Array.from({ length: 50 }, (_, i) => `c-${i + 1}`),
    );
    await hub.sweep();
    expect(told()).toHaveLength(60);
    expect(await waiting()).toEqual([]);
  });

  it("what waits is a metric", async () => {
    const shown = async () =>
      (await readHubGauges(env.DB, Date.now())).find(({ name }) => name === "medlink_operator_actions_waiting")?.value;
    expect(await shown()).toBe(0);
    await leaveWaiting(3);
    expect(await shown()).toBe(3);
    await hub.sweep();
    expect(await shown()).toBe(0);
  });

  it("a turn ends at the first that core does not take, and fails where core refuses it", async () => {
    await leaveWaiting(5);
    const answers = (status: number) => {
      hub.answer = () => new Response(null, { status: told().length > 2 ? status : 204 });
    };
    answers(503);
    await sendWaitingActions(await hub.hub());
    expect(told()).toHaveLength(3);
    expect(await waiting()).toHaveLength(3);
    answers(403);
    await expect(sendWaitingActions(await hub.hub())).rejects.toThrow("act_3");
    expect(await waiting()).toHaveLength(3);
  });

  it("nothing more is done once a thousand wait, until they went", async () => {
    await leaveWaiting(999);
    coreIs(503);
    expect((await set(true)).status).toBe(200);
    const calls = hub.calls.length;
    const refused = await set(false);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).not.toBeNull();
    expect(await flagIs()).toBe(1);
    expect(hub.calls).toHaveLength(calls);
    expect(await rows()).toHaveLength(1_000);
    coreTakes();
    await hub.sweep();
    expect((await set(false)).status).toBe(200);
  });

  it("nothing is done that can not be kept, but for fetching a backup", async () => {
    await set(true);
    const fetched = async () => (await asOperator("GET", "/api/operations/backup-object?path=a")).status;
    const usual = await fetched();
    expect(usual).not.toBe(503);
    await env.DB.exec("ALTER TABLE operator_actions RENAME TO elsewhere");
    try {
      expect((await set(false)).status).toBe(503);
      expect(await fetched()).toBe(usual);
      expect(await flagIs()).toBe(1);
    } finally {
      await env.DB.exec("ALTER TABLE elsewhere RENAME TO operator_actions");
    }
    expect((await set(false)).status).toBe(200);
  });

  it("what core has stays for a day, and what waits for as long as it waits", async () => {
    await leaveWaiting(3);
    const day = 86_400_000;
    const sent = (id: string, ago: number) =>
      env.DB.prepare("UPDATE operator_actions SET sent_at = CAST(?2 AS INTEGER) WHERE action_id = ?1")
        .bind(id, Date.now() - ago)
        .run();
    await sent("act_1", day + 60_000);
    await sent("act_2", day - 60_000);
    coreIs(503);
    await hub.sweep();
    expect((await rows()).map((row) => row.action_id)).toEqual(["act_2", "act_3"]);
  });
});
