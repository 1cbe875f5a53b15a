import { describe, expect, it } from "vitest";
import {
  admit,
  type BreakerLimits,
  CLOSED,
  type CoreBreaker,
  jobsAllowed,
  observe,
  type Traffic,
} from "../../../src/medlink/auto-submit/core-breaker.ts";
import { reached, readSubmission } from "../../../src/medlink/auto-submit/submission.ts";
import { isOn } from "../../../src/medlink/auto-submit/switches.ts";

const LIMITS: BreakerLimits = { outagesToOpen: 3, probeDelayMs: 5_000, maxProbeDelayMs: 60_000, window: 8 };
const closed = (outages: number): CoreBreaker => ({ type: "closed", outages });
const open = (openings: number, since: number, probeAt: number): CoreBreaker => ({
  type: "open",
  since,
  probeAt,
  openings,
});
const ramping = (window: number, since: number, openings = 1): CoreBreaker => ({
  type: "ramping",
  since,
  window,
  openings,
});

describe("the breaker toward core", () => {
  const NOW = 100_000;
  it.each<[string, CoreBreaker, { reached: boolean; startedAt: number }, CoreBreaker]>([
    ["stays closed while core answers", CLOSED, { reached: true, startedAt: 1 }, CLOSED],
    ["counts an outage", CLOSED, { reached: false, startedAt: 1 }, closed(1)],
    ["forgets outages with an answer", closed(2), { reached: true, startedAt: 1 }, CLOSED],
    ["opens at the third in a row", closed(2), { reached: false, startedAt: 1 }, open(1, NOW, NOW + 5_000)],
    ["ignores all before the probe is due", open(1, 1, NOW + 1), { reached: true, startedAt: 1 }, open(1, 1, NOW + 1)],
    ["lets two run after a probe's answer", open(4, 1, NOW), { reached: true, startedAt: NOW }, ramping(2, NOW, 4)],
    [
      "waits longer after a probe that failed",
      open(2, 1, NOW),
      { reached: false, startedAt: NOW },
      open(3, NOW, NOW + 20_000),
    ],
    ["waits a minute at most", open(50, 1, NOW), { reached: false, startedAt: NOW }, open(51, NOW, NOW + 60_000)],
    ["blames no new outage on an old attempt", open(1, 50, NOW), { reached: false, startedAt: 49 }, open(1, 50, NOW)],
    ["widens by one with each answer", ramping(3, 1), { reached: true, startedAt: 2 }, ramping(4, 1)],
    ["closes when the window is whole", ramping(7, 1), { reached: true, startedAt: 2 }, CLOSED],
    [
      "opens again at once while it widens",
      ramping(5, 1, 2),
      { reached: false, startedAt: 2 },
      open(3, NOW, NOW + 20_000),
    ],
    ["keeps widening when an old attempt ends", ramping(5, 50), { reached: false, startedAt: 49 }, ramping(5, 50)],
  ])("%s", (_, before, seen, after) => {
    expect(observe(before, seen, LIMITS, NOW)).toEqual(after);
  });

  it("lets none run while open, one probe, then the window", () => {
    expect(jobsAllowed(CLOSED, LIMITS, 5)).toBe(8);
    expect(jobsAllowed(closed(2), LIMITS, 5)).toBe(8);
    expect(jobsAllowed(open(1, 0, 6), LIMITS, 5)).toBe(0);
    expect(jobsAllowed(open(1, 0, 5), LIMITS, 5)).toBe(1);
    expect(jobsAllowed(ramping(3, 0), LIMITS, 5)).toBe(3);
    expect(jobsAllowed(ramping(30, 0), LIMITS, 5)).toBe(8);
  });

  it("closes straight after a probe's answer where the window is one or two", () => {
    for (const window of [1, 2]) {
      expect(observe(open(1, 0, 5), { reached: true, startedAt: 5 }, { ...LIMITS, window }, 6)).toEqual(CLOSED);
    }
  });

  it("probes an hour's outage about once a minute", () => {
    let breaker: CoreBreaker = open(1, 0, 5_000);
    let probes = 0;
    for (let now = 0; now < 3_600_000; now += 1_000) {
      if (jobsAllowed(breaker, LIMITS, now) === 0) continue;
      probes++;
      breaker = observe(breaker, { reached: false, startedAt: now }, LIMITS, now);
    }
    expect(probes).toBeGreaterThan(55);
    expect(probes).toBeLessThan(70);
  });
});

describe("admission", () => {
  const calm: Traffic = { hubSwitch: undefined, breaker: CLOSED, running: 0, startsLastSecond: 0 };
  const limits = { ...LIMITS, startsPerSecond: 10 };
  it.each<[string, Partial<Traffic>, ReturnType<typeof admit>]>([
    ["admits when all is calm", {}, { type: "admitted", allowed: 8 }],
    ["admits when switched on", { hubSwitch: true }, { type: "admitted", allowed: 8 }],
    ["holds when the hub is off", { hubSwitch: false }, { type: "held", by: "switch" }],
    ["holds while the breaker is open", { breaker: open(1, 0, 9) }, { type: "held", by: "breaker" }],
    ["admits one probe", { breaker: open(1, 0, 5) }, { type: "admitted", allowed: 1 }],
    ["holds a second probe", { breaker: open(1, 0, 5), running: 1 }, { type: "held", by: "window" }],
    ["holds when the window is full", { running: 8 }, { type: "held", by: "window" }],
    ["holds when the second's starts are spent", { startsLastSecond: 10 }, { type: "held", by: "pace" }],
  ])("%s", (_, over, expected) => {
    expect(admit({ ...calm, ...over }, limits, 5)).toEqual(expected);
  });
});

it.each([
  [200, "refused", true],
  [400, "refused", true],
  [404, "refused", true],
  [409, "refused", true],
  [429, "refused", true],
  [500, "refused", true],
  [501, "refused", true],
  [502, "unreached", false],
  [503, "unreached", false],
  [504, "unreached", false],
])("takes an answer of %i without ids as %s", (status, type, wasReached) => {
  const outcome = readSubmission({ status, text: "{}" });
  expect(outcome.type).toBe(type);
  expect(reached(outcome)).toBe(wasReached);
});

it("learns nothing of core from a claim that was never sent", () => {
  expect(reached({ type: "refused", error: "claim_incomplete", status: undefined })).toBeUndefined();
});

it.each([
  [undefined, undefined, false, false],
  [undefined, undefined, true, true],
  [undefined, false, true, false],
  [undefined, true, false, true],
  [true, undefined, false, true],
  [true, false, false, false],
  [false, true, true, false],
])("queues by itself with hub %s, clinic %s, setting %s: %s", (hub, clinic, setting, expected) => {
  expect(isOn({ hub, clinic, setting })).toBe(expected);
});
