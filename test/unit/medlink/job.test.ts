import { describe, expect, it } from "vitest";
import {
  decide,
  evolve,
  isLive,
  type Job,
  type JobCommand,
  type JobLimits,
  newJob,
  retryDelayMs,
} from "../../../src/medlink/auto-submit/job.ts";

const LIMITS: JobLimits = { maxAttempts: 4, baseDelayMs: 3_000, maxDelayMs: 60_000, leaseMs: 50_000, maxDeferrals: 3 };

const fresh = (maxAttempts = 4): Job =>
  newJob(
    {
      jobId: "job_1",
      clinicId: "cln_1",
      claimId: "clm_1",
      claimType: "claim",
      correlationId: "c",
      requestedBy: "usr_1",
      maxAttempts,
    },
    1_000,
  );

/** Applies commands that must each give an event. */
function applied(job: Job, ...steps: readonly (readonly [JobCommand, number])[]): Job {
  return steps.reduce((current, [command, now]) => {
    const decision = decide(current, command, LIMITS, now);
    if (decision.type !== "event") throw new Error(`${command.type} was ignored in ${current.state}`);
    return evolve(current, decision.event, now);
  }, job);
}

const start: JobCommand = { type: "start" };
const recover: JobCommand = { type: "recover" };
const refused = (attempt: number): JobCommand => ({
  type: "finish",
  attempt,
  outcome: { type: "refused", error: "upstream_500", status: 500 },
  coreDown: false,
});
const unreached = (attempt: number, coreDown: boolean): JobCommand => ({
  type: "finish",
  attempt,
  outcome: { type: "unreached", error: "upstream_timeout", status: undefined },
  coreDown,
});
const accepted = (attempt: number): JobCommand => ({
  type: "finish",
  attempt,
  outcome: { type: "accepted", requestId: "clm_1", requestIdHash: "0x1", status: 201 },
  coreDown: false,
});
const requeue: JobCommand = { type: "requeue", maxAttempts: 4, correlationId: "d", requestedBy: "usr_2" };

describe("an auto-submit job", () => {
  it("doubles the gap after each attempt up to the cap", () => {
    expect([1, 2, 3, 4, 5, 6, 50].map((attempt) => retryDelayMs(attempt, LIMITS))).toEqual([
      3_000, 6_000, 12_000, 24_000, 48_000, 60_000, 60_000,
    ]);
  });

  it("succeeds with the ids core gave", () => {
    const job = applied(fresh(), [start, 1_000], [accepted(1), 1_100]);
    expect(job).toMatchObject({ state: "succeeded", attempt: 1, requestId: "clm_1", requestIdHash: "0x1", version: 2 });
  });

  it("retries at the gap's end, not before, and fails when its attempts are spent", () => {
    let job = applied(fresh(), [start, 1_000], [refused(1), 2_000]);
    expect(job).toMatchObject({ state: "retrying", nextAttemptAt: 5_000, lastError: "upstream_500" });
    expect(decide(job, start, LIMITS, 4_999)).toEqual({ type: "ignored", dueInMs: 1 });
    for (let attempt = 2; attempt <= 4; attempt++)
      job = applied(job, [start, 1_000_000 * attempt], [refused(attempt), 1_000_000 * attempt]);
    expect(job).toMatchObject({ state: "failed", attempt: 4, nextAttemptAt: undefined, lastUpstreamStatus: 500 });
    expect(decide(job, start, LIMITS, 9e9)).toEqual({ type: "ignored" });
  });

  it("starts no second attempt while one runs", () => {
    expect(decide(applied(fresh(), [start, 1_000]), start, LIMITS, 2_000)).toEqual({ type: "ignored" });
  });

  it("is taken back after a crash only once its lease has ended, with the attempt spent", () => {
    const running = applied(fresh(), [start, 1_000]);
    expect(decide(running, recover, LIMITS, 50_999)).toEqual({ type: "ignored" });
    expect(applied(running, [recover, 51_000])).toMatchObject({ state: "retrying", attempt: 1, nextAttemptAt: 51_000 });
    expect(applied(fresh(1), [start, 1_000], [recover, 51_000])).toMatchObject({ state: "failed", attempt: 1 });
  });

  it("ignores the failure of an attempt that was taken back, and believes its success", () => {
    const taken = applied(fresh(), [start, 1_000], [recover, 51_000], [start, 51_000]);
    expect(decide(taken, refused(1), LIMITS, 52_000)).toEqual({ type: "ignored" });
    expect(applied(taken, [accepted(1), 52_000])).toMatchObject({ state: "succeeded" });
    const failed = applied(fresh(1), [start, 1_000], [recover, 51_000]);
    expect(applied(failed, [accepted(1), 52_000])).toMatchObject({ state: "succeeded" });
  });

  it("gets an attempt back that did not reach core, and waits as after a refusal", () => {
    const first = applied(fresh(), [start, 1_000], [unreached(1, false), 2_000]);
    expect(first).toMatchObject({ state: "queued", attempt: 0, deferrals: 1, nextAttemptAt: 5_000 });
    expect(first).toMatchObject({ lastError: "upstream_timeout", leaseUntil: undefined });
    const second = applied(first, [start, 5_000], [refused(1), 6_000], [start, 10_000], [unreached(2, false), 11_000]);
    expect(second).toMatchObject({ state: "retrying", attempt: 1, deferrals: 2, nextAttemptAt: 17_000 });
  });

  it("outlasts an outage of any length, and not an endless silence while core answers others", () => {
    let job = fresh();
    for (let probe = 1; probe <= 500; probe++)
      job = applied(job, [start, probe * 60_000], [unreached(1, true), probe * 60_000 + 20_000]);
    expect(job).toMatchObject({ state: "queued", attempt: 0, deferrals: 0 });
    for (let round = 1; round <= 4; round++) {
      const at = 1e9 + round * 1e6;
      job = applied(job, [start, at], [unreached(1, false), at + 1]);
    }
    expect(job).toMatchObject({ state: "failed", lastError: "upstream_timeout" });
    expect(applied(job, [requeue, 2e9])).toMatchObject({ state: "queued", attempt: 0, deferrals: 0 });
  });

  it("is queued again only from failed, with all attempts new", () => {
    const failed = applied(fresh(1), [start, 1_000], [refused(1), 2_000]);
    expect(applied(failed, [requeue, 3_000])).toMatchObject({
      state: "queued",
      attempt: 0,
      maxAttempts: 4,
      nextAttemptAt: 3_000,
      requestedBy: "usr_2",
    });
    for (const job of [
      fresh(),
      applied(fresh(), [start, 1_000]),
      applied(fresh(), [start, 1_000], [accepted(1), 2_000]),
    ]) {
      expect(decide(job, requeue, LIMITS, 3_000)).toEqual({ type: "ignored" });
    }
  });

  it("raises its version with every change and ends whatever order commands come in", () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    for (let run = 0; run < 200; run++) {
      let job = fresh();
      let now = 1_000;
      for (let step = 0; step < 500 && isLive(job.state); step++) {
        now += random(60_000);
        const commands = [
          start,
          start,
          recover,
          refused(job.attempt),
          refused(job.attempt - 1),
          unreached(job.attempt, false),
        ] as const;
        const decision = decide(job, commands[random(commands.length)] ?? start, LIMITS, now);
        if (decision.type === "ignored") continue;
        const next = evolve(job, decision.event, now);
        expect(next.version).toBe(job.version + 1);
        expect(next.attempt).toBeLessThanOrEqual(next.maxAttempts);
        expect(next.state === "running").toBe(next.leaseUntil !== undefined);
        expect(next.state === "queued" || next.state === "retrying").toBe(next.nextAttemptAt !== undefined);
        job = next;
      }
      expect(job.state).toBe("failed");
    }
  });
});
