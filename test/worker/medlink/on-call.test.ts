import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { TEST_SECRETS } from "../../secrets.ts";
import { json, migrate, type Session, TestHub } from "./harness.ts";

const REF_ID = `stl_${"0".repeat(26)}`;
const KEY_ID = "ab".repeat(32);
const ON_CALL = { "x-api-key": TEST_SECRETS.hub.HUB_OPERATOR_API_KEY };

let hub: TestHub;
let operator: Session;

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
});

beforeEach(async () => {
  hub = new TestHub();
  operator = await hub.signInAs("usr_demo_operator");
  await env.DB.exec("DELETE FROM audit_events");
});

const call = (method: string, path: string, body?: unknown): Promise<Response> =>
  hub.fetch(`/api/operations${path}`, body === undefined ? { method, headers: ON_CALL } : withKey(json(method, body)));

const withKey = (init: RequestInit): RequestInit => ({ ...init, headers: { ...init.headers, ...ON_CALL } });

const page = async (path: string): Promise<string> => {
  const response = await hub.fetch(path, { headers: { accept: "text/html", cookie: operator.cookie } });
  expect(response.status).toBe(200);
  return response.text();
};

async function noted() {
  const { results } = await env.DB.prepare("SELECT actor, action, subject, detail FROM audit_events").all();
  return results;
}

const DEEDS: readonly (readonly [
  what: string,
  deed: readonly [method: string, path: string, body?: unknown],
  asked: readonly [method: string, path: string, body: unknown],
  audit: readonly [action: string, subject: string, detail: string | null],
])[] = [
  [
    "resolves a settlement by hand",
    ["POST", `/settlements/${REF_ID}/resolve`, { outcome: "COMPLETED", reason: "T-1", operatorTransactionId: "op_1" }],
    ["POST", `/settlements/${REF_ID}/resolve`, { outcome: "COMPLETED", reason: "T-1", operatorTransactionId: "op_1" }],
    ["settlement.resolve", REF_ID, "COMPLETED T-1"],
  ],
  [
    "sends a settlement again",
    ["POST", `/settlements/${REF_ID}/replay`],
    ["POST", `/settlements/${REF_ID}/replay`, {}],
    ["settlement.replay", REF_ID, null],
  ],
  [
    "compares days",
    ["POST", "/reconciliation/runs", { from: "2026-01-01", to: "2026-01-02" }],
    ["POST", "/settlements/reconciliation/runs", { from: "2026-01-01", to: "2026-01-02" }],
    ["reconciliation.run", "2026-01-01/2026-01-02", null],
  ],
  [
    "lets a run go on",
    ["POST", "/reconciliation/runs/daily-2026-01-01/continue"],
    ["POST", "/settlements/reconciliation/runs/daily-2026-01-01/continue", {}],
    ["reconciliation.continue", "daily-2026-01-01", null],
  ],
  [
    "takes an item under their own name",
    ["PUT", "/reconciliation/items/7/owner", { mine: true }],
    ["PUT", "/settlements/reconciliation/items/7/owner", { owner: "operator" }],
    ["reconciliation.take", "7", null],
  ],
  [
    "leaves an item to others",
    ["PUT", "/reconciliation/items/7/owner", { mine: false }],
    ["PUT", "/settlements/reconciliation/items/7/owner", { owner: null }],
    ["reconciliation.leave", "7", null],
  ],
  [
    "accepts an item with a reason",
    ["POST", "/reconciliation/items/7/resolve", { action: "accept", reason: "T-2" }],
    ["POST", "/settlements/reconciliation/items/7/resolve", { action: "accept", reason: "T-2" }],
    ["reconciliation.accept", "7", "T-2"],
  ],
  [
    "finishes an Idempotency-Key",
    ["POST", `/idempotency-keys/${KEY_ID}/resolve`],
    ["POST", `/operations/idempotency-keys/${KEY_ID}/resolve`, {}],
    ["idempotency.resolve", KEY_ID, null],
  ],
  [
    "acknowledges an alert",
    ["POST", "/alerts/dead-letters/acknowledge"],
    ["POST", "/operations/alerts/dead-letters/acknowledge", {}],
    ["alert.acknowledge", "dead-letters", null],
  ],
  [
    "silences every alert",
    ["POST", "/alerts/silences", { minutes: 30, reason: "CHG-1" }],
    ["POST", "/operations/alerts/silences", { minutes: 30, reason: "CHG-1" }],
    ["alert.silence", "all", "CHG-1"],
  ],
  [
    "tests the channels of alerts",
    ["POST", "/alerts/test"],
    ["POST", "/operations/alerts/test", {}],
    ["alert.test", "alerts", null],
  ],
];

it("keeps who it calls when core is silent by itself, in its audit without a name, and serves it", async () => {
  const person = { name: "One", phone: "+1-555-0101", roles: ["on-call-primary"] };
  expect(await (await call("GET", "/alerts/contacts")).json()).toMatchObject({ source: "none" });
  expect((await call("PUT", "/alerts/contacts", { people: [{ ...person, roles: [] }] })).status).toBe(400);
  const response = await call("PUT", "/alerts/contacts", { people: [person] });
  expect(response.status).toBe(200);
  const shown = { source: "file", contacts: [{ role: "on-call-primary", name: "One", phone: "+1-555-0101" }] };
  expect(await response.json()).toMatchObject(shown);
  expect(await (await call("GET", "/alerts/contacts")).json()).toMatchObject(shown);
  // Core hears that it was done, and is needed for nothing.
  expect(hub.calls).toMatchObject([{ method: "POST", path: "/operations/actions" }]);
  expect(await noted()).toMatchObject([{ action: "alert.contacts", subject: "hub" }]);
  expect(JSON.stringify([await noted(), hub.calls])).not.toMatch(/555-0101|One/);
});

describe("an operator, over the hub,", () => {
  it.each(DEEDS)(
    "%s: core is asked with its operator key, and it is noted who asked",
    async (_, deed, asked, audit) => {
      hub.answer = () => Response.json({ done: true }, { status: 202 });
      const response = await call(...deed);
      expect([response.status, await response.json()]).toEqual([202, { done: true }]);
      const [made] = hub.calls;
      expect([made?.method, made?.path, JSON.parse(made?.body ?? "")]).toEqual(asked);
      expect(made?.headers.get("x-api-key")).toBe(TEST_SECRETS.core.OPERATOR_API_KEY);
      const [action, subject, detail] = audit;
      expect(await noted()).toEqual([{ actor: "operator", action, subject, detail }]);
    },
  );

  it("ends a silence, and hears that it is ended", async () => {
    hub.answer = () => new Response(null, { status: 204 });
    const response = await call("DELETE", "/alerts/silences/one-of-them");
    expect([response.status, await response.text()]).toEqual([204, ""]);
    expect(hub.calls).toMatchObject([{ method: "DELETE", path: "/operations/alerts/silences/one-of-them", body: "" }]);
    expect(await noted()).toMatchObject([{ action: "alert.endSilence" }]);
  });

  it("gets a run's report as a file, and core's refusal as it is", async () => {
    hub.answer = () => new Response("ref_id,kind\r\n", { headers: { "content-type": "text/csv; charset=utf-8" } });
    const path = "/reconciliation/runs/daily-2026-01-01/report.csv";
    const report = await call("GET", path);
    expect(report.headers.get("content-disposition")).toBe(
      'attachment; filename="reconciliation-daily-2026-01-01.csv"',
    );
    expect(await report.text()).toBe("ref_id,kind\r\n");
    hub.answer = () => Response.json({ code: "conflict" }, { status: 409 });
    const refused = await call("GET", path);
    expect([refused.status, refused.headers.get("content-disposition")]).toEqual([409, null]);
  });

  it("is not noted for what core refused, and core is not asked for what makes no sense", async () => {
    hub.answer = () => Response.json({ code: "conflict" }, { status: 409 });
    expect((await call("POST", `/settlements/${REF_ID}/replay`)).status).toBe(409);
    expect(await noted()).toEqual([]);
    hub.calls.length = 0;
    const senseless = { outcome: "COMPLETED", reason: "Mr Tremblay called" };
    expect((await call("POST", `/settlements/${REF_ID}/resolve`, senseless)).status).toBe(400);
    expect((await call("POST", "/settlements/none/replay")).status).toBe(400);
    expect((await call("POST", "/reconciliation/items/7/resolve", { action: "accept" })).status).toBe(400);
    expect((await call("POST", "/alerts/silences", { minutes: 20_000, reason: "CHG-1" })).status).toBe(400);
    expect(hub.calls).toEqual([]);
  });
});

const settlement = (over: Record<string, unknown>) => ({
  refId: REF_ID,
  claimId: "clm_1",
  subject: `0x${"1".repeat(64)}`,
  tenantId: "default",
  type: "payment",
  amountCents: 12_345,
  currency: "CAD",
  status: "PENDING",
  operatorTransactionId: null,
  reason: null,
  reverses: null,
  replays: 0,
  createdAt: "2026-01-01T00:00:00.000Z",
  updatedAt: "2026-01-01T00:00:00.000Z",
  ...over,
});

describe("the page of settlements", () => {
  it("shows first what has not ended for over five minutes, the oldest before the others", async () => {
    const asked: URLSearchParams[] = [];
    hub.answer = ({ url }) => {
      const { searchParams } = new URL(url);
      asked.push(searchParams);
      const ref = (end: string) => `stl_${"0".repeat(25)}${end}`;
      const stuck: Record<string, readonly unknown[]> = {
        PENDING: [settlement({ refId: ref("2"), createdAt: "2026-01-02T00:00:00.000Z" })],
        PROCESSING: [settlement({ refId: ref("1"), status: "PROCESSING" })],
      };
      const status = searchParams.get("status");
      const settlements = status === null ? [] : (stuck[status] ?? []);
      return Response.json({ settlements, nextCursor: null });
    };
    const text = await page("/operations/settlements");
    expect(text).toContain("2 settlements have not ended for over 5 minutes");
    expect(text.indexOf(`${"0".repeat(25)}1`)).toBeLessThan(text.indexOf(`${"0".repeat(25)}2`));
    const before = Date.parse(asked.find((query) => query.get("status") === "PENDING")?.get("to") ?? "");
    expect(Date.now() - before).toBeGreaterThanOrEqual(300_000);
    expect(Date.now() - before).toBeLessThan(360_000);
  });

  it("asks core for what its filters say, in the viewer's days", async () => {
    const asked: URLSearchParams[] = [];
    hub.answer = ({ url }) => {
      asked.push(new URL(url).searchParams);
      return Response.json({ settlements: [], nextCursor: null });
    };
    const query = "?status=FAILED&type=reversal&currency=cad&from=2026-02-01&to=2026-02-01&cursor=42";
    expect(await page(`/operations/settlements${query}`)).toContain("No settlement matches");
    const list = asked.find((params) => params.get("cursor") === "42");
    expect(Object.fromEntries(list ?? [])).toMatchObject({ status: "FAILED", type: "reversal", currency: "CAD" });
    expect(Date.parse(list?.get("to") ?? "") - Date.parse(list?.get("from") ?? "")).toBe(86_400_000);
  });

  it("offers only what can be done: no resolving of what is completed, no completing of what was not begun", async () => {
    const shown = async (status: string): Promise<string> => {
      hub.answer = () => Response.json({ ...settlement({ status }), events: [], operator: null });
      return page(`/operations/settlements/${REF_ID}`);
    };
    const completed = await shown("COMPLETED");
    expect(completed).not.toContain('data-open="resolve"');
    expect(completed).not.toContain("/replay");
    const pending = await shown("PENDING");
    expect(pending).toContain('<option value="FAILED"');
    expect(pending).not.toContain('<option value="COMPLETED"');
    const failed = await shown("FAILED");
    expect(failed).toContain("/replay");
    expect(failed).toContain('<option value="COMPLETED"');
  });
});

const PAGES = [
  "/operations/settlements",
  `/operations/settlements/${REF_ID}`,
  "/operations/reconciliation",
  "/operations/reconciliation?list=runs",
  "/operations/reconciliation/items/1",
  "/operations/idempotency",
  "/operations/alerts",
];

describe("a page for whoever is on call", () => {
  it.each(PAGES)("says that core is away, and tries again by itself: %s", async (path) => {
    hub.answer = () => Promise.reject(new Error("no connection"));
    expect(await page(path)).toContain("data-away");
  });

  it.each(PAGES)("says that the hub has no key, where it has none: %s", async (path) => {
    hub = new TestHub({ ITRANS_OPERATOR_API_KEY: "" });
    expect(await page(path)).toContain("ITRANS_OPERATOR_API_KEY");
    expect(hub.calls).toEqual([]);
  });

  it("is not there for a settlement or an item that is not", async () => {
    hub.answer = () => Response.json({ code: "not_found" }, { status: 404 });
    for (const path of [`/operations/settlements/${REF_ID}`, "/operations/reconciliation/items/1"]) {
      const response = await hub.fetch(path, { headers: { accept: "text/html", cookie: operator.cookie } });
      expect(response.status, path).toBe(404);
    }
  });

  it("lets a key that was left processing be finished", async () => {
    const key = {
      keyId: KEY_ID,
      scope: "settlements",
      tenantId: "default",
      state: "PROCESSING",
      effectId: REF_ID,
      status: null,
      correlationId: "c-1",
      resolvedBy: null,
      busyUntil: "2026-01-01T00:00:00.000Z",
      createdAt: "2026-01-01T00:00:00.000Z",
    };
    hub.answer = () => Response.json({ count: 1, keys: [key] });
    const text = await page("/operations/idempotency");
    expect(text).toContain(`data-call="POST /api/operations/idempotency-keys/${KEY_ID}/resolve"`);
    expect(text).toContain("nobody any more");
  });

  it("shows open alerts, the time that is left, the runbook, and puts them first on the overview", async () => {
    const alert = {
      name: "relay-down",
      title: "The relay is down",
      says: "No callback leaves.",
      severity: "S1",
      phase: "open",
      openedAt: new Date(Date.now() - 60_000).toISOString(),
      value: null,
      acknowledgedAt: null,
      acknowledgedBy: null,
      silencedUntil: null,
    };
    const none = { silences: [], incidents: [], notifications: [] };
    hub.answer = () =>
      Response.json({
        evaluatedAt: new Date().toISOString(),
        fault: null,
        runbookUrl: "https://docs.example.ca/runbook",
        alerts: [alert],
        ...none,
      });
    const text = await page("/operations/alerts");
    expect(text).toMatch(/Acknowledge within (4|3\.9)\s*min/);
    expect(text).toContain('href="https://docs.example.ca/runbook#relay-down"');
    expect(text).toContain('href="/operations/deliveries"');
    const overview = await page("/operations");
    const main = overview.slice(overview.indexOf("ops-overview"));
    expect(main.indexOf("The relay is down")).toBeGreaterThan(0);
    expect(main.indexOf("The relay is down")).toBeLessThan(main.indexOf("As of"));
  });
});
