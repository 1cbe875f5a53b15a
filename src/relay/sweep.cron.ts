/** The sweep: whatever happened to the hints, rows that are due get new ones. */
import type { CoreEnv } from "../core/env.ts";
import { holdBehindDead, parkExpired, sweepDue } from "./outbox.store.ts";

const MAX_ROWS = 1_000;
const ROWS_A_HINT = 100;

export interface Swept {
  /** Rows found due, at most MAX_ROWS: the consumer they wake goes on to the rest. */
  readonly due: number;
  readonly hints: number;
  /** Rows put to rest behind dead letters. */
  readonly held: number;
  /** Rows parked because their leases ran out time after time. */
  readonly parked: number;
}

/** @param now epoch ms. */
export async function sweepRelay(env: Pick<CoreEnv, "DB" | "RELAY_QUEUE">, now: number): Promise<Swept> {
  const parked = await parkExpired(env.DB, now, MAX_ROWS);
  const held = await holdBehindDead(env.DB, now, MAX_ROWS);
  const due = await sweepDue(env.DB, now, MAX_ROWS);
  const hints: MessageSendRequest<{ outboxIds: number[] }>[] = [];
  for (let from = 0; from < due.length; from += ROWS_A_HINT) {
    hints.push({ body: { outboxIds: due.slice(from, from + ROWS_A_HINT) } });
  }
  if (hints.length > 0) await env.RELAY_QUEUE.sendBatch(hints);
  return { due: due.length, hints: hints.length, held, parked };
}
