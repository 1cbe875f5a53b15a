/** The consumer of queue `auto-submit` and of its dead-letter queue. Messages are hints; the jobs in D1 are the truth. */
import * as z from "zod";
import { reasonOf } from "../../platform/log.ts";
import { auditInsert } from "../audit/audit.store.ts";
import type { Hub } from "../hub.edge.ts";
import { drain } from "./drain.edge.ts";
import { findJob } from "./jobs.store.ts";

const hintSchema = z.object({ jobId: z.string().max(64) });

const RETRY_DELAY_SECONDS = 5;

/** One hint or ten: whatever is due is run once. @returns how many attempts were made. */
export async function consumeAutoSubmit(hub: Hub, batch: MessageBatch): Promise<number> {
  const jobIds: string[] = [];
  for (const message of batch.messages) {
    const hint = hintSchema.safeParse(message.body);
    if (hint.success) jobIds.push(hint.data.jobId);
    else hub.log("error", "auto-submit.unreadable-hint", { queue: batch.queue });
  }
  const [jobId] = jobIds;
  let attempts = 0;
  if (jobId !== undefined) {
    try {
      attempts = await drain(hub, jobId);
    } catch (thrown) {
      hub.log("error", "auto-submit.not-drained", { reason: reasonOf(thrown) });
      batch.retryAll({ delaySeconds: RETRY_DELAY_SECONDS });
      return attempts;
    }
  }
  batch.ackAll();
  return attempts;
}

/** Hints that failed again and again: recorded and dropped. Their jobs, if still live, are found by the sweep. */
export async function consumeAutoSubmitDeadLetters(hub: Hub, batch: MessageBatch): Promise<number> {
  for (const message of batch.messages) {
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
  }
  return batch.messages.length;
}
