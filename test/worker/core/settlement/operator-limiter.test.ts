/** The limiter as an object of the platform: many callers, evictions, a circuit that all see. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { OperatorLimiter, type Permit } from "../../../../durable-objects/operator-limiter.ts";
import type { CoreEnv } from "../../../../src/core/env.ts";
import type { Priority } from "../../../../src/settlement/operator/permits.ts";
import { testEnv } from "../support.ts";

/** A slot every 62 ms. */
const CALLS_PER_MINUTE = 1_000;
const SPACING_MS = 62;

const env = (over: Readonly<Record<string, unknown>> = {}): CoreEnv => ({
  ...testEnv,
  ...{ OPERATOR_CALLS_PER_MINUTE: String(CALLS_PER_MINUTE), OPERATOR_TIMEOUT_MS: "100", ...over },
});

/** A new instance over the object's own storage: what an eviction leaves. */
const started = <Result>(
  name: string,
  run: (limiter: OperatorLimiter, again: () => OperatorLimiter) => Promise<Result>,
  over: Readonly<Record<string, unknown>> = {},
) =>
  runInDurableObject(testEnv.OPERATOR_LIMITER.getByName(name), (_instance, state) => {
    const again = () => new OperatorLimiter(state, env(over));
    return run(again(), again);
  });

const ask = async (limiter: OperatorLimiter, clinicKey = "a", priority: Priority = "normal", maxWaitMs = 5_000) => {
  const permit: Permit = await limiter.acquire({ clinicKey, priority, maxWaitMs });
  return { at: Date.now(), permit };
};

const gaps = (times: readonly number[]): readonly number[] => times.slice(1).map((at, i) => at - (times[i] ?? 0));

describe("the operator's limiter", () => {
  it("gives everyone who asks at once a slot of their own, one after the other", async () => {
    const times = await started("burst", async (limiter) => {
      const given = await Promise.all(Array.from({ length: 12 }, (_, n) => ask(limiter, `clinic-${n}`)));
      expect(given.every(({ permit }) => permit.type === "permit")).toBe(true);
      return given.map(({ at }) => at);
    });
    const sorted = times.toSorted((a, b) => a - b);
    // A late timer may bring one closer to the next, never all of them.
    expect((sorted.at(-1) ?? 0) - (sorted[0] ?? 0)).toBeGreaterThanOrEqual(11 * SPACING_MS - 250);
    expect(Math.max(...gaps(sorted))).toBeLessThan(2_000);
  });

  it("begins no slot anew after an eviction", async () => {
    await started("evicted", async (limiter, again) => {
      const first = await ask(limiter);
      const { nextSlotAt } = limiter.status();
      expect(nextSlotAt).toBeGreaterThanOrEqual(first.at);
      const second = await ask(again());
      expect(second.at).toBeGreaterThanOrEqual(nextSlotAt);
    });
  });

  it("says at once when the wait would be longer than the caller has", async () => {
    await started("busy", async (limiter) => {
      await ask(limiter);
      const waiting = Array.from({ length: 5 }, () => ask(limiter, "a"));
      const { permit } = await ask(limiter, "b", "bulk", 200);
      expect(permit).toMatchObject({ type: "refused", reason: "busy" });
      if (permit.type === "refused") expect(permit.retryAfterMs).toBeGreaterThan(200);
      // Another clinic of the same priority goes before the rest of a crowd.
      expect((await ask(limiter, "b", "normal", 1_000)).permit.type).toBe("permit");
      await Promise.all(waiting);
    });
  });

  it("lets nobody go while the operator asks for a pause", async () => {
    await started("paused", async (limiter) => {
      await ask(limiter);
      limiter.report({ failed: false, key: "stl_1", retryAfterMs: 400 });
      const since = Date.now();
      const { permit } = await ask(limiter, "a", "urgent", 100);
      expect(permit).toMatchObject({ type: "refused", reason: "busy" });
      const later = await ask(limiter);
      expect(later.permit.type).toBe("permit");
      expect(later.at - since).toBeGreaterThanOrEqual(395);
    });
  });

  it("dismisses those who wait when a pause is longer than they can wait", async () => {
    await started("dismissed", async (limiter) => {
      await ask(limiter);
      const waiting = ask(limiter, "a", "normal", 300);
      limiter.report({ failed: false, key: "stl_1", retryAfterMs: 60_000 });
      const { permit } = await waiting;
      expect(permit).toMatchObject({ type: "refused", reason: "busy" });
      if (permit.type === "refused") expect(permit.retryAfterMs).toBeGreaterThan(50_000);
      expect(limiter.status().waiting).toBe(0);
    });
  });

  it("stops everyone while its circuit is open, also after an eviction, and lets one probe through", async () => {
    const open = async (limiter: OperatorLimiter, again: () => OperatorLimiter) => {
      await ask(limiter);
      const waiting = Array.from({ length: 3 }, (_, n) => ask(limiter, `clinic-${n}`, "normal", 1_000_000));
      for (let n = 0; n < 5; n++) limiter.report({ failed: true, key: `stl_${n}` });
      for (const { permit } of await Promise.all(waiting)) {
        expect(permit).toMatchObject({ type: "refused", reason: "open" });
      }
      const next = again();
      expect((await ask(next)).permit).toMatchObject({ type: "refused", reason: "open" });
      expect(next.status().circuit.state).toBe("open");
    };
    // A slot a minute: nobody gets one before the circuit opens.
    await started("circuit", open, { OPERATOR_CALLS_PER_MINUTE: "1" });
    await runInDurableObject(testEnv.OPERATOR_LIMITER.getByName("circuit"), async (_instance, state) => {
      const circuit = state.storage.kv.get<Readonly<Record<string, unknown>>>("circuit");
      state.storage.kv.put("circuit", { ...circuit, untilMs: Date.now() - 1 });
      state.storage.kv.put("nextSlotAt", 0);
      const limiter = new OperatorLimiter(state, env());
      const [one, two] = await Promise.all([ask(limiter), ask(limiter, "b")]);
      expect([one.permit.type, two.permit.type].toSorted()).toEqual(["permit", "refused"]);
      limiter.report({ failed: false, key: "probe" });
      expect(limiter.status().circuit.state).toBe("closed");
      expect((await ask(limiter)).permit.type).toBe("permit");
    });
  });

  it("holds a bounded number of callers", async () => {
    const run = async (limiter: OperatorLimiter) => {
      await ask(limiter);
      const waiting = Array.from({ length: 300 }, (_, n) => ask(limiter, `clinic-${n % 7}`, "normal", 1_000_000_000));
      expect(limiter.status().waiting).toBe(256);
      for (let n = 0; n < 5; n++) limiter.report({ failed: true, key: `stl_${n}` });
      const reasons = (await Promise.all(waiting)).map(({ permit }) => permit.type === "refused" && permit.reason);
      expect(reasons.filter((reason) => reason === "busy")).toHaveLength(44);
      expect(reasons.filter((reason) => reason === "open")).toHaveLength(256);
    };
    await started("full", run, { OPERATOR_CALLS_PER_MINUTE: "1" });
  });
});
