import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { recordHubMetrics } from "../../../src/medlink/operations/record-metrics.cron.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { readExposition, type Sample } from "../../support/prometheus.ts";
import { ADMIN, CLAIM, hashFor, json, migrate, postEvent, TestHub } from "./harness.ts";

const ON = { METRICS: "on", METRICS_FLUSH_MS: "0" };
const OPERATOR = { headers: { "x-api-key": TEST_SECRETS.hub.HUB_OPERATOR_API_KEY } };
const SCRAPE = { headers: { authorization: `Bearer ${TEST_SECRETS.hub.METRICS_SCRAPE_TOKEN}` } };

let hub: TestHub;

beforeAll(async () => {
  await migrate();
  hub = new TestHub(ON);
  await hub.seed();
});

beforeEach(() => {
  hub = new TestHub(ON);
});

async function samples(): Promise<readonly Sample[]> {
  const response = await hub.fetch("/metrics", SCRAPE);
  expect(response.status).toBe(200);
  return readExposition(await response.text()).flatMap((family) => family.samples);
}

const sumOf = (all: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number =>
  all
    .filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0);

describe("/metrics of the hub", () => {
  test("is for the scrape token alone", async () => {
    expect((await hub.fetch("/metrics")).status).toBe(401);
    expect((await hub.fetch("/metrics", OPERATOR)).status).toBe(401);
    expect((await new TestHub({ ...ON, METRICS_SCRAPE_TOKEN: "" }).fetch("/metrics", SCRAPE)).status).toBe(401);
    expect((await hub.fetch("/metrics", SCRAPE)).headers.get("content-type")).toContain("version=0.0.4");
  });

  test("counts requests by route template, refused sign-ins, and calls into core by what came of them", async () => {
    const before = await samples();
    hub.answer = () => new Response("{}", { status: 503 });
    await hub.fetch("/api/health");
    const session = await hub.signIn();
    await session.call("GET", "/api/claims/PLANTED-4711");
    await hub.fetch("/api/auth/login", json("POST", { email: ADMIN.email, password: "wrong horse battery" }));
    const after = await samples();
    const gained = (name: string, labels: Readonly<Record<string, string>>): number =>
      sumOf(after, name, labels) - sumOf(before, name, labels);
    const requests = "medlink_http_requests_total";
    expect(gained(requests, { method: "GET", route: "/api/claims/{claimId}", status: "404" })).toBe(1);
    expect(gained(requests, { route: "/api/auth/login", status: "401" })).toBe(1);
    expect(gained("medlink_http_request_duration_seconds_count", { route: "/api/auth/login" })).toBe(2);
    expect(gained("medlink_logins_refused_total", { reason: "credentials" })).toBe(1);
    expect(gained("medlink_core_requests_total", { surface: "open", outcome: "5xx" })).toBe(1);
    expect(JSON.stringify(after)).not.toContain("PLANTED");
  });

  test("has each event of a claim once, its way to core and to its first callback, and what the tables tell of sign-ins", async () => {
    hub = new TestHub({ ...ON, ITRANS_AUTO_SUBMIT_ENABLED: "true" });
    const session = await hub.signIn();
    const before = await samples();
    hub.answer = () => Response.json({ requestId: "r", requestIdHash: hashFor(77_001) }, { status: 201 });
    const { status } = await session.read("POST", "/api/claims", CLAIM);
    expect(status).toBe(201);
    await hub.runQueue();
    const event = { eventId: "counted-once", eventType: "REQUEST_SUBMITTED" };
    for (let sent = 0; sent < 2; sent++) expect((await postEvent(hub, hashFor(77_001), event)).status).toBe(200);
    await postEvent(hub, hashFor(77_001), { eventType: "REQUEST_ACKNOWLEDGED" });
    const at = Date.now();
    const running = await hub.hub();
    await recordHubMetrics({ ...running, now: () => at }, hub.env, 1_500);
    await recordHubMetrics({ ...running, now: () => at + 60_000 }, hub.env, 0);
    const after = await samples();
    const gained = (name: string, labels: Readonly<Record<string, string>> = {}): number =>
      sumOf(after, name, labels) - sumOf(before, name, labels);
    for (const kind of ["created", "queued", "submissionAccepted", "REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED"]) {
      expect(gained("medlink_claim_events_total", { kind }), kind).toBe(1);
    }
    expect(gained("medlink_claim_submission_seconds_count")).toBe(1);
    expect(gained("medlink_claim_callback_seconds_count")).toBe(1);
    expect(sumOf(after, "medlink_logins_total")).toBeGreaterThanOrEqual(1);
    const { results } = await env.DB.prepare(
      "SELECT value FROM metric_minutes WHERE name = 'medlink_cron_lateness_seconds' ORDER BY minute",
    ).all<{ value: number }>();
    expect(results.map(({ value }) => value)).toEqual([1.5, 0]);
  });
});

describe("a series asked of the hub", () => {
  test("is for the operator: nobody else, not even a clinic's admin", async () => {
    const path = "/api/operations/series?name=medlink_logins_total";
    expect((await hub.fetch(path)).status).toBe(401);
    expect((await (await hub.signIn()).call("GET", path)).status).toBe(403);
    const response = await hub.fetch(path, OPERATOR);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ name: "medlink_logins_total", type: "counter", step: 60 });
    expect((await hub.fetch(`${path}&step=1`, OPERATOR)).status).toBe(400);
    expect((await hub.fetch("/api/operations/series?name=nothing", OPERATOR)).status).toBe(404);
  });

  test("is asked of core, with core's operator key, when it is core's or the relay's", async () => {
    const asked: string[] = [];
    hub.answer = (request) => {
      asked.push(`${new URL(request.url).search} ${request.headers.get("x-api-key")}`);
      return Response.json({ name: "x", points: [] });
    };
    for (const name of ["itrans_core_ledger_size_entries", "itrans_relay_post_duration_seconds_count"]) {
      const response = await hub.fetch(`/api/operations/series?name=${name}&step=300`, OPERATOR);
      expect(await response.json()).toEqual({ name: "x", points: [] });
    }
    const key = TEST_SECRETS.core.OPERATOR_API_KEY;
    expect(asked).toEqual([
      `?name=itrans_core_ledger_size_entries&step=300 ${key}`,
      `?name=itrans_relay_post_duration_seconds_count&step=300 ${key}`,
    ]);
    const keyless = new TestHub({ ...ON, ITRANS_OPERATOR_API_KEY: "" });
    const response = await keyless.fetch("/api/operations/series?name=itrans_core_ledger_size_entries", OPERATOR);
    expect(response.status).toBe(503);
    expect(keyless.calls).toEqual([]);
  });
});

describe("the overview", () => {
  const counts = { pending: 3, retrying: 1, waiting: 2, deadLetterCount: 1, oldestPendingAgeMs: 4_000 };
  const destination = { destinationId: "clinic", kind: "MEDLINK", state: "active", ...counts };
  const relay = { status: "backlog", paused: false, deliveredCount: 9, ...counts, destinations: [destination] };
  const answers: Readonly<Record<string, unknown>> = {
    "/health": {
      status: "ok",
      uptime: 12,
      database: { ok: true, latencyMs: 3 },
      ledger: { size: 40, lastVerifiedAt: "2026-01-01T00:00:00.000Z" },
      chain: { state: "idle", reason: null, anchoredSize: 38 },
    },
    "/version": { version: "1.2.3", commit: "abc" },
    "/relay/workflow/status": relay,
    "/ledger/anchors": {
      anchors: [
        { size: 40, state: "submitted", txHash: "0x2", blockNumber: null, confirmedAt: null },
        { size: 38, state: "confirmed", txHash: "0x1", blockNumber: 7, confirmedAt: "2026-01-01T00:00:00.000Z" },
      ],
    },
  };
  const overview = async () => {
    const response = await hub.fetch("/api/operations/overview", OPERATOR);
    expect(response.status).toBe(200);
    return response.json();
  };

  test("says in one call how the three workers, ledger, queues, relay, anchor and auto-submit are", async () => {
    hub.answer = ({ url }) => Response.json(answers[new URL(url).pathname]);
    expect(await overview()).toMatchObject({
      // The dead letter waits for a person.
      status: "degraded",
      hub: { status: "ok", database: { ok: true } },
      core: { status: "ok", version: "1.2.3", database: { ok: true } },
      relay: { status: "delivering", destinations: [{ destinationId: "clinic", pending: 3, deadLetters: 1 }] },
      ledger: { size: 40, lastVerifiedAt: "2026-01-01T00:00:00.000Z" },
      anchor: { state: "idle", anchoredSize: 38, last: { size: 38, txHash: "0x1", blockNumber: 7 } },
      queues: {
        autoSubmit: { depth: expect.any(Number), failed: 0 },
        outbox: { pending: 3, deadLetters: 1, delivered: 9, oldestPendingAgeSec: 4 },
      },
      autoSubmit: { enabled: false, heldByOperator: false, core: "closed" },
    });
  });

  test("is well when no delivery was given up", async () => {
    hub.answer = ({ url }) => {
      const { pathname } = new URL(url);
      return Response.json(
        pathname === "/relay/workflow/status" ? { ...relay, deadLetterCount: 0 } : answers[pathname],
      );
    };
    expect(await overview()).toMatchObject({ status: "ok" });
  });

  test("shows what is not known as such, and answers all the same", async () => {
    hub.answer = () => Promise.reject(new Error("no connection"));
    expect(await overview()).toMatchObject({
      status: "degraded",
      core: { status: "unreachable", version: null },
      relay: { status: "unknown", destinations: [] },
      anchor: { state: "unknown", last: null },
      queues: { outbox: null },
    });
  });

  test("calls the relay stalled when what nobody has tried waits for minutes, and not when it waits for an anchor", async () => {
    const withCounts = (over: Partial<typeof counts>) => {
      const moved = { ...counts, oldestPendingAgeMs: 600_000, ...over };
      return { ...relay, ...moved, destinations: [{ ...destination, ...moved }] };
    };
    const stateWith = async (status: unknown) => {
      hub.answer = ({ url }) => {
        const { pathname } = new URL(url);
        return Response.json(pathname === "/relay/workflow/status" ? status : answers[pathname]);
      };
      return overview();
    };
    expect(await stateWith(withCounts({ retrying: 0, waiting: 2 }))).toMatchObject({
      status: "degraded",
      relay: { status: "stalled" },
    });
    expect(await stateWith(withCounts({ retrying: 1, waiting: 2 }))).toMatchObject({ relay: { status: "delivering" } });
  });

  test("is for the operator", async () => {
    expect((await hub.fetch("/api/operations/overview")).status).toBe(401);
    expect((await (await hub.signIn()).call("GET", "/api/operations/overview")).status).toBe(403);
  });
});

describe("the relay, worked from the hub", () => {
  const base = "/api/operations/relay";
  const audited = async (): Promise<readonly string[]> => {
    const { results } = await env.DB.prepare(
      "SELECT action, subject, detail, actor FROM audit_events WHERE action LIKE 'relay.%' ORDER BY audit_event_id",
    ).all<Record<string, string | null>>();
    await env.DB.exec("DELETE FROM audit_events WHERE action LIKE 'relay.%'");
    return results.map(({ action, subject, detail, actor }) => [action, subject, detail, actor].join(" "));
  };

  test("passes each order on to core with core's operator key, and notes who gave it", async () => {
    const asked: string[] = [];
    hub.answer = async (request) => {
      expect(request.headers.get("x-api-key")).toBe(TEST_SECRETS.core.OPERATOR_API_KEY);
      asked.push(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`);
      return Response.json({ done: true });
    };
    const session = await hub.signInAs("usr_demo_operator");
    const orders: readonly (readonly [string, object | undefined])[] = [
      [`${base}/pause`, undefined],
      [`${base}/destinations/medlink/resume`, undefined],
      [`${base}/dead-letters/7/replay`, undefined],
      [`${base}/dead-letters/replay`, { destinationId: "medlink", limit: 5 }],
      [`${base}/dead-letters/7/discard`, { reason: "TICKET-1" }],
    ];
    for (const [path, body] of orders) expect((await session.call("POST", path, body)).status, path).toBe(200);
    expect(asked).toEqual([
      "POST /relay/pause {}",
      "POST /relay/destinations/medlink/resume {}",
      "POST /relay/workflow/dead-letters/7/replay {}",
      'POST /relay/workflow/dead-letters/replay {"destinationId":"medlink","limit":5,"perMinute":120}',
      'POST /relay/workflow/dead-letters/7/discard {"reason":"TICKET-1","rest":"discard"}',
    ]);
    expect(await audited()).toEqual([
      "relay.pause relay  usr_demo_operator",
      "relay.resume medlink  usr_demo_operator",
      "relay.replay 7  usr_demo_operator",
      "relay.replayMany medlink  usr_demo_operator",
      "relay.discard 7 TICKET-1 usr_demo_operator",
    ]);
  });

  test("refuses what core would not take without asking it, and notes nothing that core refused", async () => {
    let calls = 0;
    hub.answer = () => {
      calls++;
      return Response.json({ code: "conflict" }, { status: 409 });
    };
    const post = async (path: string, body: object) =>
      (
        await hub.fetch(path, {
          ...json("POST", body),
          headers: { ...json("POST", body).headers, ...OPERATOR.headers },
        })
      ).status;
    expect(await post(`${base}/dead-letters/replay`, {})).toBe(400);
    expect(await post(`${base}/dead-letters/7/discard`, { reason: "because of J. Smith" })).toBe(400);
    expect(await post(`${base}/dead-letters/x/replay`, {})).toBe(400);
    expect(calls).toBe(0);
    expect(await post(`${base}/dead-letters/7/replay`, {})).toBe(409);
    expect(await audited()).toEqual([]);
  });
});

describe("an operator's page", () => {
  const page = async (path: string, user = "usr_demo_operator"): Promise<string> => {
    const session = await hub.signInAs(user);
    const response = await hub.fetch(path, { headers: { accept: "text/html", cookie: session.cookie } });
    expect(response.status).toBe(200);
    return response.text();
  };

  test("lists deliveries by state and destination, as core lists them, a page at a time", async () => {
    const asked: string[] = [];
    hub.answer = (request) => {
      const { pathname, search } = new URL(request.url);
      if (pathname !== "/relay/workflow/deliveries") return new Response("{}", { status: 503 });
      asked.push(search);
      return Response.json({
        deliveries: [
          {
            outboxId: 41,
            eventId: "main:9:MEDLINK",
            eventType: "REQUEST_SUBMITTED",
            requestIdHash: `0x${"1".repeat(64)}`,
            destinationId: "medlink",
            correlationId: "c",
            state: "delivered",
            attempts: 2,
            lastStatus: 204,
            lastError: null,
            createdAt: 1_800_000_000_000,
            deliveredAt: 1_800_000_003_000,
            dueAt: null,
          },
        ],
        next: "1800000000000.41",
      });
    };
    const shown = await page("/operations/deliveries?list=all&status=delivered&destinationId=medlink");
    expect(asked).toEqual(["?limit=50&status=delivered&destination=medlink"]);
    expect(shown).toContain('href="/operations/deliveries/41"');
    expect(shown).toContain("204");
    expect(shown).toContain("list=all&amp;destinationId=medlink&amp;status=delivered&amp;cursor=1800000000000.41");
    await page("/operations/deliveries?list=all&cursor=1800000000000.41");
    expect(asked[1]).toBe("?limit=50&status=delivered&cursor=1800000000000.41");
  });

  test("says so where core does not list deliveries, or does not tell the ages of its secrets", async () => {
    hub.answer = () => Response.json({ code: "not_found" }, { status: 404 });
    expect(await page("/operations/deliveries?list=all")).toContain("iTrans does not list deliveries yet");
    expect(await page("/admin/secrets")).toContain("iTrans does not tell the ages of its secrets yet");
  });

  test("shows an operator the ages of core's and the relay's secrets beside the hub's, and an administrator the hub's", async () => {
    const dayMs = 86_400_000;
    const secret = (name: string, worker: string, setAt: number | null) => ({
      name,
      worker,
      setAt: setAt === null ? null : new Date(setAt).toISOString(),
      ageDays: setAt === null ? null : 100,
    });
    hub.answer = ({ url }) =>
      new URL(url).pathname === "/operations/secrets"
        ? Response.json({
            secrets: [
              secret("PAYLOAD_MASTER_KEY", "itrans-core", Date.now() - 100.5 * dayMs),
              secret("RELAY_WEBHOOK_SIGNING_SECRET", "itrans-relay", null),
            ],
          })
        : new Response("{}", { status: 503 });
    const shown = await page("/admin/secrets");
    expect(shown).toMatch(/PAYLOAD_MASTER_KEY.*itrans-core.*100 days.*Rotate now/s);
    expect(shown).toMatch(/RELAY_WEBHOOK_SIGNING_SECRET.*itrans-relay/s);
    expect(shown).toContain("SESSION_SECRET");
    expect(hub.calls.map(({ path }) => path)).toContain("/operations/secrets");
    hub.calls.length = 0;
    expect(await page("/admin/secrets", "usr_demo_admin")).not.toContain("PAYLOAD_MASTER_KEY");
    expect(hub.calls).toEqual([]);
  });
});

test("operators see how old the hub's secrets are and which overlap, and no value", async () => {
  const { recordSightings } = await import("../../../src/medlink/secrets/secret-ages.store.ts");
  const { sightingsOf } = await import("../../../src/medlink/secrets/secret-ages.ts");
  await recordSightings(hub.env.DB, sightingsOf({ ...hub.env }), Date.now() - 3 * 86_400_000);
  const rotating = new TestHub({ ...ON, SESSION_SECRET_PREVIOUS: "session-secret-before-rotation-Kq81Zx" });
  const response = await rotating.fetch("/api/operations/secrets", OPERATOR);
  expect(response.status).toBe(200);
  const text = await response.text();
  const shown = JSON.parse(text);
  expect(shown.overlaps).toEqual([{ name: "SESSION_SECRET" }]);
  const names = shown.secrets.map(({ name }: { name: string }) => name);
  for (const name of ["SESSION_SECRET", "ENCRYPTION_KEY", "HASH_KEY", "ITRANS_WORKFLOW_API_KEY"])
    expect(names).toContain(name);
  expect(shown.secrets.every(({ ageDays }: { ageDays: number }) => ageDays === 3)).toBe(true);
  for (const value of Object.values(TEST_SECRETS.hub)) expect(text).not.toContain(value);
});
