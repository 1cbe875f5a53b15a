import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { expect, test } from "vitest";
import type { AnalyticsPoint } from "../../../src/operations/analytics.ts";
import type { MetricRow } from "../../../src/operations/metrics-buffer.ts";
import type { Log } from "../../../src/platform/log.ts";
import type { SecretSighting } from "../../../src/platform/secret-fingerprint.ts";
import { relaySettingsSchema } from "../../../src/platform/settings.ts";
import { startDeliveries } from "../../../src/relay/deliveries.edge.ts";
import type { RelayEnv } from "../../../src/relay/env.ts";
import { KnownReceivers } from "../../../src/relay/known-receivers.ts";
import type { DeliveryOutcome, Lease, LeasedPing, PostResult, RelayHint } from "../../../src/relay/port.ts";
import { consumeDeadHints, consumeHints, type PingHint } from "../../../src/relay/relay.consumer.ts";
import worker, { consumeBatch } from "../../../src/relay/worker.ts";
import { TEST_SECRETS } from "../../secrets.ts";

const NOTHING: Lease = { deliveries: [], more: false, rateLimitedUntilMs: undefined };

/** Core with these leases to give, one after another. */
function coreWith(leases: Lease[], pings: LeasedPing[] = []) {
  const pinged: { destinationId: string; pingId: string; result: PostResult }[] = [];
  const recorded: DeliveryOutcome[] = [];
  const sighted: SecretSighting[] = [];
  const measured: { flushId: string; rows: readonly MetricRow[] }[] = [];
  const env: RelayEnv = {
    ...TEST_SECRETS.relay,
    CORE: {
      lease: async () => leases.shift() ?? NOTHING,
      begin: async () => true,
      record: async (outcomes) => {
        recorded.push(...outcomes);
        return { recorded: outcomes.length, due: 0 };
      },
      wake: async () => {},
      leasePing: async () => pings.shift(),
      recordPing: async (destinationId, pingId, result) => {
        pinged.push({ destinationId, pingId, result });
      },
      measure: async (flushId, rows) => {
        measured.push({ flushId, rows });
      },
      metrics: async () => "# relay\n",
      recordSecrets: async (sightings) => {
        sighted.push(...sightings);
      },
    },
  };
  return { env, recorded, pinged, measured, sighted };
}

const batchOf = (queue: string, count: number) =>
  createMessageBatch<RelayHint>(
    queue,
    Array.from({ length: count }, (_, i) => ({
      id: `m${i}`,
      timestamp: new Date(0),
      attempts: 1,
      body: { outboxIds: [] },
    })),
  );

const settings = relaySettingsSchema.parse({ ENVIRONMENT: "development" });
const silent = () => {};

/** The entry point as the platform would call it, until everything has ended. */
const deliveriesOf = (env: RelayEnv, log: Log = silent) => ({
  async deliver(pings: readonly PingHint[]) {
    const { free, ended } = await startDeliveries(pings, env, settings, log, new KnownReceivers());
    await Promise.all([free, ended]);
  },
});

const get = (path: string, init: RequestInit<IncomingRequestCfProperties> = {}, env = coreWith([]).env) =>
  worker.fetch(
    new Request<unknown, IncomingRequestCfProperties>(`http://relay${path}`, init),
    env,
    createExecutionContext(),
  );

test("GET /health says ok, or names the secrets that are missing", async () => {
  const healthy = await get("/health");
  expect(healthy.status).toBe(200);
  expect(await healthy.json()).toMatchObject({ status: "ok", faults: [] });
  const sick = await get("/health", {}, { ...coreWith([]).env, RELAY_WEBHOOK_SIGNING_SECRET: "" });
  expect(sick.status).toBe(503);
  expect(await sick.json()).toMatchObject({ faults: ["RELAY_WEBHOOK_SIGNING_SECRET is not set"] });
});

test("outside development the relay is deployed with posts kept off private addresses", async () => {
  expect(Cloudflare.compatibilityFlags.global_fetch_strictly_public).toBe(true);
  const production = { ...coreWith([]).env, ENVIRONMENT: "production" };
  expect(await (await get("/health", {}, production)).json()).toMatchObject({ faults: [] });
});

test("GET /version tells version, commit and build time; anything else is a problem document", async () => {
  expect(await (await get("/version")).json()).toEqual({
    version: expect.any(String),
    commit: expect.any(String),
    builtAt: expect.any(String),
  });
  expect((await get("/elsewhere")).status).toBe(404);
  expect((await get("/health", { method: "POST" })).status).toBe(405);
  expect((await get("/elsewhere")).headers.get("content-type")).toBe("application/problem+json");
});

test("a hint makes the relay post what is leased and record what became of it", async () => {
  const { env, recorded } = coreWith([
    {
      ...NOTHING,
      deliveries: [
        {
          outboxId: 7,
          leaseToken: 3,
          startBeforeMs: Date.now() + 15_000,
          eventId: "e",
          eventType: "REQUEST_SUBMITTED",
          body: "{}",
          correlationId: "c",
          attempts: 0,
          destination: {
            destinationId: "d",
            kind: "MEDLINK",
            url: "http://127.0.0.1:9/hook",
            timeoutMs: 1_000,
            sealedSecret: undefined,
          },
        },
      ],
    },
  ]);
  const batch = batchOf("relay", 2);
  await consumeHints(batch, deliveriesOf(env));
  expect(recorded).toMatchObject([
    { outboxId: 7, leaseToken: 3, type: "posted", result: { type: "connection-failed" } },
  ]);
  const result = await getQueueResult(batch, createExecutionContext());
  expect(result.ackAll).toBe(true);
});

test("a sealed secret that does not open is a failed attempt, not a lost delivery", async () => {
  const sealedSecret = { keyId: "00000000", sealed: "AAAA" };
  const { env, recorded } = coreWith([
    {
      ...NOTHING,
      deliveries: [
        {
          outboxId: 8,
          leaseToken: 1,
          startBeforeMs: Date.now() + 15_000,
          eventId: "e",
          eventType: "REQUEST_SUBMITTED",
          body: "{}",
          correlationId: "c",
          attempts: 0,
          destination: {
            destinationId: "d",
            kind: "INSURER",
            url: "http://127.0.0.1:9/",
            timeoutMs: 1_000,
            sealedSecret,
          },
        },
      ],
    },
  ]);
  const lines: string[] = [];
  await consumeHints(
    batchOf("relay", 1),
    deliveriesOf(env, (_, event) => lines.push(event)),
  );
  expect(recorded).toMatchObject([{ outboxId: 8, result: { type: "connection-failed" } }]);
  expect(lines).toContain("relay.not_signed");
});

test("a ping that was asked for is made beside the deliveries, and one that nobody waits for any more is not", async () => {
  const destination = {
    destinationId: "d",
    kind: "MEDLINK",
    url: "http://127.0.0.1:9/hook",
    timeoutMs: 1_000,
    sealedSecret: undefined,
  } as const;
  const { env, pinged } = coreWith([], [{ destination, asEvent: false }]);
  const messages = ["p1", "p2"].map((pingId) => ({
    id: pingId,
    timestamp: new Date(0),
    attempts: 1,
    body: { outboxIds: [], ping: { destinationId: "d", pingId } },
  }));
  await consumeHints(createMessageBatch<RelayHint>("relay", messages), deliveriesOf(env));
  expect(pinged).toMatchObject([{ destinationId: "d", pingId: "p1", result: { type: "connection-failed" } }]);
});

test("the queue's handler is answered while a post hangs, and the post is recorded when it has ended", async () => {
  const { env, recorded } = coreWith([
    {
      ...NOTHING,
      deliveries: [
        {
          outboxId: 9,
          leaseToken: 1,
          startBeforeMs: Date.now() + 15_000,
          eventId: "e",
          eventType: "REQUEST_SUBMITTED",
          body: "{}",
          correlationId: "c",
          attempts: 0,
          destination: {
            destinationId: "hangs",
            kind: "INSURER",
            url: "https://hooks.insurer.ca/hook",
            timeoutMs: 2_000,
            sealedSecret: undefined,
          },
        },
      ],
    },
  ]);
  const realFetch = globalThis.fetch;
  globalThis.fetch = (_, init) =>
    new Promise((_resolve, reject) => {
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
    });
  try {
    const startedAt = Date.now();
    const { free, ended } = await startDeliveries([], env, settings, silent, new KnownReceivers());
    await free;
    expect(Date.now() - startedAt).toBeLessThan(1_500);
    expect(recorded).toEqual([]);
    await ended;
    expect(recorded).toMatchObject([{ outboxId: 9, type: "posted", result: { type: "timeout" } }]);
  } finally {
    globalThis.fetch = realFetch;
  }
});

test("core out of reach fails the batch, so that the queue tries it again", async () => {
  const { env } = coreWith([]);
  const away = { ...env, CORE: { ...env.CORE, lease: () => Promise.reject(new Error("core is away")) } };
  await expect(consumeHints(batchOf("relay", 1), deliveriesOf(away))).rejects.toThrow("core is away");
});

test("hints that were given up are logged and let go", async () => {
  const lines: unknown[] = [];
  const batch = batchOf("relay-dead-letters", 3);
  consumeDeadHints(batch, (level, event, fields) => lines.push([level, event, fields]));
  expect(lines).toEqual([["warn", "relay.hints_given_up", { queue: "relay-dead-letters", count: 3 }]]);
  expect((await getQueueResult(batch, createExecutionContext())).ackAll).toBe(true);
});

test("/metrics is for the scrape token; it hands on what this isolate measured, and core has the text", async () => {
  const { env, measured } = coreWith([]);
  const points: AnalyticsPoint[] = [];
  const ANALYTICS = { writeDataPoint: (point: AnalyticsPoint) => points.push(point) };
  const on = { ...env, METRICS: "on", ENVIRONMENT: "development", ANALYTICS };
  const scrape = (headers: Record<string, string>) => get("/metrics", { headers }, on);
  expect((await scrape({})).status).toBe(401);
  expect((await scrape({ authorization: "Bearer wrong" })).status).toBe(401);
  await consumeBatch(batchOf("relay", 3), on, deliveriesOf(on), silent);
  const response = await scrape({ authorization: `Bearer ${TEST_SECRETS.relay.METRICS_SCRAPE_TOKEN}` });
  expect(await response.text()).toBe("# relay\n");
  const rows = measured.flatMap((batch) => batch.rows);
  const totalOf = (name: string, ...labels: string[]) =>
    rows
      .filter((row) => row.name === name && labels.every((label) => row.labels.includes(label)))
      .reduce((sum, { value }) => sum + value, 0);
  expect(totalOf("itrans_relay_hints_total", "relay")).toBe(3);
  expect(totalOf("itrans_relay_invocations_total", "relay", "ok")).toBe(1);
  expect(totalOf("itrans_relay_http_requests_total", "/metrics", "401")).toBe(2);
  // What core took is in the dataset too, where one is bound.
  expect(points.map(({ indexes }) => indexes[0])).toEqual(rows.map(({ name }) => name));
  expect(points.every(({ blobs }) => blobs[0] === "itrans-relay")).toBe(true);
});

test("/metrics says that core does not answer, and keeps what was measured", async () => {
  const { env } = coreWith([]);
  const gone = async () => {
    throw new Error("no core");
  };
  const away = { ...env, METRICS: "on", CORE: { ...env.CORE, measure: gone, metrics: gone } };
  const headers = { authorization: `Bearer ${TEST_SECRETS.relay.METRICS_SCRAPE_TOKEN}` };
  expect((await get("/metrics", { headers }, away)).status).toBe(503);
});

test("tells core by fingerprints, once, which secrets it holds", async () => {
  const { env, sighted } = coreWith([]);
  const on = { ...env, ENVIRONMENT: "development" } as RelayEnv;
  for (let i = 0; i < 2; i++) await consumeBatch(batchOf("relay", 1), on, deliveriesOf(on), silent);
  const names = sighted.map(({ name }) => name).sort();
  expect([...new Set(names)]).toEqual([
    "DESTINATION_WRAPPING_KEY",
    "METRICS_SCRAPE_TOKEN",
    "RELAY_WEBHOOK_SIGNING_SECRET",
  ]);
  for (const value of Object.values(TEST_SECRETS.relay)) expect(JSON.stringify(sighted)).not.toContain(value);
});

test("does not deliver with a weak secret outside development, and says which it is and not what", async () => {
  const { env } = coreWith([]);
  const weak = { ...env, ENVIRONMENT: "staging", RELAY_WEBHOOK_SIGNING_SECRET: "short-value" } as RelayEnv;
  const failing = consumeBatch(batchOf("relay", 1), weak, deliveriesOf(weak), silent);
  await expect(failing).rejects.toThrow("RELAY_WEBHOOK_SIGNING_SECRET is shorter");
  await expect(failing).rejects.not.toThrow("short-value");
});
