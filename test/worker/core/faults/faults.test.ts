/**
 * The fault table: each step of commit and deliver fails once, or until the caller gives up for now, before or after it took effect.
 * Whatever it was, in the end everything acknowledged is there, each event had one effect, in order, and all is settled.
 */
import { createExecutionContext, runInDurableObject, waitOnExecutionContext } from "cloudflare:test";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { LedgerSequencer } from "../../../../durable-objects/ledger-sequencer.ts";
import type { CoreEnv } from "../../../../src/core/env.ts";
import { relaySettingsSchema } from "../../../../src/platform/settings.ts";
import { startDeliveries } from "../../../../src/relay/deliveries.edge.ts";
import { KnownReceivers } from "../../../../src/relay/known-receivers.ts";
import { RelayPort } from "../../../../src/relay/port.edge.ts";
import type { MetricsPortApi, PingPortApi, RelayPortApi, SecretsPortApi } from "../../../../src/relay/port.ts";
import { sweepRelay } from "../../../../src/relay/sweep.cron.ts";
import type { Command } from "../../../../src/workflow/commit-plan.ts";
import { TEST_SECRETS } from "../../../secrets.ts";
import { call, callWith, EMPTY, migrate, payloadOf, signed, testEnv } from "../support.ts";
import { Fault, faulty, faultyDatabase, type When } from "./faulty.ts";

const RECEIVER = "http://127.0.0.1:9/hook";
const SETTINGS = { RELAY_MEDLINK_WEBHOOK_URL: RECEIVER, RELAY_MEDLINK_REQUESTS_PER_MINUTE: "1000000" };
const LIFE = ["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED", "REQUEST_ADJUDICATED"];
const WHENS: readonly When[] = ["failed", "failed, but persisted"];
const NO_FAULT = new Fault("none", "failed", 0);

/** Over 16 kB the ciphertext goes to the bucket. */
const LARGE = { notes: "n".repeat(20_000) };

const realNow = Date.now;
let aheadMs = 0;
const realFetch = globalThis.fetch;

/** A receiver that remembers ids. Effects in the order they were made. */
const receiver = { effects: new Map<string, string[]>(), seen: new Set<string>(), posts: 0, refusals: 0 };

/** Answers 503 as often as it was told to. */
function receive(body: string): Response {
  const event: { readonly eventId: string; readonly eventType: string; readonly requestIdHash: string } =
    JSON.parse(body);
  receiver.posts += 1;
  if (receiver.refusals > 0) {
    receiver.refusals -= 1;
    return new Response("busy", { status: 503 });
  }
  if (!receiver.seen.has(event.eventId)) {
    receiver.seen.add(event.eventId);
    const effects = receiver.effects.get(event.requestIdHash) ?? [];
    receiver.effects.set(event.requestIdHash, [...effects, event.eventType]);
  }
  return Response.json({ ok: true });
}

beforeAll(migrate);

beforeEach(() => {
  Date.now = () => realNow() + aheadMs;
});

afterEach(() => {
  Date.now = realNow;
  globalThis.fetch = realFetch;
});

/** Core's environment where `fault` strikes; with a sequencer of its own, which lives as long as this environment. */
function coreWith(fault: Fault): CoreEnv {
  const bindings: CoreEnv = {
    ...testEnv,
    ...SETTINGS,
    DB: faultyDatabase(testEnv.DB, fault),
    LEDGER: faulty("LEDGER", testEnv.LEDGER, fault),
    RELAY_QUEUE: faulty("RELAY_QUEUE", testEnv.RELAY_QUEUE, fault),
    PUBLISHER: new Proxy(testEnv.PUBLISHER, {
      get: (target, method) =>
        method === "getByName"
          ? (name: string) => {
              const stub = target.getByName(name);
              return {
                promised: () => fault.through("PUBLISHER.promised", () => stub.promised()),
                wake: () => fault.through("PUBLISHER.wake", () => stub.wake()),
              };
            }
          : Reflect.get(target, method),
    }),
  };
  let sequencer: LedgerSequencer | undefined;
  const append = (command: Command) =>
    fault.through("SEQUENCER.append", () =>
      runInDurableObject(testEnv.SEQUENCER.getByName("main"), (_instance, state) => {
        sequencer ??= new LedgerSequencer(state, bindings);
        return sequencer.append(command);
      }),
    );
  const SEQUENCER = new Proxy(testEnv.SEQUENCER, {
    get: (target, method) => {
      const member: unknown = Reflect.get(target, method);
      if (method === "getByName") return () => ({ append });
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  return { ...bindings, SEQUENCER };
}

let requests = 0;

interface Told {
  readonly requestId: string;
  readonly hash: string;
  /** How often the client had to send each step. */
  readonly sent: readonly number[];
}

/** A client as those in the field are: it sends a step again, with the same content, until it hears 2xx, four times at most. */
async function live(env: CoreEnv): Promise<Told> {
  requests += 1;
  const requestId = `F-${requests}`;
  const insist = async (path: string, options: Parameters<typeof callWith>[2]) => {
    for (let sent = 1; sent <= 4; sent++) {
      const { status, json } = await callWith({ ...env }, path, options);
      if (status === 200 || status === 201) return { sent, json };
      expect([500, 503]).toContain(status);
    }
    throw new Error(`${path} was refused four times`);
  };
  const body = signed(payloadOf(LARGE), { externalRequestId: requestId });
  const submitted = await insist("/workflow/claims", { method: "POST", body });
  const { requestIdHash: hash } = submitted.json;
  expect(submitted.json.requestId).toBe(requestId);
  const acknowledged = await insist(`/workflow/requests/${requestId}/acknowledge`, EMPTY);
  const decided = await insist(`/workflow/requests/${requestId}/adjudicate`, {
    method: "POST",
    body: { decision: "APPROVED", notes: LARGE.notes },
  });
  return { requestId, hash, sent: [submitted.sent, acknowledged.sent, decided.sent] };
}

const settings = relaySettingsSchema.parse({ ENVIRONMENT: "development", RELAY_INVOCATION_MS: "5000" });

/** @returns whether the invocation ended without an error. */
async function consume(fault: Fault): Promise<boolean> {
  const ctx = createExecutionContext();
  const port = new RelayPort(ctx, coreWith(fault));
  const CORE: RelayPortApi & PingPortApi & MetricsPortApi & SecretsPortApi = faulty(
    "CORE",
    {
      lease: (limit, exclude) => port.lease(limit, exclude),
      begin: (outboxId, leaseToken) => port.begin(outboxId, leaseToken),
      record: (outcomes) => port.record(outcomes),
      wake: (delayMs) => port.wake(delayMs),
      leasePing: (destinationId, pingId) => port.leasePing(destinationId, pingId),
      recordPing: (destinationId, pingId, result, durationMs) =>
        port.recordPing(destinationId, pingId, result, durationMs),
      measure: (flushId, rows) => port.measure(flushId, rows),
      metrics: () => port.metrics(),
      recordSecrets: (sightings) => port.recordSecrets(sightings),
    },
    fault,
  );
  globalThis.fetch = (input, init) =>
    String(input) === RECEIVER ? fault.through("POST", () => receive(String(init?.body))) : realFetch(input, init);
  try {
    const env = { ...TEST_SECRETS.relay, CORE };
    const { ended } = await startDeliveries([], env, settings, () => {}, new KnownReceivers());
    await ended;
    return true;
  } catch {
    return false;
  } finally {
    globalThis.fetch = realFetch;
    await waitOnExecutionContext(ctx);
  }
}

const unsettled = () =>
  testEnv.DB.prepare("SELECT COUNT(*) AS n FROM outbox WHERE state <> 'delivered'").first<number>("n");

/** What the minutes bring once nothing fails: the sweep, and the relay that its hints wake. */
async function settle(): Promise<void> {
  for (let minutes = 0; minutes < 30 && (await unsettled()) !== 0; minutes += 2) {
    aheadMs += 120_000;
    await sweepRelay(testEnv, Date.now());
    await consume(NO_FAULT);
  }
}

async function checkEnd(told: readonly Told[]): Promise<void> {
  for (const { requestId, hash } of told) {
    const shown = await call(`/workflow/requests/${requestId}`);
    expect(shown).toMatchObject({ status: 200, json: { requestIdHash: hash, status: "APPROVED" } });
    const entries = await testEnv.DB.prepare(
      "SELECT body ->> 'type' AS type FROM ledger_entries WHERE subject = ? ORDER BY seq",
    )
      .bind(hash)
      .all<{ type: string }>();
    expect(entries.results.map(({ type }) => type)).toEqual(LIFE);
    const rows = await testEnv.DB.prepare(
      "SELECT event_type, state, attempts FROM outbox WHERE subject = ? ORDER BY outbox_id",
    )
      .bind(hash)
      .all<{ event_type: string; state: string }>();
    expect(rows.results.map(({ event_type: type, state }) => [type, state])).toEqual(
      LIFE.map((type) => [type, "delivered"]),
    );
    expect(receiver.effects.get(hash)).toEqual(LIFE);
  }
  const counted = await testEnv.DB.prepare(
    `SELECT c.delivered, c.breaker, (SELECT COUNT(*) FROM outbox WHERE state = 'delivered') AS rows FROM relay_counters AS c`,
  ).first<{ delivered: number; breaker: string; rows: number }>();
  expect(counted).toMatchObject({ delivered: counted?.rows, breaker: "closed" });
  aheadMs += 120_000;
  expect(await sweepRelay(testEnv, Date.now())).toEqual({
    due: 0,
    hints: 0,
    held: 0,
    parked: 0,
  });
  expect(await call("/ledger/verify", { key: "" })).toMatchObject({ status: 200, json: { valid: true } });
}

interface CommitRow {
  readonly step: string;
  readonly call: string;
  /** Until the caller hears that it failed. */
  readonly times?: number;
  /** Step of the life that is sent again, and how often, when the failure shows outside. */
  readonly resent?: Partial<Readonly<Record<When, readonly number[]>>>;
}

const NEVER_RESENT = [1, 1, 1];

const COMMIT: readonly CommitRow[] = [
  {
    step: "putting the ciphertext into the bucket",
    call: "LEDGER.put",
    resent: { failed: [2, 1, 1], "failed, but persisted": [2, 1, 1] },
  },
  { step: "calling the sequencer", call: "SEQUENCER.append" },
  {
    step: "calling the sequencer, until the route gives up",
    call: "SEQUENCER.append",
    times: 3,
    resent: { failed: [2, 1, 1], "failed, but persisted": [2, 1, 1] },
  },
  { step: "reading the head", call: "DB: SELECT version, size, head_hash" },
  { step: "asking what the publisher promised", call: "PUBLISHER.promised" },
  { step: "reading what the commands touch", call: "DB: SELECT k.value ->> 1 AS asked_id, r.*" },
  { step: "the batch", call: "INSERT INTO ledger_entries" },
  {
    step: "the batch, until the sequencer gives up",
    call: "INSERT INTO ledger_entries",
    times: 5,
    resent: { failed: [2, 1, 1] },
  },
  { step: "sending the hint", call: "RELAY_QUEUE.send" },
  { step: "sending every hint", call: "RELAY_QUEUE.send", times: 100 },
  { step: "waking the publisher", call: "PUBLISHER.wake" },
  {
    step: "reading a request for its acknowledgement",
    call: "DB: SELECT r.*",
    resent: { failed: [1, 2, 1], "failed, but persisted": [1, 2, 1] },
  },
];

describe("commit", () => {
  for (const when of WHENS) {
    it.each(COMMIT)(`$step ${when}: nothing acknowledged is lost or doubled`, async (row) => {
      const fault = new Fault(row.call, when, row.times);
      const told = await live(coreWith(fault));
      expect(fault.hits, "the step was reached").toBeGreaterThan(0);
      expect(told.sent).toEqual(row.resent?.[when] ?? NEVER_RESENT);
      await settle();
      await checkEnd([told]);
    });
  }
});

interface DeliverRow {
  readonly step: string;
  readonly call: string;
  readonly times?: number;
  /** Answers of 503 that the receiver begins with. */
  readonly refusals?: number;
  /** Leases that ran out before, without any answer. */
  readonly lostLeases?: number;
  /** The invocation ends with an error, so that the queue brings its hints again. */
  readonly throws?: boolean;
}

const DELIVER: readonly DeliverRow[] = [
  { step: "leasing", call: "CORE.lease", throws: true },
  { step: "the batch of a lease", call: "SET last_token", throws: true },
  { step: "announcing a suspected post", call: "CORE.begin", lostLeases: 2 },
  { step: "the statement that announces it", call: "SET expired_leases = expired_leases + 1", lostLeases: 2 },
  { step: "the post", call: "POST" },
  { step: "both posts", call: "POST", times: 2 },
  { step: "recording", call: "CORE.record" },
  { step: "recording, until the relay gives up", call: "CORE.record", times: 3, throws: true },
  { step: "reading the rows of failures", call: "AS last_asked_at", refusals: 1 },
  { step: "the batch of a record", call: "INSERT INTO relay_counters" },
  {
    step: "the batch of a record, until the relay gives up",
    call: "INSERT INTO relay_counters",
    times: 3,
    throws: true,
  },
  { step: "sending the hint for a retry", call: "RELAY_QUEUE.sendBatch", refusals: 1 },
  { step: "sending it, until the relay gives up", call: "RELAY_QUEUE.sendBatch", refusals: 2, times: 3 },
];

describe("deliver", () => {
  for (const when of WHENS) {
    it.each(DELIVER)(`$step ${when}: each event has one effect, in order`, async (row) => {
      const told = [await live(coreWith(NO_FAULT)), await live(coreWith(NO_FAULT))];
      for (let lost = 0; lost < (row.lostLeases ?? 0); lost++, aheadMs += 120_000) {
        const leased = await new RelayPort(createExecutionContext(), coreWith(NO_FAULT)).lease(100, []);
        expect(leased.deliveries).toHaveLength(2);
      }
      receiver.refusals = row.refusals ?? 0;
      const fault = new Fault(row.call, when, row.times);
      const ended = await consume(fault);
      expect(fault.hits, "the step was reached").toBe(row.times ?? 1);
      if (row.throws === true) expect(ended).toBe(false);
      receiver.refusals = 0;
      await settle();
      await checkEnd(told);
    });

    it(`the sweep ${when}: the next one finds the rows`, async () => {
      const told = await live(coreWith(NO_FAULT));
      for (const part of ["DB: SELECT o.outbox_id FROM destinations", "last_error = 'lease-expired'", "RELAY_QUEUE"]) {
        const fault = new Fault(part, when);
        await expect(sweepRelay(coreWith(fault), Date.now())).rejects.toThrow(when);
        expect(fault.hits).toBe(1);
      }
      await settle();
      await checkEnd([told]);
    });
  }
});
