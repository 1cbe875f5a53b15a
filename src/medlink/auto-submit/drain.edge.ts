/**
 * Runs what is due, whichever hint came: fair between clinics, within the window that the breaker toward core leaves and
 * the pace of starts. Hints that are lost, doubled or out of order change nothing: the rows say what is due.
 */

import { reasonOf } from "../../platform/log.ts";
import { DECIDE_AGAIN_LIMIT, isVersionMoved } from "../batch.store.ts";
import type { Hub } from "../hub.edge.ts";
import { OUTAGES_TO_OPEN } from "../settings.ts";
import { readBreaker, type StoredBreaker, saveBreaker } from "./core-breaker.store.ts";
import { type Admission, admit, type BreakerLimits, type CoreBreaker, observe } from "./core-breaker.ts";
import { decide, evolve, type Job } from "./job.ts";
import { dueJobIds, jobStart, readTurn } from "./jobs.store.ts";
import { reached } from "./submission.ts";
import { attempt, changeJob, jobLimits, readJobWithClaim, sendHint } from "./submit.edge.ts";

/** As many as an invocation has connections. */
export const SLOTS = 6;
/** About five subrequests a job, of an invocation's 10,000; and its time. What is left over gets a hint of its own. */
const JOBS_PER_INVOCATION = 200;
const INVOCATION_MS = 20_000;
/** A job that comes due within this is waited for by a hint: its own may have come early. */
const EARLY_HINT_MS = 2_000;
const PACE_WINDOW_MS = 1_000;
/** Between looks for jobs written in this isolate while answers are waited for. Reads memory alone. */
const NEWS_EVERY_MS = 20;

export const breakerLimits = (hub: Hub): BreakerLimits & { readonly startsPerSecond: number } => ({
  outagesToOpen: OUTAGES_TO_OPEN,
  probeDelayMs: hub.settings.ITRANS_AUTO_SUBMIT_PROBE_DELAY_MS,
  maxProbeDelayMs: hub.settings.ITRANS_AUTO_SUBMIT_MAX_PROBE_DELAY_MS,
  window: hub.settings.ITRANS_AUTO_SUBMIT_CONCURRENCY,
  startsPerSecond: hub.settings.ITRANS_AUTO_SUBMIT_STARTS_PER_SECOND,
});

/** Hints for as many consumers as the window keeps busy, if that many jobs are due; each drains whatever is. @returns how many. */
export async function wakeConsumers(hub: Hub, dueBefore = hub.now()): Promise<number> {
  const consumers = Math.ceil(hub.settings.ITRANS_AUTO_SUBMIT_CONCURRENCY / SLOTS);
  const due = await dueJobIds(hub.db, dueBefore, consumers);
  if (due.length === 0) return 0;
  try {
    await hub.queue.sendBatch(due.map((jobId) => ({ body: { jobId } })));
  } catch {
    hub.log("warn", "auto-submit.hint-not-sent");
    return 0;
  }
  return due.length;
}

type Taken =
  | { readonly type: "taken"; readonly job: Job }
  | { readonly type: "nothingDue"; readonly nextDueAt: number | undefined }
  | Exclude<Admission, { type: "admitted" }>;

/** Starts the job whose turn it is. When another invocation was faster, looks again. */
async function takeTurn(hub: Hub): Promise<Taken> {
  const limits = breakerLimits(hub);
  for (let round = 0; round < DECIDE_AGAIN_LIMIT; round++) {
    const now = hub.now();
    const { traffic, job, nextDueAt } = await readTurn(hub.db, now);
    if (job === undefined) return { type: "nothingDue", nextDueAt };
    const admission = admit(traffic, limits, now);
    if (admission.type === "held") return admission;
    const decision = decide(job, { type: "start" }, jobLimits(hub), now);
    if (decision.type === "ignored") continue;
    const started = evolve(job, decision.event, now);
    try {
      const { allowed } = admission;
      const { meta } = await jobStart(hub.db, started, { allowed, startsPerSecond: limits.startsPerSecond }).run();
      if (meta.changes === 1) return { type: "taken", job: started };
    } catch (thrown) {
      if (!isVersionMoved(thrown)) throw thrown;
    }
  }
  return { type: "held", by: "window" }; // others start jobs faster than this one can look
}

/** Tells the breaker what an attempt showed. An observation lost to faster writers is one of many. */
async function observeCore(hub: Hub, wasReached: boolean, job: Job, read: StoredBreaker): Promise<CoreBreaker> {
  const seen = { reached: wasReached, startedAt: job.startedAt ?? 0 };
  let stored = read;
  for (let round = 0; round < DECIDE_AGAIN_LIMIT; round++) {
    const now = hub.now();
    const { breaker } = stored;
    const next = observe(breaker, seen, breakerLimits(hub), now);
    if (next === breaker) return breaker;
    if (await saveBreaker(hub.db, stored, next, now)) {
      if (next.type === "open") {
        hub.log("warn", "core-breaker.opened", { count: next.openings });
        await sendHint(hub, job.jobId, next.probeAt - now);
      } else if (breaker.type !== next.type) {
        hub.log("info", `core-breaker.${next.type}`);
      }
      return next;
    }
    stored = await readBreaker(hub.db);
  }
  return stored.breaker;
}

async function runStarted(hub: Hub, job: Job): Promise<void> {
  const { jobId } = job;
  const outcome = await attempt(hub, job);
  const wasReached = reached(outcome);
  const read = await readJobWithClaim(hub, jobId);
  const stored = read?.breaker ?? (await readBreaker(hub.db));
  const breaker = wasReached === undefined ? undefined : await observeCore(hub, wasReached, job, stored);
  const coreDown = breaker?.type === "open";
  const finished = await changeJob(hub, jobId, { type: "finish", attempt: job.attempt, outcome, coreDown }, read);
  hub.log(outcome.type === "accepted" ? "debug" : "warn", `auto-submit.${outcome.type}`, {
    jobId,
    attempt: job.attempt,
    correlationId: job.correlationId,
    ...(outcome.type === "accepted" ? { requestIdHash: outcome.requestIdHash } : { reason: outcome.error }),
    ...(outcome.status === undefined ? {} : { status: outcome.status }),
  });
  // While the breaker is open, the hint for its probe is enough.
  if (finished.type === "changed" && finished.job.nextAttemptAt !== undefined && !coreDown) {
    await sendHint(hub, jobId, finished.job.nextAttemptAt - finished.job.updatedAt);
  }
}

/**
 * @param hintedJobId what a hint for the rest will name.
 * @param options forMs: no job is started after this time. written: counts what is written by others of this isolate while
 * answers are waited for; it is looked for at once.
 * @returns how many attempts were made.
 * @throws when the database does not answer; a job that was started then is taken back by the sweep.
 */
export async function drain(
  hub: Hub,
  hintedJobId: string,
  { forMs = INVOCATION_MS, written }: { readonly forMs?: number; readonly written?: () => number } = {},
): Promise<number> {
  const began = hub.now();
  const running = new Set<Promise<void>>();
  let started = 0;
  const run = (job: Job): void => {
    const work = runStarted(hub, job)
      .catch((thrown: unknown) => {
        hub.log("error", "auto-submit.job-not-run", { jobId: job.jobId, reason: reasonOf(thrown) });
      })
      .finally(() => running.delete(work));
    running.add(work);
  };
  for (;;) {
    const seen = written?.();
    let stopped: Exclude<Taken, { type: "taken" }> | { readonly type: "budget" } | undefined;
    while (running.size < SLOTS && stopped === undefined) {
      if (started >= JOBS_PER_INVOCATION || hub.now() - began > forMs) {
        stopped = { type: "budget" };
        break;
      }
      const taken = await takeTurn(hub).catch(async (thrown: unknown) => {
        await Promise.all(running);
        throw thrown;
      });
      if (taken.type === "taken") {
        started++;
        run(taken.job);
      } else {
        stopped = taken;
      }
    }
    if (running.size > 0) {
      // Each answer may have widened the window, or made another job due.
      const isNews = (): boolean => running.size < SLOTS && written?.() !== seen;
      let answered = false;
      const answer = Promise.race(running).then(() => {
        answered = true;
      });
      if (written === undefined) await answer;
      while (!answered && !isNews()) await Promise.race([answer, scheduler.wait(NEWS_EVERY_MS)]);
      continue;
    }
    if (stopped !== undefined) await hintForTheRest(hub, hintedJobId, stopped);
    return started;
  }
}

/** When this isolate last sent a hint for when starts are allowed again. */
let pacedAt = 0;

/** One hint is enough for all that is held back within its second: it finds what is due when it comes. */
async function hintAfterPace(hub: Hub, jobId: string): Promise<void> {
  const now = hub.now();
  if (pacedAt <= now && now < pacedAt + PACE_WINDOW_MS) return;
  pacedAt = now;
  await sendHint(hub, jobId, PACE_WINDOW_MS);
}

/** Another hint where nobody else will send one: every waiting job has one behind it, or the sweep. */
async function hintForTheRest(
  hub: Hub,
  jobId: string,
  stopped: Exclude<Taken, { type: "taken" }> | { readonly type: "budget" },
): Promise<void> {
  switch (stopped.type) {
    case "budget":
      return sendHint(hub, jobId);
    case "nothingDue": {
      const { nextDueAt: dueAt } = stopped;
      if (dueAt === undefined) return;
      const inMs = Math.max(0, dueAt - hub.now());
      if (inMs <= EARLY_HINT_MS) await sendHint(hub, jobId, inMs);
      return;
    }
    case "held":
      // Opening sends the hint for the probe, switching on sends one, and whoever fills the window goes on by itself.
      if (stopped.by === "pace") await hintAfterPace(hub, jobId);
  }
}
