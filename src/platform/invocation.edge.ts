/** One log event for an invocation that is no request: a cron, a batch of a queue. */
import { newUuid, systemNow } from "./clock.edge.ts";
import { type Log, type LogFields, reasonOf } from "./log.ts";

/** All that is logged through it carries the same correlation id. */
export const correlated =
  (log: Log, correlationId: string): Log =>
  (level, event, fields = {}) =>
    log(level, event, { correlationId, ...fields });

/**
 * Whether it ends well or throws. What else is said within it is said through the log that `work` is given.
 * @param work returns the event's `count`.
 */
export async function loggedInvocation(
  log: Log,
  event: "cron" | "queue",
  fields: LogFields,
  work: (log: Log) => Promise<number>,
): Promise<void> {
  const own = correlated(log, newUuid());
  const startedAt = systemNow();
  try {
    const count = await work(own);
    own("info", event, { ...fields, count, durationMs: systemNow() - startedAt });
  } catch (thrown) {
    own("error", event, { ...fields, reason: reasonOf(thrown), durationMs: systemNow() - startedAt });
    throw thrown;
  }
}
