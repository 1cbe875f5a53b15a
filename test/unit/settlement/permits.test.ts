/** The pace and the order of permits, on a virtual clock. */
import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../scripts/lib/operator-simulator/behaviour.ts";
import {
  JITTER_MS,
  type Priority,
  permitPolicy,
  postponed,
  spacingMs,
  takeSlot,
  type Waiter,
  WaitingRoom,
} from "../../../src/settlement/operator/permits.ts";

const POLICY = permitPolicy(60);
const SCHEDULES = 10_000;
const MINUTE = 60_000;

interface Schedule {
  /** When permits were given, epoch ms. */
  readonly permits: readonly number[];
  /** When their calls arrived at the operator, in that order of time. */
  readonly arrivals: readonly number[];
}

/** Three minutes of a limiter as durable-objects/operator-limiter.ts drives it. */
function run(random: () => number, options: { readonly idle?: boolean; readonly maxJitterMs?: number } = {}): Schedule {
  const permits: number[] = [];
  const arrivals: number[] = [];
  const begin = Math.floor(random() * 1e12);
  const end = begin + 3 * MINUTE;
  // How late timers are, how long permits and calls are under way: the same bound for the whole schedule, drawn anew each time.
  const lateMs = random() * random() * 2 * JITTER_MS.lateTimer;
  const permitMs = random() * JITTER_MS.permit;
  const networkMs = Math.min(options.maxJitterMs ?? Number.POSITIVE_INFINITY, random() * JITTER_MS.network);
  const latencyMs = random() * 400;
  let now = begin;
  let next = 0;
  while (now < end) {
    const slot = takeSlot(next, POLICY, now);
    if ("waitMs" in slot) {
      now += slot.waitMs + Math.floor(random() * lateMs);
      continue;
    }
    // Stored before the permit leaves; whatever else the object knew may be lost at any moment.
    next = slot.nextSlotAt;
    permits.push(now);
    arrivals.push(now + latencyMs + random() * permitMs + random() * networkMs);
    if (options.idle === true && random() < 0.02) now += Math.floor(random() * 20_000);
    if (options.idle === true && random() < 0.02) next = postponed(next, Math.floor(random() * 10_000), now);
  }
  return { permits, arrivals: arrivals.sort((a, b) => a - b) };
}

/** Counted as the operator counts: arrivals less than a minute apart. */
function mostInAMinute(times: readonly number[]): number {
  let most = 0;
  let first = 0;
  for (const [last, at] of times.entries()) {
    while (at - (times[first] ?? at) >= MINUTE) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

/** The fewest in any whole minute between the first and the last. */
function fewestInAMinute(times: readonly number[]): number {
  let fewest = Number.POSITIVE_INFINITY;
  let first = 0;
  let last = 0;
  // A minute that holds fewest begins just after one of them.
  for (const from of times) {
    while ((times[first] ?? Number.POSITIVE_INFINITY) <= from) first += 1;
    while ((times[last] ?? Number.POSITIVE_INFINITY) <= from + MINUTE) last += 1;
    if (last >= times.length) break;
    fewest = Math.min(fewest, last - first);
  }
  return fewest;
}

describe("slots", () => {
  it(`let at most 60 calls arrive in any minute, in ${SCHEDULES} schedules with late timers, slow permits, idle times and pauses`, () => {
    const random = seededRandom(20_261_122);
    let most = 0;
    for (let n = 0; n < SCHEDULES; n++)
      most = Math.max(most, mostInAMinute(run(random, { idle: n % 2 === 0 }).arrivals));
    expect(most).toBeLessThanOrEqual(60);
    expect(most).toBeGreaterThanOrEqual(58);
  });

  it("give at least 57 permits in every minute in which somebody waits", () => {
    const random = seededRandom(7);
    let fewest = Number.POSITIVE_INFINITY;
    for (let n = 0; n < 2_000; n++) {
      const lateTimers = () => random() * 0.7; // so that none is later than what is no drift
      fewest = Math.min(fewest, fewestInAMinute(run(lateTimers).permits));
    }
    expect(fewest).toBeGreaterThanOrEqual(57);
  });

  it("would let too many arrive without the margin for what calls are delayed", () => {
    const tight = { ...POLICY, jitterMs: 0 };
    const random = seededRandom(3);
    const arrivals: number[] = [];
    for (let now = 0, next = 0; now < 3 * MINUTE; ) {
      const slot = takeSlot(next, tight, now);
      if ("waitMs" in slot) now += slot.waitMs;
      else {
        next = slot.nextSlotAt;
        arrivals.push(now + random() * 1_500);
      }
    }
    expect(mostInAMinute(arrivals.sort((a, b) => a - b))).toBeGreaterThan(60);
  });

  it("save nothing up while nobody calls", () => {
    const slot = takeSlot(1_000, POLICY, 10 * MINUTE);
    expect(slot).toEqual({ nextSlotAt: 10 * MINUTE + spacingMs(POLICY) });
  });

  it("do not drift by timers that are a little late, and begin anew after one that is more", () => {
    expect(takeSlot(1_000, POLICY, 1_250)).toEqual({ nextSlotAt: 1_000 + spacingMs(POLICY) });
    expect(takeSlot(1_000, POLICY, 1_251)).toEqual({ nextSlotAt: 1_251 + spacingMs(POLICY) });
  });

  it("wait for as long as the operator says, and never come sooner for it", () => {
    expect(postponed(5_000, 30_000, 1_000)).toBe(31_000);
    expect(postponed(50_000, 3_000, 1_000)).toBe(50_000);
  });

  it("follow the limit that is set", () => {
    expect([1, 60, 600, 6_000].map((limit) => spacingMs(permitPolicy(limit)))).toEqual([61_751, 1_030, 103, 11]);
  });
});

describe("the waiting room", () => {
  const room = (maxWaiting = 100) => new WaitingRoom<Waiter & { readonly n: number }>({ ...POLICY, maxWaiting });
  const one = (clinicKey: string, n: number, priority: Priority = "normal") => ({ clinicKey, priority, n });
  const drain = (held: WaitingRoom<Waiter & { readonly n: number }>) => {
    const order: string[] = [];
    for (let next = held.next(); next !== undefined; next = held.next()) order.push(`${next.clinicKey}${next.n}`);
    return order;
  };

  it("goes round the clinics, however many one of them sends", () => {
    const held = room();
    for (let n = 1; n <= 4; n++) held.enter(one("a", n));
    held.enter(one("b", 1));
    held.enter(one("c", 1));
    held.enter(one("b", 2));
    expect(drain(held)).toEqual(["a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
  });

  it("lets a clinic that was just served wait for the others, although it comes back at once", () => {
    const held = room();
    held.enter(one("a", 1));
    held.enter(one("b", 1));
    expect(held.next()?.clinicKey).toBe("a");
    held.enter(one("a", 2));
    expect(drain(held)).toEqual(["b1", "a2"]);
  });

  it("takes what is urgent first, and lets nobody wait for ever", () => {
    const held = room();
    for (let n = 1; n <= 20; n++) held.enter(one("a", n, "urgent"));
    for (let n = 1; n <= 3; n++) held.enter(one("b", n, "normal"));
    for (let n = 1; n <= 2; n++) held.enter(one("c", n, "bulk"));
    const order = drain(held);
    expect(order.slice(0, 10)).toEqual(["a1", "a2", "a3", "b1", "a4", "a5", "a6", "b2", "a7", "c1"]);
    expect(order).toHaveLength(25);
  });

  it("makes room at the cost of whoever takes most of it, bulk first", () => {
    const held = room(4);
    for (let n = 1; n <= 3; n++) held.enter(one("a", n));
    held.enter(one("b", 1));
    expect(held.enter(one("c", 1))).toMatchObject({ clinicKey: "a", n: 3 });
    expect(held.enter(one("a", 4))).toMatchObject({ clinicKey: "a", n: 4 });
    const bulk = room(2);
    bulk.enter(one("a", 1, "bulk"));
    bulk.enter(one("b", 1, "urgent"));
    expect(bulk.enter(one("b", 2, "urgent"))).toMatchObject({ clinicKey: "a", n: 1 });
    expect(bulk.size).toBe(2);
  });

  it("tells a newcomer how many go before it", () => {
    const held = room();
    for (let n = 1; n <= 10; n++) held.enter(one("a", n));
    held.enter(one("b", 1, "urgent"));
    expect(held.ahead(one("c", 1))).toBe(2);
    expect(held.ahead(one("a", 11))).toBe(11);
    expect(held.ahead(one("a", 1, "urgent"))).toBe(1);
  });
});
