/** What makes rows of the outbox due, beside their commit, and what puts them to rest: anchors, the sweep. */
import type { ChainFields } from "./events.ts";
import {
  BROKEN,
  DESTINATIONS,
  expiries,
  HELD_DUE_AT,
  MAX_EXPIRED_LEASES,
  NOT_BEHIND_ANOTHER,
  RUNNING,
} from "./lanes.store.ts";

/** Rows one statement releases: a long outage of the chain must not make a batch that the database refuses. */
const MAX_RELEASED = 2_000;

/**
 * Turns rows that waited for this anchor into due ones, with the chain's fields in their bodies: the keys are there already,
 * with null, and keep their places. For the batch that confirms the anchor; the sweep releases what is beyond MAX_RELEASED.
 * @param size the anchored tree size: entries 0 to size - 1.
 */
export function releaseAnchored(
  db: D1Database,
  {
    ledgerId,
    size,
    chain,
    now,
  }: {
    readonly ledgerId: string;
    readonly size: number;
    readonly chain: ChainFields;
    readonly now: number;
  },
): D1PreparedStatement {
  const keys = ["chainId", "contractAddress", "blockNumber", "blockHash", "txHash", "logIndex"] as const;
  const fields = keys.map((key) => `'$.${key}', json_extract(?4, '$.${key}')`).join(", ");
  return db
    .prepare(
      `UPDATE outbox SET state = 'due', due_at = ?3, body = json_set(body, ${fields})
       WHERE outbox_id IN (
         SELECT o.outbox_id FROM outbox AS o WHERE o.state = 'waiting' AND o.ledger_id = ?1 AND o.seq < ?2
         ORDER BY o.seq LIMIT ${MAX_RELEASED})`,
    )
    .bind(ledgerId, size, now, JSON.stringify(chain));
}

/**
 * Releases rows that still wait though an anchor covers them: those beyond the bound of its confirmation.
 * @returns how many; MAX_RELEASED at most for each call.
 */
export async function releaseCovered(db: D1Database, ledgerId: string, now: number): Promise<number> {
  const { meta } = await db
    .prepare(
      `WITH covered AS MATERIALIZED (
         SELECT o.outbox_id, a.chain_id, a.contract_address, a.block_number, a.block_hash, a.tx_hash, a.log_index
         FROM outbox AS o CROSS JOIN anchors AS a ON a.ledger_id = o.ledger_id AND a.state = 'confirmed' AND a.size = (
           SELECT MIN(size) FROM anchors WHERE ledger_id = o.ledger_id AND state = 'confirmed' AND size > o.seq)
         WHERE o.state = 'waiting' AND o.ledger_id = ?1
           AND o.seq < (SELECT MAX(size) FROM anchors WHERE ledger_id = ?1 AND state = 'confirmed')
         ORDER BY o.seq LIMIT ${MAX_RELEASED}
       )
       UPDATE outbox SET state = 'due', due_at = ?2,
         body = json_set(body, '$.chainId', chain_id, '$.contractAddress', contract_address, '$.blockNumber', block_number,
           '$.blockHash', block_hash, '$.txHash', tx_hash, '$.logIndex', log_index)
       FROM covered WHERE outbox.outbox_id = covered.outbox_id`,
    )
    .bind(ledgerId, now)
    .run();
  return meta.changes;
}

/**
 * Rows that are due now, oldest destination first, for the sweep's hints; some may be held behind others.
 * @returns at most `limit` outbox ids.
 */
export async function sweepDue(db: D1Database, now: number, limit: number): Promise<readonly number[]> {
  const { results } = await db
    .prepare(
      `SELECT o.outbox_id FROM ${DESTINATIONS} CROSS JOIN outbox AS o ON o.destination_id = d.destination_id
       WHERE ${RUNNING} AND NOT ${BROKEN} AND o.state IN ('due', 'leased') AND o.due_at <= ?1 AND ${NOT_BEHIND_ANOTHER}
       LIMIT ?2`,
    )
    .bind(now, limit)
    .all<{ readonly outbox_id: number }>();
  return results.map((row) => row.outbox_id);
}

/**
 * Gives rows that joined a lane after its head went dead the due time of the others there, so that leases pass them by.
 * @returns how many, at most `limit`.
 */
export async function holdBehindDead(db: D1Database, now: number, limit: number): Promise<number> {
  const { meta } = await db
    .prepare(
      `UPDATE outbox SET due_at = ${HELD_DUE_AT} WHERE outbox_id IN (
         SELECT o.outbox_id FROM destinations AS d CROSS JOIN outbox AS o ON o.destination_id = d.destination_id
         WHERE o.state IN ('due', 'leased') AND o.due_at <= ?1 AND o.state = 'due' AND EXISTS (
           SELECT 1 FROM outbox AS earlier
           WHERE earlier.destination_id = o.destination_id AND earlier.subject = o.subject
             AND earlier.outbox_id < o.outbox_id AND earlier.state NOT IN ('delivered', 'discarded')
             AND earlier.state = 'dead')
         LIMIT ?2)`,
    )
    .bind(now, limit)
    .run();
  return meta.changes;
}

/**
 * Parks rows whose lease ran out time after time: their posts seem to bring the relay down.
 * @returns how many, at most `limit`.
 */
export async function parkExpired(db: D1Database, now: number, limit: number): Promise<number> {
  const { meta } = await db
    .prepare(
      `UPDATE outbox SET state = 'dead', settled_at = ?1, last_status = NULL, last_error = 'lease-expired',
         expired_leases = ${expiries("outbox")}
       WHERE outbox_id IN (
         SELECT o.outbox_id FROM destinations AS d CROSS JOIN outbox AS o ON o.destination_id = d.destination_id
         WHERE o.state IN ('due', 'leased') AND o.due_at <= ?1 AND o.state = 'leased'
           AND ${expiries("o")} >= ${MAX_EXPIRED_LEASES} LIMIT ?2)`,
    )
    .bind(now, limit)
    .run();
  return meta.changes;
}
