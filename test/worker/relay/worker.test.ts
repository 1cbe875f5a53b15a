import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { expect, test } from "vitest";
import { relaySettingsSchema } from "../../../src/platform/settings.ts";
import type { RelayEnv } from "../../../src/relay/env.ts";
import type { DeliveryOutcome, Lease, LeasedPing, PostResult, RelayHint } from "../../../src/relay/port.ts";
import { consumeDeadHints, consumeHints } from "../../../src/relay/relay.consumer.ts";
import worker from "../../../src/relay/worker.ts";
import { TEST_SECRETS } from "../../secrets.ts";

const NOTHING: Lease = { deliveries: [], more: false, rateLimitedUntilMs: undefined };

/** Core with these leases to give, one after another. */
function coreWith(leases: Lease[], pings: LeasedPing[] = []) {
  const pinged: { destinationId: string; pingId: string; result: PostResult }[] = [];
  const recorded: DeliveryOutcome[] = [];
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
    },
  };
  return { env, recorded, pinged };
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

const get = (path: string, init: RequestInit<IncomingRequestCfProperties> = {}, env = coreWith([]).env) =>
  worker.fetch(new Request<unknown, IncomingRequestCfProperties>(`http://relay${path}`, init), env);

test("GET /health says ok, or names the secrets that are missing", async () => {
  const healthy = get("/health");
  expect(healthy.status).toBe(200);
  expect(await healthy.json()).toMatchObject({ status: "ok", faults: [] });
  const sick = get("/health", {}, { ...coreWith([]).env, RELAY_WEBHOOK_SIGNING_SECRET: "" });
  expect(sick.status).toBe(503);
  expect(await sick.json()).toMatchObject({ faults: ["RELAY_WEBHOOK_SIGNING_SECRET is not set"] });
});

test("outside development the relay is deployed with posts kept off private addresses", async () => {
  expect(Cloudflare.compatibilityFlags.global_fetch_strictly_public).toBe(true);
  const production = { ...coreWith([]).env, ENVIRONMENT: "production" };
  expect(await get("/health", {}, production).json()).toMatchObject({ faults: [] });
});

test("GET /version tells version, commit and build time; anything else is a problem document", async () => {
  expect(await get("/version").json()).toEqual({
    version: expect.any(String),
    commit: expect.any(String),
    builtAt: expect.any(String),
  });
  expect(get("/elsewhere").status).toBe(404);
  expect(get("/health", { method: "POST" }).status).toBe(405);
  expect(get("/elsewhere").headers.get("content-type")).toBe("application/problem+json");
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
  await consumeHints(batch, env, settings, silent);
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
  await consumeHints(batchOf("relay", 1), env, settings, (_, event) => lines.push(event));
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
  await consumeHints(createMessageBatch<RelayHint>("relay", messages), env, settings, silent);
  expect(pinged).toMatchObject([{ destinationId: "d", pingId: "p1", result: { type: "connection-failed" } }]);
});

test("core out of reach fails the batch, so that the queue tries it again", async () => {
  const { env } = coreWith([]);
  const away = { ...env, CORE: { ...env.CORE, lease: () => Promise.reject(new Error("core is away")) } };
  await expect(consumeHints(batchOf("relay", 1), away, settings, silent)).rejects.toThrow("core is away");
});

test("hints that were given up are logged and let go", async () => {
  const lines: unknown[] = [];
  const batch = batchOf("relay-dead-letters", 3);
  consumeDeadHints(batch, (level, event, fields) => lines.push([level, event, fields]));
  expect(lines).toEqual([["warn", "relay.hints_given_up", { queue: "relay-dead-letters", count: 3 }]]);
  expect((await getQueueResult(batch, createExecutionContext())).ackAll).toBe(true);
});
