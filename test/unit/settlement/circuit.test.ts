import { describe, expect, it } from "vitest";
import { afterCall, type Circuit, CLOSED_CIRCUIT, passage, probing } from "../../../src/settlement/operator/circuit.ts";

const calls = (
  circuit: Circuit,
  outcomes: readonly (readonly [failed: boolean, key: string])[],
  from = 0,
  everyMs = 1_000,
) => outcomes.reduce((state, [failed, key], i) => afterCall(state, { failed, key }, from + i * everyMs), circuit);
const failures = (count: number, key?: string) =>
  Array.from({ length: count }, (_, i) => [true, key ?? `stl_${i}`] as const);

describe("the operator's circuit", () => {
  it("opens when nothing of five calls succeeded, and lets one probe through after a while", () => {
    const open = calls(CLOSED_CIRCUIT, failures(5));
    expect(open.state).toBe("open");
    expect(passage(open, 5_000)).toEqual({ type: "stop", retryAfterMs: 4_000 });
    expect(passage(open, 9_000)).toEqual({ type: "probe" });
    const halfOpen = probing(open, 15_000, 9_000);
    expect(passage(halfOpen, 9_001)).toEqual({ type: "stop", retryAfterMs: 14_999 });
    expect(passage(halfOpen, 24_000)).toEqual({ type: "probe" });
  });

  it("stays closed at a tenth of errors and a tenth of timeouts", () => {
    let circuit = CLOSED_CIRCUIT;
    for (let n = 0; n < 600; n++) circuit = afterCall(circuit, { failed: n % 5 === 0, key: `stl_${n}` }, n * 1_030);
    expect(circuit.state).toBe("closed");
  });

  it("opens when half of twenty fail", () => {
    const outcomes = Array.from({ length: 20 }, (_, i) => [i % 2 === 1, `stl_${i}`] as const);
    expect(calls(CLOSED_CIRCUIT, outcomes.slice(0, 19)).state).toBe("closed");
    expect(calls(CLOSED_CIRCUIT, outcomes).state).toBe("open");
  });

  it("does not open for one transaction that always fails", () => {
    expect(calls(CLOSED_CIRCUIT, failures(40, "stl_1")).state).toBe("closed");
  });

  it("opens although calls are minutes apart, as long as none succeeds", () => {
    expect(calls(CLOSED_CIRCUIT, failures(5), 0, 180_000).state).toBe("open");
  });

  it("closes when the probe is answered, and waits twice as long each time it is not", () => {
    const open = calls(CLOSED_CIRCUIT, failures(5));
    const probe = probing(open, 15_000, open.untilMs);
    expect(afterCall(probe, { failed: false, key: "p" }, 10_000)).toEqual(CLOSED_CIRCUIT);
    const again = afterCall(probe, { failed: true, key: "p" }, 10_000);
    expect(again).toMatchObject({ state: "open", untilMs: 20_000, opens: 2 });
    const third = afterCall(probing(again, 15_000, 20_000), { failed: true, key: "p" }, 21_000);
    expect(third).toMatchObject({ state: "open", untilMs: 41_000, opens: 3 });
  });

  it("is not moved by calls that were under way when it opened", () => {
    const open = calls(CLOSED_CIRCUIT, failures(5));
    expect(afterCall(open, { failed: false, key: "x" }, 5_000)).toMatchObject({ state: "open", untilMs: open.untilMs });
    expect(afterCall(open, { failed: true, key: "x" }, 5_000)).toMatchObject({ state: "open", untilMs: open.untilMs });
  });
});
