import { describe, expect, it } from "vitest";
import { rollbackMessage } from "../../../scripts/lib/cutover/messages.ts";
import {
  type Cutover,
  judge,
  nextOf,
  recordStep,
  remedyOf,
  STEPS,
  type StepId,
  stepOf,
  type TriggerReading,
} from "../../../scripts/lib/cutover/plan.ts";

const AT = "2026-11-22T10:00:00.000Z";
const begun: Cutover = { environment: "staging", commit: "c0ffee", startedAt: AT, records: [] };
const record = (step: StepId, status: "passed" | "failed") => ({
  step,
  status,
  startedAt: AT,
  endedAt: AT,
  evidence: {},
  ...(status === "failed" ? { because: "planted" } : {}),
});

/** @param failing the step that fails, the first time or always. */
function play(failing?: StepId, triggered = false): readonly string[] {
  const words: string[] = [];
  let cutover = begun;
  for (let i = 0; i < 40; i++) {
    const action = nextOf(cutover);
    words.push(action.type === "step" ? action.step.id : action.type);
    if (action.type === "step")
      cutover = recordStep(
        cutover,
        record(action.step.id, action.step.id === failing ? "failed" : "passed"),
        triggered && action.step.id === failing,
      );
    else if (action.type === "watch") cutover = { ...cutover, watched: { from: AT, to: AT, readings: 1 } };
    else if (action.type === "rollback")
      cutover = { ...cutover, rollback: { because: action.because, at: AT, complete: true } };
    else return words;
    cutover = JSON.parse(JSON.stringify(cutover));
  }
  throw new Error("it does not end");
}

const ids = STEPS.map(({ id }) => id);
const ROLLS_BACK: readonly StepId[] = ["verify-hub", "synthetic-claim", "verify-callback"];

it("what to do after a step stopped is a command for the environment that it was about; a rehearsal has none", () => {
  for (const step of STEPS) {
    expect(remedyOf(step, "production")).not.toMatch(/npm run (cutover|rollback)(?! -- --env production)/);
    expect(remedyOf(step, "local")).not.toContain("--env");
  }
  const last = remedyOf(stepOf("first-ten"), "staging");
  expect(last).toContain("npm run cutover -- --env staging again looks again, with --accept N");
  expect(last).toContain("npm run rollback -- --env staging takes everything back");
});

describe("a cutover", () => {
  it("goes through its eleven steps in order, then watches, then has passed", () => {
    expect(ids).toHaveLength(11);
    expect(play()).toEqual([...ids, "watch", "passed"]);
  });

  it.each(ids)("whose step %s fails ends there as written, and no later step is begun", (id) => {
    const until = ids.slice(0, ids.indexOf(id) + 1);
    expect(play(id)).toEqual([...until, ...(ROLLS_BACK.includes(id) ? ["rollback", "rolled-back"] : ["stopped"])]);
  });

  it.each(ids)("in whose step %s a trigger is seen rolls back", (id) => {
    expect(play(id, true).slice(-2)).toEqual(["rollback", "rolled-back"]);
  });

  it.each(ids.filter((id) => !ROLLS_BACK.includes(id)))(
    "that stopped at %s goes on from there, and what passed is not done again",
    (id) => {
      const place = ids.indexOf(id);
      let cutover = begun;
      for (const before of ids.slice(0, place)) cutover = recordStep(cutover, record(before, "passed"), false);
      cutover = recordStep(cutover, record(id, "failed"), false);
      expect(nextOf(cutover)).toMatchObject({ type: "stopped", because: "planted" });
      expect(nextOf(cutover, true)).toMatchObject({ type: "step", step: { id } });
      cutover = recordStep(cutover, record(id, "passed"), false);
      const next = nextOf(cutover);
      expect(next.type === "step" ? next.step.id : next.type).toBe(ids[place + 1] ?? "watch");
    },
  );

  it("says of every step what to do when it fails, with commands", () => {
    for (const { remedy } of STEPS) expect(remedy.length).toBeGreaterThan(30);
  });
});

const MIN = 60_000;
const reading = (minute: number, over: Partial<TriggerReading> = {}): TriggerReading => ({
  at: minute * MIN,
  requests: minute * 100,
  serverErrors: 0,
  deadLetters: 3,
  intact: true,
  hubHealthy: true,
  claimsFailed: 0,
  ...over,
});
const minutes = (count: number, of: (minute: number) => Partial<TriggerReading> = () => ({})) =>
  Array.from({ length: count }, (_, minute) => reading(minute, of(minute)));

describe("a rollback trigger", () => {
  it.each([
    ["nothing", minutes(30), "well"],
    ["no reading yet", [], "well"],
    ["the ledger does not verify, once", minutes(5, (m) => ({ intact: m !== 3 })), "rollback"],
    ["the ledger could not be asked", minutes(5, () => ({ intact: undefined })), "well"],
    ["two of ten claims failed", minutes(5, () => ({ claimsFailed: 2 })), "well"],
    ["three of ten claims failed", minutes(5, () => ({ claimsFailed: 3 })), "rollback"],
    ["the hub is unhealthy for two minutes", minutes(6, (m) => ({ hubHealthy: m < 3 })), "well"],
    ["the hub is unhealthy for longer", minutes(7, (m) => ({ hubHealthy: m < 3 })), "rollback"],
    ["the hub was unhealthy and is well again", minutes(9, (m) => ({ hubHealthy: m < 3 || m > 7 })), "well"],
    ["6 % of requests fail for five minutes", minutes(8, (m) => ({ serverErrors: m * 6 })), "rollback"],
    ["6 % fail for four minutes", minutes(5, (m) => ({ serverErrors: m * 6 })), "well"],
    ["6 % of next to nothing", minutes(8, (m) => ({ requests: m, serverErrors: m })), "well"],
    ["ten dead letters more", minutes(8, (m) => ({ deadLetters: m < 4 ? 3 : 13 })), "well"],
    ["eleven dead letters more in the first hour", minutes(8, (m) => ({ deadLetters: m < 4 ? 3 : 14 })), "evaluate"],
    ["eleven, not mended in a quarter of an hour", minutes(25, (m) => ({ deadLetters: m < 4 ? 3 : 14 })), "rollback"],
    ["eleven, replayed by then", minutes(25, (m) => ({ deadLetters: m < 4 || m > 12 ? 3 : 14 })), "well"],
    [
      "eleven before auto-submit is on, however late",
      minutes(100, (m) => ({ deadLetters: m < 95 ? 3 : 14 })),
      "evaluate",
    ],
    [
      "eleven before auto-submit is on, not mended",
      minutes(100, (m) => ({ deadLetters: m < 70 ? 3 : 14 })),
      "rollback",
    ],
  ] as const)("%s", (_, readings, verdict) => {
    const now = readings.at(-1)?.at ?? 0;
    expect(judge(readings, now, undefined).type).toBe(verdict);
    // The same in a rehearsal, sixty times as fast.
    const fast = readings.map((one) => ({ ...one, at: one.at / 60 }));
    expect(judge(fast, now / 60, undefined, 60).type).toBe(verdict);
  });

  it.each([
    ["7 minutes after auto-submit was switched on", 60, 67, "evaluate"],
    ["59 minutes after", 60, 119, "evaluate"],
    ["before it was", 60, 50, "rollback"],
    ["61 minutes after", 60, 121, "well"],
  ] as const)("counts the first hour of dead letters from auto-submit on: %s", (_, enabled, risen, verdict) => {
    const readings = minutes(risen + 8, (m) => ({ deadLetters: m < risen ? 3 : 503 }));
    const [now, on] = [(enabled > risen ? risen + 16 : risen + 7) * MIN, enabled * MIN];
    expect(judge(readings, now, on).type).toBe(verdict);
    const fast = readings.map((one) => ({ ...one, at: one.at / 60 }));
    expect(judge(fast, now / 60, on / 60, 60).type).toBe(verdict);
  });
});

it("the rollback message comes out filled in", () => {
  const message = rollbackMessage({
    environment: "production",
    at: AT,
    because: "3 of the first ten claims failed",
    from: AT,
    to: AT,
    complete: true,
    ticket: "INC-7",
    backup: "pre-cutover",
    contact: "on-call",
    timeframe: "24 hours",
  });
  expect(message).toContain("at 10:00:00 UTC on 2026-11-22");
  expect(message).toContain("3 of the first ten claims failed");
  expect(message).not.toMatch(/\[(TIME|DATE|NAME|PHONE|BRIEF|START|END)/);
});
