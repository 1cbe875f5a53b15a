import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BREAKER_POLICY } from "../../../../src/relay/breaker.ts";
import { listDeadLetters } from "../../../../src/relay/dead-letters.store.ts";
import { findDelivery } from "../../../../src/relay/deliveries.store.ts";
import { discardDeadLetter } from "../../../../src/relay/discards.store.ts";
import { HELD_DUE_AT, MAX_EXPIRED_LEASES } from "../../../../src/relay/lanes.store.ts";
import { beginSuspected, LEASE_SLACK_MS } from "../../../../src/relay/leases.store.ts";
import { parkExpired, sweepDue } from "../../../../src/relay/outbox.store.ts";
import { recordOutcomes } from "../../../../src/relay/outcomes.store.ts";
import { setDestinationState, setRelayPaused } from "../../../../src/relay/pauses.store.ts";
import type { LeasedDelivery, PostResult } from "../../../../src/relay/port.ts";
import { relayStatus } from "../../../../src/relay/relay-status.store.ts";
import { replayDeadLetter, replayDeadLetters } from "../../../../src/relay/replays.store.ts";
import { pruneDeadLetters, pruneSettled, RETENTION_REASON } from "../../../../src/relay/retention.store.ts";
import { migrate } from "../support.ts";
import {
  AFTER_TIMEOUT_WAIT_MS,
  addDestination,
  addRows,
  answered,
  db,
  emptyRelay,
  idsOf,
  lease,
  noJitter,
  POLICY,
  posted,
  rowOf,
  T0,
  TIMEOUT_MS,
} from "./outbox-fixture.ts";

beforeAll(migrate);
beforeEach(emptyRelay);

const LEASE_MS = LEASE_SLACK_MS + TIMEOUT_MS + AFTER_TIMEOUT_WAIT_MS;
const DAY_MS = 86_400_000;
const REFUSED: PostResult = { type: "connection-failed", reason: "refused" };

const record = (now: number, deliveries: readonly LeasedDelivery[], resultOf: (id: number) => PostResult) =>
  recordOutcomes(
    db,
    deliveries.map((delivery) => posted(delivery, resultOf(delivery.outboxId), now)),
    POLICY,
    now,
    noJitter,
  );

const breakerOf = (id: string) =>
  db
    .prepare("SELECT breaker, breaker_until, breaker_opens FROM relay_counters WHERE destination_id = ?")
    .bind(id)
    .first<{ breaker: string; breaker_until: number; breaker_opens: number }>();

const stateOf = async (id: string) =>
  (await relayStatus(db, T0, undefined)).destinations.find(({ destinationId }) => destinationId === id)?.state;

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

describe("the breaker", () => {
  test("opens when nothing succeeds, lets one probe through, and closes when that is answered", async () => {
    await addDestination("a");
    await addRows(...range(1, 20).map((outboxId) => ({ outboxId })));
    const { deliveries } = await lease(T0, { limit: 6 });
    expect((await record(T0, deliveries, () => REFUSED)).breakers).toEqual([{ destinationId: "a", change: "open" }]);
    expect(await stateOf("a")).toBe("broken");
    const held = await lease(T0 + 10);
    expect(held.deliveries).toEqual([]);
    expect(held.rateLimitedUntilMs).toBe(T0 + BREAKER_POLICY.openMs);
    expect(await sweepDue(db, T0 + 10, 100)).toEqual([]);

    const probeAt = T0 + BREAKER_POLICY.openMs;
    const probe = await lease(probeAt);
    expect(probe.deliveries).toHaveLength(1);
    expect((await lease(probeAt)).deliveries).toEqual([]);
    await record(probeAt, probe.deliveries, () => answered(503));
    expect(await breakerOf("a")).toMatchObject({ breaker: "open", breaker_opens: 2, breaker_until: probeAt + 10_000 });
    expect((await rowOf(probe.deliveries[0]?.outboxId ?? 0)).attempts).toBeLessThanOrEqual(1);

    const again = await lease(probeAt + 10_000);
    expect(again.deliveries).toHaveLength(1);
    const closed = await record(probeAt + 10_000, again.deliveries, () => answered(200));
    expect(closed.breakers).toEqual([{ destinationId: "a", change: "close" }]);
    expect(await stateOf("a")).toBe("active");
  });

  test("a drained outage does not begin with a burst", async () => {
    await addDestination("a", { requestsPerMinute: 600 });
    await addRows(...range(1, 100).map((outboxId) => ({ outboxId })));
    await record(T0, (await lease(T0, { limit: 6 })).deliveries, () => REFUSED);
    const later = T0 + 600_000;
    await record(later, (await lease(later)).deliveries, () => answered(200));
    expect((await lease(later)).deliveries).toHaveLength(1);
    expect((await lease(later + 1_000)).deliveries.length).toBeLessThanOrEqual(10);
  });

  test("a probe whose relay died is followed by another once its lease has run out", async () => {
    await addDestination("a");
    await addRows(...range(1, 8).map((outboxId) => ({ outboxId })));
    await record(T0, (await lease(T0, { limit: 6 })).deliveries, () => REFUSED);
    const probeAt = T0 + BREAKER_POLICY.openMs;
    expect((await lease(probeAt)).deliveries).toHaveLength(1);
    expect((await lease(probeAt + LEASE_MS - 1)).deliveries).toEqual([]);
    expect((await lease(probeAt + LEASE_MS)).deliveries).toHaveLength(1);
  });

  test("one destination's breaker is no other's", async () => {
    await addDestination("a");
    await addDestination("b");
    await addRows(...range(1, 12).map((outboxId) => ({ outboxId, destinationId: outboxId % 2 === 0 ? "a" : "b" })));
    const { deliveries } = await lease(T0);
    await record(T0, deliveries, (id) => (id % 2 === 0 ? REFUSED : answered(200)));
    expect(await stateOf("a")).toBe("broken");
    expect(await stateOf("b")).toBe("active");
    await addRows({ outboxId: 50, destinationId: "b" });
    expect(idsOf(await lease(T0 + 10))).toEqual([50]);
  });

  test("a destination down for six hours gets everything afterwards, in order, and nothing is given up", async () => {
    await addDestination("a", { requestsPerMinute: 6_000 });
    const lanes = 8;
    const perLane = 4;
    await addRows(...range(0, lanes * perLane).map((i) => ({ outboxId: i + 1, subject: `lane-${i % lanes}` })));
    const upAt = T0 + 6 * 3_600_000;
    const got: number[] = [];
    let posts = 0;
    let now = T0;
    for (let round = 0; got.length < lanes * perLane && round < 5_000; round++) {
      const leased = await lease(now);
      posts += now < upAt ? leased.deliveries.length : 0;
      const down = (id: number): PostResult =>
        id % 3 === 0 ? { type: "timeout" } : id % 3 === 1 ? REFUSED : answered(503);
      const { due } = await record(now, leased.deliveries, (id) => (now < upAt ? down(id) : answered(200)));
      if (now >= upAt) got.push(...idsOf(leased));
      if (due === 0 || leased.deliveries.length === 0) {
        const next = await db
          .prepare("SELECT MIN(due_at) AS at FROM outbox WHERE state IN ('due', 'leased')")
          .first<number>("at");
        now = Math.max(now + 1, leased.rateLimitedUntilMs ?? next ?? now);
      }
    }
    expect(got).toHaveLength(lanes * perLane);
    for (let lane = 0; lane < lanes; lane++) {
      const ofLane = got.filter((id) => (id - 1) % lanes === lane);
      expect(ofLane).toEqual(ofLane.toSorted((a, b) => a - b));
    }
    expect((await relayStatus(db, now, undefined)).deadLetterCount).toBe(0);
    expect(now - upAt).toBeLessThan(120_000);
    // A probe a minute, not a storm.
    expect(posts).toBeLessThan(500);
    expect(posts).toBeGreaterThan(300);
  }, 120_000);
});

test("a 429 with Retry-After holds every lane of its destination, and no other destination", async () => {
  await addDestination("a");
  await addDestination("b");
  await addRows({ outboxId: 1 }, { outboxId: 2 }, { outboxId: 3, destinationId: "b" });
  const { deliveries } = await lease(T0, { limit: 1 });
  await record(T0, deliveries, () => answered(429, { retryAfter: "30" }));
  const held = await lease(T0 + 29_999);
  expect(idsOf(held)).toEqual([3]);
  expect(held.rateLimitedUntilMs).toBe(T0 + 30_000);
  expect(idsOf(await lease(T0 + 30_000))).toHaveLength(1);
});

describe("leases that run out", () => {
  test("an event whose posts bring the relay down is parked, and its lane is held", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1, subject: "s" }, { outboxId: 2, subject: "s" });
    let now = T0;
    for (let crash = 0; crash < MAX_EXPIRED_LEASES; crash++, now += LEASE_MS) {
      const { deliveries } = await lease(now);
      expect(deliveries.map(({ outboxId, suspected }) => [outboxId, suspected])).toEqual([
        [1, crash < 2 ? undefined : true],
      ]);
      for (const { outboxId, leaseToken, suspected } of deliveries) {
        if (suspected) expect(await beginSuspected(db, outboxId, leaseToken)).toBe(true);
      }
      expect(await parkExpired(db, now, 100)).toBe(0);
    }
    expect(idsOf(await lease(now))).toEqual([]);
    expect(await parkExpired(db, now, 100)).toBe(1);
    expect(await rowOf(1)).toMatchObject({ state: "dead", last_error: "lease-expired", settled_at: now });
    expect(idsOf(await lease(now))).toEqual([]);
  });

  test("a lease whose answer was lost counts for nothing: no post was made under it", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 });
    let now = T0;
    for (let lost = 0; lost < 3 * MAX_EXPIRED_LEASES; lost++, now += LEASE_MS) {
      expect(idsOf(await lease(now))).toEqual([1]);
      expect(await parkExpired(db, now + LEASE_MS - 1, 100)).toBe(0);
    }
    const { deliveries } = await lease(now);
    await record(now, deliveries, () => answered(200));
    expect((await rowOf(1)).state).toBe("delivered");
  });

  test("a post that was announced and then not made does not count, and one under another lease is not made", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 });
    for (const now of [T0, T0 + LEASE_MS]) await lease(now);
    let now = T0 + 2 * LEASE_MS;
    let token = 0;
    for (let round = 0; round < 5; round++, now += 1) {
      const [delivery] = (await lease(now)).deliveries;
      if (delivery === undefined) throw new Error(`nothing was leased in round ${round}`);
      const { outboxId, leaseToken } = delivery;
      token = leaseToken;
      expect(await beginSuspected(db, outboxId, leaseToken)).toBe(true);
      await recordOutcomes(db, [{ outboxId, leaseToken, type: "released" }], POLICY, now, noJitter);
    }
    expect(await beginSuspected(db, 1, token)).toBe(false);
    expect(await parkExpired(db, now + LEASE_MS, 100)).toBe(0);
  });

  test("rows that were in the same hands go one to a lease, and are cleared by an answer", async () => {
    await addDestination("a");
    await addRows(...range(1, 4).map((outboxId) => ({ outboxId })));
    for (const now of [T0, T0 + LEASE_MS]) expect((await lease(now)).deliveries).toHaveLength(4);
    await addRows({ outboxId: 9, dueAt: T0 + 2 * LEASE_MS });
    const suspected = await lease(T0 + 2 * LEASE_MS);
    expect(idsOf(suspected)).toEqual([1, 9]);
    expect(suspected.more).toBe(true);
    expect(idsOf(await lease(T0 + 2 * LEASE_MS))).toEqual([2]);
    await record(T0 + 2 * LEASE_MS, suspected.deliveries, () => answered(503));
    const cleared = await db.prepare("SELECT expired_leases FROM outbox WHERE outbox_id = 1").first("expired_leases");
    expect(cleared).toBe(0);
  });

  test("the relay away for a day: what it held and what came meanwhile goes out, in order", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1, subject: "s" }, { outboxId: 2, subject: "s" }, { outboxId: 3 });
    expect(idsOf(await lease(T0))).toEqual([1, 3]);
    const back = T0 + DAY_MS;
    await addRows({ outboxId: 4, subject: "s", dueAt: T0 + 60_000 });
    expect(await sweepDue(db, back, 100)).toEqual(expect.arrayContaining([1, 3]));
    const got: number[] = [];
    for (let round = 0; round < 4; round++) {
      const { deliveries } = await lease(back + round);
      got.push(...deliveries.map(({ outboxId }) => outboxId));
      await record(back + round, deliveries, () => answered(200));
    }
    expect(got.filter((id) => id !== 3)).toEqual([1, 2, 4]);
    expect(got).toHaveLength(4);
  });
});

describe("pausing", () => {
  test("the relay as a whole: nothing is leased or hinted until it is resumed, and the status says since when", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 });
    await setRelayPaused(db, true, T0);
    await setRelayPaused(db, true, T0 + 5);
    expect(idsOf(await lease(T0 + 10))).toEqual([]);
    expect(await sweepDue(db, T0 + 10, 100)).toEqual([]);
    expect((await relayStatus(db, T0 + 10, undefined)).pausedAt).toBe(T0);
    await setRelayPaused(db, false, T0 + 20);
    expect((await relayStatus(db, T0 + 20, undefined)).pausedAt).toBeNull();
    expect(idsOf(await lease(T0 + 20))).toEqual([1]);
  });

  test('an event that was "not yet known" before a pause of an hour has its ten minutes after it', async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 });
    const notYet = () => answered(404, { retryable: true });
    await record(T0, (await lease(T0)).deliveries, notYet);
    await setDestinationState(db, "a", "paused", T0 + 1_000);
    expect(idsOf(await lease(T0 + 60_000))).toEqual([]);
    const resumedAt = T0 + 3_600_000;
    await setDestinationState(db, "a", "active", resumedAt);
    let diedAt = resumedAt;
    for (let now = resumedAt; (await rowOf(1)).state !== "dead"; now = Math.max(now, (await rowOf(1)).due_at)) {
      await record(now, (await lease(now)).deliveries, notYet);
      diedAt = now;
    }
    expect(diedAt - resumedAt).toBeGreaterThan(400_000);
    expect(diedAt - resumedAt).toBeLessThan(700_000);
  });

  test("resuming a broken destination tries it at once", async () => {
    await addDestination("a");
    await addRows(...range(1, 8).map((outboxId) => ({ outboxId })));
    await record(T0, (await lease(T0, { limit: 6 })).deliveries, () => REFUSED);
    await setDestinationState(db, "a", "paused", T0);
    await setDestinationState(db, "a", "active", T0 + 1);
    expect(idsOf(await lease(T0 + 1)).length).toBeGreaterThan(0);
  });
});

/** Dead row `id` in lane `subject`, with two due rows behind it. */
async function deadLane(id: number, subject: string): Promise<void> {
  await addRows({ outboxId: id, subject }, { outboxId: id + 1, subject }, { outboxId: id + 2, subject });
  const { deliveries } = await lease(T0);
  await record(T0, deliveries, () => ({ ...answered(400), answer: "no such field" }) as PostResult);
}

describe("dead letters", () => {
  beforeEach(() => addDestination("a"));

  test("are listed by destination, time and error class, a page at a time", async () => {
    await addDestination("b");
    const errors = ["timeout", "http-500", "http-503", "http-400", "connection-failed: refused", "not-yet-known"];
    await addRows(
      ...range(1, 12).map((outboxId) => ({
        outboxId,
        destinationId: outboxId > 6 ? "b" : "a",
        state: "dead" as const,
      })),
    );
    await db.batch(
      range(1, 12).map((id) =>
        db
          .prepare("UPDATE outbox SET settled_at = ?2, last_error = ?3 WHERE outbox_id = ?1")
          .bind(id, T0 + Math.floor(id / 2), errors[(id - 1) % 6] ?? ""),
      ),
    );
    const ids = async (filter: object) =>
      (await listDeadLetters(db, { tenantId: undefined, ...filter }, 50)).deadLetters.map(({ outboxId }) => outboxId);
    expect(await ids({ destinationId: "a" })).toEqual([6, 5, 4, 3, 2, 1]);
    expect(await ids({ errorClass: "http-5xx" })).toEqual([9, 8, 3, 2]);
    expect(await ids({ errorClass: "http-503" })).toEqual([9, 3]);
    expect(await ids({ errorClass: "connection-failed", destinationId: "b" })).toEqual([11]);
    expect(await ids({ since: T0 + 2, until: T0 + 4 })).toEqual([7, 6, 5, 4]);
    const seen: number[] = [];
    let after: { deadAt: number; outboxId: number } | undefined;
    for (let page = 0; page < 10; page++) {
      const { deadLetters, next, count } = await listDeadLetters(db, { tenantId: undefined }, 5, after);
      expect(count).toBe(12);
      seen.push(...deadLetters.map(({ outboxId }) => outboxId));
      if (next === null) break;
      after = next;
    }
    expect(seen).toEqual(range(1, 12).toReversed());
  });

  test("one shows its request, every attempt and what was answered", async () => {
    await deadLane(1, "s");
    expect(await findDelivery(db, 1, "default")).toMatchObject({
      outboxId: 1,
      state: "dead",
      lastError: "http-400",
      body: (await rowOf(1)).body,
      attemptsMade: [{ outcome: "dead", status: 400, error: "http-400", answer: "no such field" }],
      held: 2,
    });
    expect(await findDelivery(db, 1, "another")).toBeUndefined();
  });

  test("one that is replayed has all its retries again, and its lane follows in order; again changes nothing", async () => {
    await deadLane(1, "s");
    expect((await rowOf(2)).due_at).toBe(HELD_DUE_AT);
    expect(await replayDeadLetter(db, 1, undefined, AFTER_TIMEOUT_WAIT_MS, T0 + 100)).toMatchObject({
      type: "replayed",
    });
    expect(await replayDeadLetter(db, 1, undefined, AFTER_TIMEOUT_WAIT_MS, T0 + 100)).toMatchObject({
      type: "on-its-way",
    });
    expect(await rowOf(1)).toMatchObject({ state: "due", attempts: 0, due_at: T0 + 100, settled_at: null });
    const got: number[] = [];
    for (let now = T0 + 100; now < T0 + 104; now++) {
      const { deliveries } = await lease(now);
      got.push(...deliveries.map(({ outboxId }) => outboxId));
      await record(now, deliveries, () => answered(200));
    }
    expect(got).toEqual([1, 2, 3]);
    expect(await replayDeadLetter(db, 1, undefined, AFTER_TIMEOUT_WAIT_MS, T0 + 200)).toMatchObject({
      type: "on-its-way",
    });
    expect(await replayDeadLetter(db, 99, undefined, AFTER_TIMEOUT_WAIT_MS, T0)).toMatchObject({ type: "unknown" });
    expect(await replayDeadLetter(db, 1, "another", AFTER_TIMEOUT_WAIT_MS, T0)).toMatchObject({ type: "unknown" });
  });

  test("many are replayed in ledger order at the rate asked for, once", async () => {
    await addRows(...range(1, 10).map((outboxId) => ({ outboxId, state: "dead" as const })));
    await db.prepare("UPDATE outbox SET settled_at = 5, last_error = 'http-503'").run();
    const filter = { tenantId: undefined, errorClass: "http-5xx" };
    const first = await replayDeadLetters(db, filter, { limit: 6, perMinute: 60, waitMs: AFTER_TIMEOUT_WAIT_MS }, T0);
    expect(first).toEqual({ replayed: 6, overtaken: 0, remaining: 4, lastDueAt: T0 + 5_000 });
    expect((await rowOf(3)).due_at).toBe(T0 + 2_000);
    expect((await rowOf(7)).state).toBe("dead");
    await replayDeadLetters(db, filter, { limit: 6, perMinute: 60, waitMs: AFTER_TIMEOUT_WAIT_MS }, T0);
    expect(
      await replayDeadLetters(db, filter, { limit: 6, perMinute: 60, waitMs: AFTER_TIMEOUT_WAIT_MS }, T0),
    ).toMatchObject({ replayed: 0 });
    const replays = await db.prepare("SELECT MAX(replays) AS n FROM outbox").first("n");
    expect(replays).toBe(1);
  });

  test("discarding one gives up the rest of its lane with the same reason", async () => {
    await deadLane(1, "s");
    const discard = { reason: "TICKET-7", by: "key_1", rest: "discard" } as const;
    expect(await discardDeadLetter(db, 1, undefined, discard, AFTER_TIMEOUT_WAIT_MS, T0 + 9)).toEqual({
      type: "discarded",
      rest: 2,
    });
    expect(await discardDeadLetter(db, 1, undefined, discard, AFTER_TIMEOUT_WAIT_MS, T0 + 10)).toEqual({
      type: "already",
    });
    for (const id of [1, 2, 3]) {
      const { discardReason, discardedBy, state, settledAt } = (await findDelivery(db, id, undefined)) ?? {};
      expect({ discardReason, discardedBy, state, settledAt }).toEqual({
        discardReason: "TICKET-7",
        discardedBy: "key_1",
        state: "discarded",
        settledAt: T0 + 9,
      });
    }
    expect(await replayDeadLetter(db, 1, undefined, AFTER_TIMEOUT_WAIT_MS, T0)).toMatchObject({ type: "discarded" });
    await addRows({ outboxId: 8, subject: "s" });
    expect(idsOf(await lease(T0 + 10))).toEqual([8]);
    expect(await discardDeadLetter(db, 8, undefined, discard, AFTER_TIMEOUT_WAIT_MS, T0)).toEqual({ type: "not-dead" });
  });

  test("discarding one alone lets the rest of its lane go on", async () => {
    await deadLane(1, "s");
    const discard = { reason: "TICKET-8", by: "key_1", rest: "release" } as const;
    expect(await discardDeadLetter(db, 1, undefined, discard, AFTER_TIMEOUT_WAIT_MS, T0 + 9)).toEqual({
      type: "discarded",
      rest: 2,
    });
    expect(idsOf(await lease(T0 + 9))).toEqual([2]);
  });

  test("one is not replayed once a later event of its request was delivered", async () => {
    await deadLane(1, "s");
    // A ledger in which rows 1 to 3 are the events of one request.
    await db.batch([
      db.prepare("DELETE FROM outbox WHERE outbox_id = 3"),
      db.prepare(
        `INSERT INTO ledger_heads (ledger_id, version, size, head_hash, root_hash, frontier, last_at)
         VALUES ('main', 0, 0, '', '', '[]', '')`,
      ),
      db.prepare("UPDATE ledger_heads SET version = 1, size = 9"),
      ...range(0, 4).map((seq) =>
        db
          .prepare(
            `INSERT INTO ledger_entries (ledger_id, seq, entry_hash, prev, subject, command_id, command_index, body)
             VALUES ('main', ?1, ?2, ?3, ?4, ?2, 0, '{}')`,
          )
          .bind(seq, String(seq), seq === 0 ? "0".repeat(64) : String(seq - 1), seq === 0 ? "other" : "s"),
      ),
      db.prepare("UPDATE outbox SET state = 'delivered' WHERE outbox_id = 2"),
    ]);
    expect(await replayDeadLetter(db, 1, undefined, AFTER_TIMEOUT_WAIT_MS, T0)).toMatchObject({ type: "overtaken" });
    const many = await replayDeadLetters(
      db,
      { tenantId: undefined },
      { limit: 5, perMinute: 60, waitMs: AFTER_TIMEOUT_WAIT_MS },
      T0,
    );
    expect(many).toMatchObject({ replayed: 0, overtaken: 1 });
    expect((await rowOf(1)).state).toBe("dead");
    await db.prepare("UPDATE outbox SET state = 'due' WHERE outbox_id = 2").run();
    expect(await replayDeadLetter(db, 1, undefined, AFTER_TIMEOUT_WAIT_MS, T0)).toMatchObject({ type: "replayed" });
  });
});

describe("a dead letter whose last post was not answered", () => {
  const UNANSWERED: readonly (readonly [string, PostResult])[] = [
    ["timed out", { type: "timeout" }],
    ["lost its connection", REFUSED],
    ["got 504 from a proxy", answered(504)],
  ];

  beforeEach(async () => {
    await addDestination("a");
    await addRows(...[1, 2].map((outboxId) => ({ outboxId, subject: "s" })));
  });

  const die = async (result: PostResult): Promise<void> => {
    await db.prepare("UPDATE outbox SET attempts = ?1 WHERE outbox_id = 1").bind(POLICY.maxRetries).run();
    await record(T0, (await lease(T0)).deliveries, () => result);
    expect(await rowOf(1)).toMatchObject({ state: "dead", settled_at: T0 });
  };

  test.each(UNANSWERED)("is replayed 30 s after the post that %s, and so is its lane", async (_, result) => {
    await die(result);
    const dueAt = T0 + AFTER_TIMEOUT_WAIT_MS;
    expect(await replayDeadLetter(db, 1, undefined, AFTER_TIMEOUT_WAIT_MS, T0 + 5)).toEqual({
      type: "replayed",
      dueAt,
    });
    expect(idsOf(await lease(dueAt - 1))).toEqual([]);
    const { deliveries } = await lease(dueAt);
    expect(deliveries.map(({ outboxId }) => outboxId)).toEqual([1]);
    await record(dueAt, deliveries, () => answered(200));
    expect(idsOf(await lease(dueAt))).toEqual([2]);
  });

  test("waits as long when many are replayed", async () => {
    await die({ type: "timeout" });
    const options = { limit: 5, perMinute: 60, waitMs: AFTER_TIMEOUT_WAIT_MS };
    const replayed = await replayDeadLetters(db, { tenantId: undefined }, options, T0 + 5);
    expect(replayed).toMatchObject({ replayed: 1, lastDueAt: T0 + AFTER_TIMEOUT_WAIT_MS });
    expect(idsOf(await lease(T0 + AFTER_TIMEOUT_WAIT_MS - 1))).toEqual([]);
  });

  test.each(UNANSWERED)("is not discarded within 30 s of the post that %s: its lane would go on", async (_, result) => {
    await die(result);
    for (const rest of ["discard", "release"] as const) {
      const discard = { reason: "TICKET-9", by: "key_1", rest };
      const early = await discardDeadLetter(db, 1, undefined, discard, AFTER_TIMEOUT_WAIT_MS, T0 + 10);
      expect(early).toEqual({ type: "too-soon", waitMs: AFTER_TIMEOUT_WAIT_MS - 10 });
    }
    expect(await rowOf(1)).toMatchObject({ state: "dead" });
    const now = T0 + AFTER_TIMEOUT_WAIT_MS;
    const discard = { reason: "TICKET-9", by: "key_1", rest: "release" } as const;
    expect(await discardDeadLetter(db, 1, undefined, discard, AFTER_TIMEOUT_WAIT_MS, now)).toEqual({
      type: "discarded",
      rest: 1,
    });
    expect(idsOf(await lease(now))).toEqual([2]);
  });

  test("that was refused goes at once: nobody is at it any more", async () => {
    await record(T0, (await lease(T0)).deliveries, () => answered(400));
    expect(await replayDeadLetter(db, 1, undefined, AFTER_TIMEOUT_WAIT_MS, T0 + 5)).toMatchObject({ dueAt: T0 + 5 });
    expect(idsOf(await lease(T0 + 5))).toEqual([1]);
  });
});

describe("retention", () => {
  test("an old dead letter is discarded with the rest of its lane, a younger one stays", async () => {
    await addDestination("a");
    await deadLane(1, "s");
    await deadLane(11, "t");
    await db
      .prepare("UPDATE outbox SET settled_at = ?1 WHERE outbox_id = 1")
      .bind(T0 - 31 * DAY_MS)
      .run();
    expect(await pruneDeadLetters(db, T0 - 30 * DAY_MS, 10, T0)).toEqual({ discarded: 1, rest: 2 });
    expect(await findDelivery(db, 3, undefined)).toMatchObject({
      state: "discarded",
      discardReason: RETENTION_REASON,
      discardedBy: null,
    });
    expect((await rowOf(11)).state).toBe("dead");
  });

  test("old settled rows go with their attempts, a bounded number at a time, and the newest id is never given again", async () => {
    await addDestination("a");
    await addRows(...range(1, 30).map((outboxId) => ({ outboxId })));
    await record(T0, (await lease(T0)).deliveries, () => answered(200));
    await db
      .prepare(
        `INSERT INTO delivery_attempts (outbox_id, lease_token, started_at, duration_ms, outcome)
         SELECT outbox_id, 0, 0, 0, 'retry' FROM outbox`,
      )
      .run();
    await addRows({ outboxId: 40, state: "dead" }, { outboxId: 41 });
    await db
      .prepare("UPDATE outbox SET settled_at = ?1, created_at = ?1 WHERE outbox_id % 5 <> 0")
      .bind(T0 - 40 * DAY_MS)
      .run();
    await db.prepare("UPDATE outbox SET state = 'delivered' WHERE outbox_id = 41").run();
    const before = T0 - 30 * DAY_MS;
    const went: number[] = [];
    for (let run = 0; run < 12; run++) went.push(await pruneSettled(db, before, 10));
    expect(Math.max(...went)).toBeLessThanOrEqual(10);
    const { results } = await db.prepare("SELECT outbox_id FROM outbox ORDER BY 1").all<{ outbox_id: number }>();
    expect(results.map((row) => row.outbox_id)).toEqual([5, 10, 15, 20, 25, 30, 40, 41]);
    expect(await db.prepare("SELECT COUNT(*) AS n FROM delivery_attempts").first("n")).toBe(6);
  });
});
