/** The relay's queue handlers. Messages are hints: what is due is read from core, and what a message names is never looked at. */
import type { Log } from "../platform/log.ts";
import type { RelayHint } from "./port.ts";

export interface DeliveriesApi {
  /** Delivers until nothing is due but what takes long; see Deliveries. */
  deliver(pings: readonly PingHint[]): Promise<void>;
}

export type PingHint = NonNullable<RelayHint["ping"]>;

/**
 * Delivers until nothing is due.
 * @throws when core cannot be reached: the batch is then retried, and in the end the sweep brings the work back.
 */
export async function consumeHints(batch: MessageBatch<RelayHint>, deliveries: DeliveriesApi): Promise<void> {
  await deliveries.deliver(batch.messages.flatMap(({ body: { ping } }) => (ping === undefined ? [] : [ping])));
  batch.ackAll();
}

/** Hints that failed time after time. Nothing is lost with them: the sweep finds the rows and sends new ones. */
export function consumeDeadHints(batch: MessageBatch<RelayHint>, log: Log): void {
  log("warn", "relay.hints_given_up", { queue: batch.queue, count: batch.messages.length });
  batch.ackAll();
}
