import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isDeliveryOverdue } from "../../../../src/operations/alerts/overdue.store.ts";
import { listDeadLetters } from "../../../../src/relay/dead-letters.store.ts";
import {
  DELIVERY_STATUSES,
  deliveriesOfRequest,
  findDelivery,
  listDeliveries,
} from "../../../../src/relay/deliveries.store.ts";
import { deleteDestination } from "../../../../src/relay/destinations.store.ts";
import { discardDeadLetter } from "../../../../src/relay/discards.store.ts";
import { HELD_DUE_AT } from "../../../../src/relay/lanes.store.ts";
import { claimWake, LEASE_SLACK_MS } from "../../../../src/relay/leases.store.ts";
import { holdBehindDead, parkExpired, sweepDue } from "../../../../src/relay/outbox.store.ts";
import { recordOutcomes } from "../../../../src/relay/outcomes.store.ts";
import { setRelayPaused } from "../../../../src/relay/pauses.store.ts";
import type { DeliveryOutcome, LeasedDelivery } from "../../../../src/relay/port.ts";
import { relayStatus } from "../../../../src/relay/relay-status.store.ts";
import { replayDeadLetters } from "../../../../src/relay/replays.store.ts";
import { pruneDeadLetters, pruneSettled } from "../../../../src/relay/retention.store.ts";
import { migrate } from "../support.ts";
import {
  AFTER_TIMEOUT_WAIT_MS,
  addDestination,
  addRows,
  answered,
  bodyOf,
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

const record = (now: number, ...outcomes: readonly DeliveryOutcome[]) =>
  recordOutcomes(db, outcomes, POLICY, now, noJitter);

async function leaseOne(now: number): Promise<LeasedDelivery> {
  const { deliveries } = await lease(now);
  const [only] = deliveries;
  if (only === undefined || deliveries.length !== 1) throw new Error(`leased ${deliveries.length}, not one`);
  return only;
}

describe("lanes", () => {
  test("only the head of a lane is leased, and the next one once it is delivered", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1, subject: "s" }, { outboxId: 2, subject: "s" }, { outboxId: 3, subject: "t" });
    const first = await lease(T0);
    expect(idsOf(first)).toEqual([1, 3]);
    expect(idsOf(await lease(T0))).toEqual([]);
    const [head] = first.deliveries;
    if (head === undefined) throw new Error("nothing leased");
    expect(await record(T0 + 10, posted(head, answered(200)))).toMatchObject({ recorded: 1, due: 1 });
    expect(idsOf(await lease(T0 + 10))).toEqual([2]);
  });

  test("lanes of one request to two destinations are independent", async () => {
    await addDestination("a");
    await addDestination("b");
    await addRows({ outboxId: 1, subject: "s", destinationId: "a" }, { outboxId: 2, subject: "s", destinationId: "b" });
    expect(idsOf(await lease(T0))).toEqual([1, 2]);
  });

  test.each(["dead", "waiting"] as const)("a %s head holds its lane", async (state) => {
    await addDestination("a");
    await addRows({ outboxId: 1, subject: "s", state }, { outboxId: 2, subject: "s" });
    expect(idsOf(await lease(T0))).toEqual([]);
  });

  test.each(["delivered", "discarded"] as const)("a %s row holds nothing", async (state) => {
    await addDestination("a");
    await addRows({ outboxId: 1, subject: "s", state }, { outboxId: 2, subject: "s" });
    expect(idsOf(await lease(T0))).toEqual([2]);
  });

  test("a head that is retried holds the rows behind it until its retry is delivered", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1, subject: "s" }, { outboxId: 2, subject: "s" });
    const head = await leaseOne(T0);
    await record(T0, posted(head, answered(503)));
    expect((await rowOf(2)).due_at).toBe((await rowOf(1)).due_at);
    expect(idsOf(await lease(T0 + 500))).toEqual([]);
    const again = await leaseOne(T0 + 1_000);
    expect(again.outboxId).toBe(1);
    await record(T0 + 1_001, posted(again, answered(200)));
    expect((await leaseOne(T0 + 1_001)).outboxId).toBe(2);
  });

  test("nothing is leased before it is due, nor for a paused destination", async () => {
    await addDestination("a");
    await addDestination("b", { state: "paused" });
    await addRows({ outboxId: 1, dueAt: T0 + 1 }, { outboxId: 2, destinationId: "b" });
    expect(idsOf(await lease(T0))).toEqual([]);
    expect(idsOf(await lease(T0 + 1))).toEqual([1]);
  });
});

describe("leases", () => {
  test("a lease hands out what a post needs", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 });
    expect(await lease(T0)).toEqual({
      deliveries: [
        {
          outboxId: 1,
          leaseToken: expect.any(Number),
          startBeforeMs: T0 + LEASE_SLACK_MS,
          eventId: "31337:0x1:0:INSURER",
          eventType: "REQUEST_ACKNOWLEDGED",
          body: bodyOf(1),
          correlationId: "correlation",
          attempts: 0,
          destination: {
            destinationId: "a",
            kind: "INSURER",
            url: "https://insurer.ca/hook",
            timeoutMs: TIMEOUT_MS,
            sealedSecret: { keyId: "key", sealed: "sealed" },
            itransSignature: "current",
          },
        },
      ],
      more: false,
      rateLimitedUntilMs: undefined,
    });
  });

  test("a lease that ran out is handed out again, 30 s after the last post could have ended, under a higher token", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 });
    const lost = await leaseOne(T0);
    expect(lost.startBeforeMs + TIMEOUT_MS + AFTER_TIMEOUT_WAIT_MS).toBe(T0 + LEASE_MS);
    expect(idsOf(await lease(T0 + LEASE_MS - 1))).toEqual([]);
    const again = await leaseOne(T0 + LEASE_MS);
    expect(again.leaseToken).toBeGreaterThan(lost.leaseToken);
    expect(again.attempts).toBe(0);
  });

  test("an outcome under an old token changes nothing", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 });
    const lost = await leaseOne(T0);
    const again = await leaseOne(T0 + LEASE_MS);
    expect(await record(T0 + LEASE_MS, posted(lost, answered(400)))).toMatchObject({ recorded: 0 });
    expect(await rowOf(1)).toMatchObject({ state: "leased", attempts: 0, lease_token: again.leaseToken });
    expect(await db.prepare("SELECT COUNT(*) AS n FROM delivery_attempts").first("n")).toBe(0);
  });

  test("two leases at once share no row", async () => {
    await addDestination("a");
    await addRows(...Array.from({ length: 40 }, (_, i) => ({ outboxId: i + 1 })));
    const leases = await Promise.all(Array.from({ length: 5 }, () => lease(T0, { limit: 10 })));
    const ids = leases.flatMap(idsOf);
    expect(new Set(ids).size).toBe(40);
    expect(ids).toHaveLength(40);
  });

  test("a limit is shared fairly among destinations, however long one's backlog is", async () => {
    await addDestination("a");
    await addDestination("b");
    await addRows(
      ...Array.from({ length: 30 }, (_, i) => ({ outboxId: i + 1, dueAt: T0 - 60_000 })),
      ...Array.from({ length: 3 }, (_, i) => ({ outboxId: 100 + i, destinationId: "b" })),
    );
    const shared = await lease(T0, { limit: 8 });
    expect(idsOf(shared).filter((id) => id >= 100)).toHaveLength(3);
    expect(shared.deliveries).toHaveLength(8);
    expect(shared.more).toBe(true);
    const bounded = await lease(T0, { limit: 8, perDestination: 2 });
    expect(bounded.deliveries).toHaveLength(2);
    expect(bounded.more).toBe(true);
  });

  test("an excluded destination is passed over", async () => {
    await addDestination("a");
    await addDestination("b");
    await addRows({ outboxId: 1 }, { outboxId: 2, destinationId: "b" });
    expect(idsOf(await lease(T0, { exclude: ["a"] }))).toEqual([2]);
  });

  test("a released row is due at once, with its attempts and its place in the rate", async () => {
    await addDestination("a", { requestsPerMinute: 10 });
    await addRows({ outboxId: 1 });
    const leased = await leaseOne(T0);
    const outcome = { outboxId: leased.outboxId, leaseToken: leased.leaseToken, type: "released" } as const;
    expect(await record(T0, outcome)).toMatchObject({ recorded: 1, due: 1, retries: [], breakers: [] });
    expect(await rowOf(1)).toMatchObject({ state: "due", due_at: T0, attempts: 0 });
    expect((await leaseOne(T0)).outboxId).toBe(1);
  });
});

describe("rates", () => {
  test("an empty lease in the same millisecond charges nothing again", async () => {
    await addDestination("a", { requestsPerMinute: 10 });
    await addRows({ outboxId: 1 });
    expect(idsOf(await lease(T0))).toEqual([1]);
    const drainedAt = () => db.prepare("SELECT drained_at_us FROM relay_rates").first("drained_at_us");
    const charged = await drainedAt();
    expect(idsOf(await lease(T0))).toEqual([]);
    expect(await drainedAt()).toBe(charged);
  });

  test("no 60 seconds hold more leases than the destination's rate, and the rate is used", async () => {
    const requestsPerMinute = 60;
    await addDestination("a", { requestsPerMinute });
    await addRows(...Array.from({ length: 200 }, (_, i) => ({ outboxId: i + 1 })));
    const leasedAt: number[] = [];
    for (let now = T0; now < T0 + 180_000; now += 500) {
      const { deliveries } = await lease(now);
      leasedAt.push(...deliveries.map(() => now));
      await record(now, ...deliveries.map((delivery) => posted(delivery, answered(200))));
    }
    const inWindow = (from: number) => leasedAt.filter((at) => at >= from && at < from + 60_000).length;
    const windows = leasedAt.map(inWindow);
    expect(Math.max(...windows)).toBeLessThanOrEqual(requestsPerMinute);
    expect(leasedAt.length).toBeGreaterThan(requestsPerMinute * 3 * 0.85);
  });

  test("a destination held up by its rate alone says when it takes the next lease", async () => {
    await addDestination("a", { requestsPerMinute: 10 });
    await addRows({ outboxId: 1 }, { outboxId: 2 });
    const first = await lease(T0);
    expect(idsOf(first)).toEqual([1]);
    expect(first.rateLimitedUntilMs).toBe(T0 + 6_000);
    expect(idsOf(await lease(T0 + 5_999))).toEqual([]);
    const next = await lease(T0 + 6_000);
    expect(idsOf(next)).toEqual([2]);
    expect(next.rateLimitedUntilMs).toBeUndefined();
  });
});

describe("outcomes", () => {
  test("a delivery is counted and its attempt kept, once, however often it is recorded", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 });
    const outcome = posted(await leaseOne(T0), answered(204));
    expect(await record(T0 + 20, outcome)).toMatchObject({ recorded: 1 });
    expect(await record(T0 + 30, outcome)).toMatchObject({ recorded: 0 });
    expect(await rowOf(1)).toMatchObject({ state: "delivered", attempts: 1, last_status: 204, settled_at: T0 + 20 });
    expect((await findDelivery(db, 1, undefined))?.attemptsMade).toEqual([
      { startedAt: T0, durationMs: 5, outcome: "delivered", status: 204, error: null, answer: null },
    ]);
    expect(await relayStatus(db, T0, undefined)).toMatchObject({ deliveredCount: 1, pending: 0 });
  });

  test("after a timeout the lane posts nothing for 30 s", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1, subject: "s" }, { outboxId: 2, subject: "s" });
    const { retries } = await record(T0, posted(await leaseOne(T0), { type: "timeout" }));
    expect(retries).toEqual([{ outboxId: 1, dueAt: T0 + AFTER_TIMEOUT_WAIT_MS }]);
    expect(idsOf(await lease(T0 + AFTER_TIMEOUT_WAIT_MS - 1))).toEqual([]);
    expect((await leaseOne(T0 + AFTER_TIMEOUT_WAIT_MS)).outboxId).toBe(1);
  });

  test("eight retries after the first attempt, then a dead letter that holds its lane", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1, subject: "s" }, { outboxId: 2, subject: "s" });
    let now = T0;
    for (let attempt = 1; attempt <= 9; attempt++) {
      now = (await rowOf(1)).due_at;
      await record(now, posted(await leaseOne(now), answered(500)));
    }
    expect(await rowOf(1)).toMatchObject({ state: "dead", attempts: 9, last_status: 500, last_error: "http-500" });
    expect(await rowOf(2)).toMatchObject({ state: "due", due_at: HELD_DUE_AT, attempts: 0 });
    expect(idsOf(await lease(now + 86_400_000))).toEqual([]);
    expect(await listDeadLetters(db, { tenantId: "default" }, 50)).toMatchObject({
      count: 1,
      deadLetters: [{ outboxId: 1, attempts: 9, lastStatus: 500, lastError: "http-500", deadAt: now }],
    });
    expect((await listDeadLetters(db, { tenantId: "another" }, 50)).count).toBe(0);
  });

  test('"not yet known" uses up no retry for ten minutes', async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 });
    let posts = 0;
    for (let now = T0; (await rowOf(1)).state !== "dead"; now = (await rowOf(1)).due_at) {
      await record(now, posted(await leaseOne(now), answered(404, { retryable: true }), now));
      posts += 1;
    }
    const row = await rowOf(1);
    expect(row.settled_at).toBeGreaterThan(T0 + 600_000);
    expect(row.last_error).toBe("not-yet-known");
    expect(posts).toBeGreaterThan(9);
    expect(posts).toBeLessThan(40);
  });

  test("a mixed record settles each row by its own answer", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 }, { outboxId: 2 }, { outboxId: 3 }, { outboxId: 4 });
    const { deliveries } = await lease(T0);
    const results = [
      answered(200),
      answered(429, { retryAfter: "120" }),
      answered(400),
      { type: "connection-failed", reason: "refused" },
    ] as const;
    const outcomes = deliveries.flatMap((delivery, i) => {
      const result = results[i];
      return result === undefined ? [] : [posted(delivery, result)];
    });
    const recorded = await record(T0, ...outcomes);
    expect(recorded.recorded).toBe(4);
    expect(recorded.retries.map(({ outboxId }) => outboxId)).toEqual([2, 4]);
    expect(await rowOf(1)).toMatchObject({ state: "delivered" });
    expect(await rowOf(2)).toMatchObject({ state: "due", due_at: T0 + 120_000, last_error: "http-429" });
    expect(await rowOf(3)).toMatchObject({ state: "dead", last_error: "http-400" });
    expect(await rowOf(4)).toMatchObject({ state: "due", last_error: "connection-failed: refused", last_status: null });
  });
});

describe("sweep and status", () => {
  test("the sweep finds heads that are due and puts rows behind dead letters to rest", async () => {
    await addDestination("a");
    await addRows(
      { outboxId: 1, subject: "s", state: "dead" },
      { outboxId: 2, subject: "s" },
      { outboxId: 3, dueAt: T0 + 1 },
      { outboxId: 4 },
    );
    expect(await holdBehindDead(db, T0, 100)).toBe(1);
    expect(await holdBehindDead(db, T0, 100)).toBe(0);
    expect(await sweepDue(db, T0, 100)).toEqual([4]);
    expect((await rowOf(2)).due_at).toBe(HELD_DUE_AT);
  });

  test("one wake-up is pending at a time", async () => {
    expect(await claimWake(db, T0, T0 + 5_000)).toBe(true);
    expect(await claimWake(db, T0, T0 + 5_000)).toBe(false);
    expect(await claimWake(db, T0, T0 + 1_000)).toBe(true);
    expect(await claimWake(db, T0 + 500, T0 + 3_000)).toBe(false);
    expect(await claimWake(db, T0 + 1_000, T0 + 3_000)).toBe(true);
  });

  test("the status counts what is on its way, retried, waiting and dead, by destination", async () => {
    await addDestination("a");
    await addDestination("b", { state: "paused" });
    await addRows({ outboxId: 1 });
    await record(T0, posted(await leaseOne(T0), answered(503)));
    await addRows(
      { outboxId: 2 },
      { outboxId: 3, state: "waiting" },
      { outboxId: 4, state: "dead" },
      { outboxId: 5, destinationId: "b" },
    );
    const status = await relayStatus(db, T0 + 1_000, "default");
    expect(status).toMatchObject({ deliveredCount: 0, pending: 4, retrying: 1, waiting: 1, deadLetterCount: 1 });
    expect(status.oldestPendingAgeMs).toBe(1_000);
    expect(status.destinations).toMatchObject([
      { destinationId: "a", state: "active", pending: 3, retrying: 1, waiting: 1, deadLetterCount: 1 },
      { destinationId: "b", state: "paused", pending: 1, oldestPendingAgeMs: 1_000 },
    ]);
    expect((await relayStatus(db, T0, "another")).destinations).toEqual([]);
  });

  test("the status counts what is in the relay's hands until its lease runs out, whatever is paused", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 }, { outboxId: 2 });
    await lease(T0, { limit: 1 });
    await setRelayPaused(db, true, T0);
    expect(await relayStatus(db, T0, undefined)).toMatchObject({ pending: 2, underWay: 1 });
    const ends = T0 + LEASE_SLACK_MS + TIMEOUT_MS + AFTER_TIMEOUT_WAIT_MS;
    expect((await relayStatus(db, ends - 1, undefined)).destinations).toMatchObject([{ underWay: 1 }]);
    expect(await relayStatus(db, ends, undefined)).toMatchObject({ pending: 2, underWay: 0 });
  });
});

describe("rows that wait for their anchor", () => {
  const chainOf = (size: number) => ({
    chainId: 31_337,
    contractAddress: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
    blockNumber: size,
    blockHash: "0xbb",
    txHash: `0x${size}`,
    logIndex: 0,
  });

  const anchor = (size: number, state: "submitted" | "confirmed" | "failed", confirmedAt = T0) => {
    const { chainId, contractAddress, blockNumber, blockHash, txHash, logIndex } = chainOf(size);
    return db
      .prepare(
        `INSERT OR REPLACE INTO anchors (ledger_id, size, root_hash, previous_size, state, chain_id, contract_address, nonce,
           tx_hash, block_number, block_hash, log_index, submitted_at, confirmed_at)
         VALUES ('main', ?1, '', 0, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, 0, ?9)`,
      )
      .bind(size, state, chainId, contractAddress, txHash, blockNumber, blockHash, logIndex, confirmedAt)
      .run();
  };

  const anchoredBody = (outboxId: number, size: number): string => {
    const { ledger, data, ...rest } = JSON.parse(bodyOf(outboxId));
    return JSON.stringify({ ...rest, ...chainOf(size), data, ledger });
  };

  beforeEach(async () => {
    await db.batch([
      db.prepare("DELETE FROM anchors"),
      db.prepare(
        `INSERT INTO ledger_heads (ledger_id, version, size, head_hash, root_hash, frontier, last_at)
         SELECT 'main', 0, 0, '', '', '[]', '' WHERE NOT EXISTS (SELECT 1 FROM ledger_heads)`,
      ),
    ]);
    await addDestination("a");
  });
  afterEach(() => db.prepare("DELETE FROM anchors").run());

  test("are leased once an anchor covers them, with the fields of the first that does at their places in the body", async () => {
    await addRows(...[4, 5, 6].map((outboxId) => ({ outboxId, state: "waiting" as const })));
    expect(idsOf(await lease(T0))).toEqual([]);
    await anchor(5, "confirmed");
    await anchor(6, "confirmed");
    await anchor(9, "submitted");
    expect(await relayStatus(db, T0, undefined)).toMatchObject({ pending: 3, waiting: 1 });
    expect((await findDelivery(db, 5, undefined))?.state).toBe("due");
    expect(await sweepDue(db, T0, 100)).toEqual([4, 5]);
    const { deliveries } = await lease(T0 + 7);
    expect(deliveries.map(({ outboxId, body }) => [outboxId, body])).toEqual([
      [4, anchoredBody(4, 5)],
      [5, anchoredBody(5, 6)],
    ]);
    expect(await rowOf(5)).toMatchObject({ state: "leased", body: anchoredBody(5, 6) });
    expect(await rowOf(6)).toMatchObject({ state: "waiting", body: bodyOf(6) });
  });

  test("keep the body of their first lease, whatever becomes of its anchor", async () => {
    await addRows({ outboxId: 5, state: "waiting" });
    await anchor(6, "confirmed");
    const first = await leaseOne(T0);
    await record(T0, posted(first, answered(503)));
    await anchor(6, "failed");
    await anchor(7, "confirmed");
    expect((await leaseOne(T0 + 60_000)).body).toBe(first.body);
  });

  test("are due again when they come back unposted or their lease runs out", async () => {
    await addRows({ outboxId: 5, state: "waiting" });
    await anchor(6, "confirmed");
    const first = await leaseOne(T0);
    expect(idsOf(await lease(T0 + LEASE_MS - 1))).toEqual([]);
    const { outboxId, leaseToken, body } = await leaseOne(T0 + LEASE_MS);
    expect(body).toBe(first.body);
    expect(await record(T0 + LEASE_MS, { outboxId, leaseToken, type: "released" })).toMatchObject({ due: 1 });
    expect((await leaseOne(T0 + LEASE_MS)).body).toBe(first.body);
  });

  test("wait behind the head of their lane, and go when it has gone", async () => {
    await addRows(...[4, 5].map((outboxId) => ({ outboxId, subject: "s", state: "waiting" as const })));
    await anchor(6, "confirmed");
    const head = await leaseOne(T0);
    await record(T0, posted(head, answered(503)));
    const dueAt = (await rowOf(4)).due_at;
    expect((await rowOf(5)).due_at).toBe(dueAt);
    expect(idsOf(await lease(dueAt - 1))).toEqual([]);
    expect(await record(dueAt, posted(await leaseOne(dueAt), answered(200)))).toMatchObject({ due: 1 });
    expect(await leaseOne(dueAt)).toMatchObject({ outboxId: 5, body: anchoredBody(5, 6) });
  });

  test("behind a dead letter are put to rest, and are due once it is replayed", async () => {
    await addRows({ outboxId: 4, subject: "s", state: "dead" }, { outboxId: 5, subject: "s", state: "waiting" });
    await anchor(6, "confirmed");
    expect(await holdBehindDead(db, T0, 100)).toBe(1);
    expect(await holdBehindDead(db, T0, 100)).toBe(0);
    const options = { limit: 5, perMinute: 60, waitMs: 1 };
    expect(await replayDeadLetters(db, { tenantId: undefined }, options, T0)).toMatchObject({ replayed: 1 });
    await record(T0, posted(await leaseOne(T0), answered(200)));
    expect(await leaseOne(T0)).toMatchObject({ outboxId: 5, body: anchoredBody(5, 6) });
  });

  test("are overdue by the time at which their anchor was confirmed", async () => {
    await addRows({ outboxId: 5, state: "waiting", dueAt: 0 });
    await anchor(5, "confirmed", T0 - 60_000);
    expect(await isDeliveryOverdue(db, T0)).toBe(false);
    await anchor(6, "confirmed", T0);
    expect(await isDeliveryOverdue(db, T0 - 1)).toBe(false);
    expect(await isDeliveryOverdue(db, T0)).toBe(true);
  });

  test("of one destination go in the order of their age with what is due otherwise", async () => {
    await addRows({ outboxId: 4, dueAt: T0 - 10 }, { outboxId: 5, state: "waiting" }, { outboxId: 6, dueAt: T0 + 10 });
    await anchor(9, "confirmed");
    expect(idsOf(await lease(T0 + 10, { perDestination: 2 }))).toEqual([4, 5]);
    expect(idsOf(await lease(T0 + 10))).toEqual([6]);
  });

  test("are written twice after their commit, as any other", async () => {
    await addRows(...Array.from({ length: 50 }, (_, i) => ({ outboxId: i + 1, state: "waiting" as const })));
    await anchor(60, "confirmed");
    const counted = countingWrites(db);
    const { deliveries } = await lease(T0, {}, counted.db);
    const outcomes = deliveries.map((delivery) => posted(delivery, answered(200)));
    await recordOutcomes(counted.db, outcomes, POLICY, T0, noJitter);
    expect(outcomes).toHaveLength(50);
    expect(counted.rowsWritten()).toBeLessThanOrEqual(2 * 50 + 3);
  });
});

describe("cost", () => {
  test("leasing and recording one delivery writes at most 5 rows", async () => {
    await addDestination("a");
    await addRows({ outboxId: 1 });
    const counted = countingWrites(db);
    const { deliveries } = await lease(T0, {}, counted.db);
    await recordOutcomes(
      counted.db,
      deliveries.map((delivery) => posted(delivery, answered(200))),
      POLICY,
      T0,
      noJitter,
    );
    expect(counted.rowsWritten()).toBeLessThanOrEqual(5);
    expect(await rowOf(1)).toMatchObject({ state: "delivered" });
  });

  test("leasing and recording many at once writes the row of each twice, and a few for all", async () => {
    await addDestination("a");
    await addRows(...Array.from({ length: 50 }, (_, i) => ({ outboxId: i + 1 })));
    const counted = countingWrites(db);
    const { deliveries } = await lease(T0, {}, counted.db);
    const outcomes = deliveries.map((delivery) => posted(delivery, answered(200)));
    await recordOutcomes(counted.db, outcomes, POLICY, T0, noJitter);
    expect(counted.rowsWritten()).toBeLessThanOrEqual(2 * 50 + 3);
  });

  test("a lease that finds nothing writes nothing", async () => {
    await addDestination("a");
    const counted = countingWrites(db);
    await lease(T0, {}, counted.db);
    expect(counted.rowsWritten()).toBe(0);
  });

  test("no statement reads the whole outbox", async () => {
    const statements = new Set<string>();
    const watched = watchingStatements(db, statements);
    await addDestination("a");
    await addRows(...[1, 2, 3, 4].map((outboxId) => ({ outboxId })));
    const { deliveries } = await lease(T0, {}, watched);
    const outcomes = deliveries.map((delivery, i): DeliveryOutcome => {
      const { outboxId, leaseToken } = delivery;
      return i === 3
        ? { outboxId, leaseToken, type: "released" }
        : posted(delivery, answered([200, 400, 500][i] ?? 200));
    });
    await recordOutcomes(watched, outcomes, POLICY, T0, noJitter);
    await holdBehindDead(watched, T0, 10);
    await sweepDue(watched, T0, 10);
    await listDeadLetters(watched, { tenantId: undefined }, 10);
    for (const status of DELIVERY_STATUSES) await listDeliveries(watched, status, { tenantId: undefined }, 10);
    await listDeliveries(watched, "delivered", { tenantId: undefined }, 10, { order: "oldest" });
    const request = { ledgerId: "main", requestIdHash: "subject-1" };
    await deliveriesOfRequest(watched, request, { tenantId: undefined });
    await parkExpired(watched, T0, 10);
    await isDeliveryOverdue(watched, T0);
    await findDelivery(watched, 1, undefined);
    await replayDeadLetters(
      watched,
      { tenantId: undefined, destinationId: "a" },
      { limit: 5, perMinute: 60, waitMs: 1 },
      T0,
    );
    await discardDeadLetter(watched, 2, undefined, { reason: "TEST", by: undefined, rest: "discard" }, 1, T0);
    await pruneDeadLetters(watched, T0, 10, T0);
    await pruneSettled(watched, T0, 10);
    await deleteDestination(watched, "a");
    expect(statements.size).toBeGreaterThan(30);

    const plans: string[] = [];
    for (const sql of statements) {
      const parameters = Math.max(
        sql.match(/\?(?!\d)/g)?.length ?? 0,
        ...(sql.match(/\?\d/g) ?? []).map((name) => +name.slice(1)),
      );
      const explain = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).bind(...Array.from({ length: parameters }, () => null));
      const { results } = await explain.all<{ readonly detail: string }>();
      plans.push(results.map(({ detail }) => detail).join("\n"));
    }
    const all = plans.join("\n\n");
    expect(all).toContain("outbox_due (destination_id=? AND due_at<?)");
    expect(all).toContain("outbox_lane (destination_id=? AND subject=? AND outbox_id<?)");
    expect(all).toContain("outbox_lane (destination_id=? AND subject=? AND outbox_id>?)");
    expect(all).toContain("outbox_due (destination_id=? AND due_at>? AND due_at<?)");
    expect(all).toContain("outbox_due (destination_id=? AND due_at>?)");
    expect(all).toContain("SEARCH o USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
    expect(all).not.toMatch(
      /SCAN (o|s|outbox|earlier|behind|recorded|probe|later)(?! USING (COVERING )?INDEX outbox_dead)\b/,
    );
  });
});

/** The database, keeping the text of every statement it prepares. */
function watchingStatements(target: D1Database, statements: Set<string>): D1Database {
  return new Proxy(target, {
    get(object, key) {
      if (key === "prepare") {
        return (sql: string) => {
          statements.add(sql);
          return object.prepare(sql);
        };
      }
      const value: unknown = Reflect.get(object, key, object);
      return typeof value === "function" ? value.bind(object) : value;
    },
  });
}

/** The database, adding up what each batch wrote. */
function countingWrites(target: D1Database): { readonly db: D1Database; readonly rowsWritten: () => number } {
  let written = 0;
  const counting = new Proxy(target, {
    get(object, key) {
      if (key === "batch") {
        return async (statements: D1PreparedStatement[]) => {
          const results = await object.batch(statements);
          for (const { meta } of results) written += meta.rows_written;
          return results;
        };
      }
      const value: unknown = Reflect.get(object, key, object);
      return typeof value === "function" ? value.bind(object) : value;
    },
  });
  return { db: counting, rowsWritten: () => written };
}
