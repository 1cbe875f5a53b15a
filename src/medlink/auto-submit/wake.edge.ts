/**
 * What follows when a job was written: it is run by the invocation that wrote it, after its answer, and with it whatever else is
 * due. The queue is for what that invocation can not do: more than it has slots for, or longer than the platform lets it. Who may
 * start when is decided by the rows, as for a consumer; what is lost with an isolate is found by the sweep.
 */
import { reasonOf } from "../../platform/log.ts";
import type { Hub } from "../hub.edge.ts";
import { drain, SLOTS } from "./drain.edge.ts";
import { sendHint } from "./submit.edge.ts";

/** The platform ends what goes on this long after an answer. */
const AFTER_ANSWER_MS = 30_000;
/** For what comes after the last call: its record, and a hint. */
const MARGIN_MS = 4_000;
const MAX_RUN_MS = 10_000;
/** Between hints for jobs that come faster than one invocation runs them. */
const HINT_EVERY_MS = 1_000;

/** Of this isolate; plain data, since promises belong to the invocation that made them. */
const state = {
  /** Jobs written here so far. */
  written: 0,
  /** Until when an invocation here runs what is due; one that was cut off is taken for ended then. */
  runsUntil: 0,
  /** Jobs that were left to it since the last hint. */
  left: 0,
  hintedAt: 0,
};

/** @returns how long jobs may be started after an answer: the last one must hear from core within the platform's time. */
export const runMs = (timeoutMs: number): number =>
  Math.max(0, Math.min(MAX_RUN_MS, AFTER_ANSWER_MS - timeoutMs - MARGIN_MS));

/** After the batch that wrote the job. Never fails: the sweep finds it. */
export async function wake(hub: Hub, jobId: string): Promise<void> {
  const forMs = runMs(hub.settings.ITRANS_API_TIMEOUT_MS);
  if (hub.later === undefined || !hub.settings.ITRANS_AUTO_SUBMIT_AT_ONCE || forMs === 0) {
    await sendHint(hub, jobId);
    return;
  }
  state.written += 1;
  const now = hub.now();
  if (now >= state.runsUntil) {
    state.runsUntil = now + AFTER_ANSWER_MS;
    hub.later(runDue(hub, jobId, now + forMs));
    return;
  }
  state.left += 1;
  if (state.left >= SLOTS && now - state.hintedAt >= HINT_EVERY_MS) {
    state.left = 0;
    state.hintedAt = now;
    await sendHint(hub, jobId);
  }
}

/** Looks again until nothing was written since its last look began. */
async function runDue(hub: Hub, jobId: string, until: number): Promise<void> {
  try {
    for (;;) {
      const seen = state.written;
      const leftMs = until - hub.now();
      await drain(hub, jobId, { forMs: leftMs, written: () => state.written });
      // A drain whose time is over has sent a hint for the rest.
      if (leftMs <= 0 || seen === state.written) return;
    }
  } catch (thrown) {
    hub.log("error", "auto-submit.not-drained", { reason: reasonOf(thrown) });
    await sendHint(hub, jobId);
  } finally {
    state.runsUntil = 0;
    state.left = 0;
  }
}
