/** The driver ended at every one of its steps, over the simulated operator's own books. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seededRandom } from "../../e2e/support/random.ts";
import { type Behaviour, Isolate, repeatsAt, type SettlingWorld, settlingWorld } from "../../support/settle-killed.ts";

const CALM = { callsPerMinute: 1_000_000, timeoutMs: 1, completesAfterMs: 1 };
const MANNERS: readonly (readonly [string, Behaviour])[] = [
  ["answers", CALM],
  ["takes effect and does not answer", { ...CALM, timeouts: 0.8 }],
  ["fails before or after it took effect", { ...CALM, serverErrors: 0.8 }],
  ["completes later", { ...CALM, late: 1 }],
  ["refuses", { ...CALM, rejected: 1 }],
  ["asks for a pause", { ...CALM, throttled: 0.6 }],
];
/** More than any drive takes; a drive that ends before its step proves that all were tried. */
const MOST_STEPS = 60;

describe.each(MANNERS)("a driver ended at each of its steps, by an operator that %s", (_manner, behaviour) => {
  let world: SettlingWorld;
  beforeAll(async () => {
    world = await settlingWorld(11);
  });
  afterAll(() => world.close());

  it.each(["before", "after"] as const)("%s the step: the money moves once", async (end) => {
    let step = 1;
    for (; step <= MOST_STEPS; step++) {
      const refId = await world.settle(await world.claim(), "payment", 12_000);
      if (refId === undefined) throw new Error("the ledger refused a payment");
      world.simulator.behave({ ...behaviour, seed: step });
      const isolate = new Isolate((at) => (at === step ? end : undefined));
      await world.drain(isolate, 1);
      world.simulator.behave({ ...behaviour, seed: 1_000 + step, timeouts: 0, serverErrors: 0, throttled: 0 });
      expect(await world.finish(), `everything is settled after step ${step}`).toBe(true);
      if (!isolate.ended) break;
    }
    expect(step).toBeGreaterThan(6);
    expect(step).toBeLessThan(MOST_STEPS);
    expect(world.check()).toEqual([]);
    expect(await repeatsAt(world)).toBe(0);
  });
});

describe("payments, reversals and adjustments while isolates end anywhere and the operator loses answers", () => {
  it.each([1, 2, 3, 4])(
    "never move more than was approved, and each ends completed or rejected (seed %d)",
    async (seed) => {
      const world = await settlingWorld(seed);
      const random = seededRandom(seed);
      try {
        const behaviour = {
          ...CALM,
          seed,
          serverErrors: 0.1,
          timeouts: 0.1,
          throttled: 0.05,
          late: 0.2,
          rejected: 0.1,
        };
        world.simulator.behave(behaviour);
        const claims: { readonly subject: string; readonly payments: string[] }[] = [];
        for (let i = 0; i < 12; i++) claims.push({ subject: await world.claim(), payments: [] });
        let ended = 0;
        for (let round = 0; round < 12; round++) {
          for (const { subject, payments } of claims) {
            const amount = random.between(1, 12_000);
            const paid = payments.find((refId) => world.statusOf(refId) === "COMPLETED");
            const [reverses, adjusts] = [random.chance(0.4), random.chance(0.4)];
            if (paid !== undefined && reverses) await world.settle(subject, "reversal", amount, paid);
            else if (paid !== undefined && adjusts) await world.settle(subject, "adjustment", amount - 6_000);
            else {
              const refId = await world.settle(subject, "payment", amount);
              if (refId !== undefined) payments.push(refId);
            }
          }
          const isolates = Array.from({ length: 3 }, () => {
            const last = random.between(3, 16);
            const end = random.chance(0.5) ? "before" : "after";
            return new Isolate((at) => (at === last ? end : undefined));
          });
          await Promise.all(isolates.map((isolate) => world.drain(isolate, 3)));
          ended += isolates.filter((isolate) => isolate.ended).length;
          if (random.chance(0.5)) world.passLease();
        }
        world.simulator.behave({ ...CALM, seed });
        expect(await world.finish()).toBe(true);
        expect(world.check()).toEqual([]);
        expect(await repeatsAt(world)).toBe(0);
        expect(await world.reconciled()).toEqual({ state: "completed", agreed: world.asked(), mismatches: 0 });
        expect(ended).toBeGreaterThan(10);
      } finally {
        await world.close();
      }
    },
    60_000,
  );
});
