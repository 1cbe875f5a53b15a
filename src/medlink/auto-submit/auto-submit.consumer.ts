/** The consumer of queue `auto-submit` and of its dead-letter queue. Messages are hints; the jobs in D1 are the truth. */
import * as z from "zod";
import { reasonOf } from "../../platform/log.ts";
import { auditInsert } from "../audit/audit.store.ts";
import type { Hub } from "../hub.edge.ts";
import { findJob } from "./jobs.store.ts";
import { runJob } from "./submit.edge.ts";

const hintSchema = z.object({ jobId: z.string().max(64) });

/** As many as an invocation has connections: one slow answer must not hold the claims behind it. */
const SLOTS = 6;
const RETRY_DELAY_SECONDS = 5;

async function eachInSlots<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const slot = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(SLOTS, items.length) }, slot));
}

export async function consumeAutoSubmit(hub: Hub, batch: MessageBatch): Promise<void> {
  await eachInSlots(batch.messages, async (message) => {
    const hint = hintSchema.safeParse(message.body);
    if (!hint.success) {
      hub.log("error", "auto-submit.unreadable-hint", { queue: batch.queue });
      message.ack();
      return;
    }
    try {
      await runJob(hub, hint.data.jobId);
      message.ack();
    } catch (thrown) {
      hub.log("error", "auto-submit.job-not-run", { jobId: hint.data.jobId, reason: reasonOf(thrown) });
      message.retry({ delaySeconds: RETRY_DELAY_SECONDS });
    }
  });
}

/** A hint that failed again and again: recorded and dropped. Its job, if still live, is found by the sweep. */
export async function consumeAutoSubmitDeadLetters(hub: Hub, batch: MessageBatch): Promise<void> {
  await eachInSlots(batch.messages, async (message) => {
    const hint = hintSchema.safeParse(message.body);
    const job = hint.success ? await findJob(hub.db, hint.data.jobId) : undefined;
    hub.log("error", "auto-submit.dead-letter", {
      queue: batch.queue,
      ...(job === undefined ? {} : { jobId: job.jobId }),
    });
    if (job !== undefined) {
      const { clinicId, jobId, correlationId } = job;
      const at = hub.now();
      const action = "autoSubmit.hintDeadLettered";
      await auditInsert(hub.db, { clinicId, actor: "auto-submit", action, subject: jobId, correlationId, at }).run();
    }
    message.ack();
  });
}
