/** Waits until no delivery is pending. Progress bounds it, not time: a busy machine takes longer over the same number of posts. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { type Answer, call, summaryOf } from "../../../scripts/lib/http.ts";
import { KEYS } from "./stack.ts";

const statusSchema = z.looseObject({ deliveredCount: z.number(), pending: z.number(), deadLetterCount: z.number() });

const LOOK_MS = 250;
const SAY_EVERY_MS = 15_000;

export interface DrainOptions {
  /** How many posts the receivers got so far. Retries are counted, so that they can not go on for ever. */
  readonly posts: () => number;
  /** Longer than anything waits: with neither a post nor a delivery for so long, it is stuck. */
  readonly stuckMs: number;
  readonly say?: (text: string) => void;
}

/** @returns what is wrong; empty once nothing is pending. */
export async function drained(core: string, { posts, stuckMs, say }: DrainOptions): Promise<readonly string[]> {
  let progress = "";
  let progressAt = performance.now();
  let saidAt = progressAt;
  for (; ; await sleep(LOOK_MS)) {
    const answer = await statusOf(core);
    const status = statusSchema.safeParse(answer?.body).data;
    if (status !== undefined) {
      if (status.deadLetterCount > 0) return [`${status.deadLetterCount} dead letters: ${await deadLettersOf(core)}`];
      if (status.pending === 0) return [];
    }
    const now = performance.now();
    const seen = `${posts()} posts, ${status?.deliveredCount} delivered`;
    // No answer is no news: it says nothing of the deliveries.
    if (status !== undefined && seen !== progress) {
      progress = seen;
      progressAt = now;
    }
    if (now - progressAt > stuckMs) {
      const last = answer === undefined ? "core does not answer" : summaryOf(answer);
      return [`no delivery got on for ${stuckMs / 1_000} s: ${last}`];
    }
    if (say !== undefined && now - saidAt > SAY_EVERY_MS) {
      saidAt = now;
      say(`${status?.pending ?? "?"} deliveries pending`);
    }
  }
}

const statusOf = (core: string): Promise<Answer | undefined> =>
  call(`${core}/relay/workflow/status`, { headers: { "x-api-key": KEYS.workflow } }).catch(() => undefined);

/** Why they were given up. */
async function deadLettersOf(core: string): Promise<string> {
  const answer = await call(`${core}/relay/workflow/dead-letters?limit=5`, { headers: { "x-api-key": KEYS.workflow } });
  return summaryOf(answer);
}
