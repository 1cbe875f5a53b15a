/**
 * What one correlation id left in core's tables. No table has an index of correlation ids, which would cost each delivery a row
 * written for what is asked for rarely: the newest rows are looked through instead, a bounded number of each table.
 */
import { attemptTaken, DELIVERIES_LOOKED_AT } from "../../relay/deliveries.store.ts";
import { stateOf } from "../../relay/lanes.store.ts";

export interface TracedAttempt {
  /** Epoch ms. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly outcome: string;
  readonly status: number | null;
  readonly error: string | null;
}

export interface TracedDelivery {
  readonly outboxId: number;
  readonly eventType: string;
  readonly destinationId: string;
  readonly requestIdHash: string;
  readonly seq: number;
  readonly state: string;
  /** Epoch ms. */
  readonly createdAt: number;
  readonly settledAt: number | null;
  /** Oldest first. */
  readonly attempts: readonly TracedAttempt[];
}

export interface TracedSettlement {
  readonly refId: string;
  readonly type: string;
  readonly status: string;
  readonly requestIdHash: string;
  /** Of its entries. */
  readonly seqs: readonly number[];
  readonly createdAt: number;
  readonly updatedAt: number;
  /** When the payer's operator was last called. */
  readonly askedAt: number | null;
  readonly lastAnswer: string | null;
}

export interface TracedKey {
  readonly keyId: string;
  readonly scope: string;
  readonly state: string;
  readonly effectId: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface TracedEntry {
  readonly seq: number;
  readonly entryHash: string;
  readonly subject: string;
  readonly type: string;
  readonly at: string;
}

export interface Trace {
  readonly deliveries: readonly TracedDelivery[];
  readonly settlements: readonly TracedSettlement[];
  readonly keys: readonly TracedKey[];
  readonly entries: readonly TracedEntry[];
  /** Older deliveries than this one were not looked at; null: there are none. */
  readonly olderThan: number | null;
}

const OTHERS_LOOKED_AT = 20_000;
const MOST = 500;

/** @param before outboxId: only older deliveries are looked at. */
export async function readTrace(
  db: D1Database,
  ledgerId: string,
  correlationId: string,
  before: number,
): Promise<Trace> {
  const [found, oldest, settled, keys] = await Promise.all([
    db
      .prepare(
        `SELECT outbox_id AS outboxId, event_type AS eventType, destination_id AS destinationId, subject AS requestIdHash,
           seq, ${stateOf("o")} AS state, created_at AS createdAt, settled_at AS settledAt, posted_at AS postedAt,
           post_ms AS postMs, last_status AS status
         FROM (SELECT * FROM outbox WHERE outbox_id < ?2 ORDER BY outbox_id DESC LIMIT ${DELIVERIES_LOOKED_AT}) AS o
         WHERE correlation_id = ?1 AND ledger_id = ?3 ORDER BY outboxId LIMIT ${MOST}`,
      )
      .bind(correlationId, before, ledgerId)
      .all<Omit<TracedDelivery, "attempts"> & Taken>(),
    db
      .prepare(
        `SELECT MIN(outbox_id) AS oldest, COUNT(*) AS count FROM
           (SELECT outbox_id FROM outbox WHERE outbox_id < ? ORDER BY outbox_id DESC LIMIT ${DELIVERIES_LOOKED_AT})`,
      )
      .bind(before)
      .first<{ readonly oldest: number | null; readonly count: number }>(),
    db
      .prepare(
        `SELECT s.ref_id AS refId, s.type, s.status, s.subject AS requestIdHash, s.created_seq, s.started_seq, s.ended_seq,
           s.created_at AS createdAt, s.updated_at AS updatedAt, d.asked_at AS askedAt, d.last_answer AS lastAnswer
         FROM (SELECT * FROM settlements WHERE ledger_id = ?2 ORDER BY created_seq DESC LIMIT ${OTHERS_LOOKED_AT}) AS s
         JOIN settlement_drives AS d ON d.ledger_id = s.ledger_id AND d.ref_id = s.ref_id
         WHERE d.correlation_id = ?1 ORDER BY s.created_seq LIMIT ${MOST}`,
      )
      .bind(correlationId, ledgerId)
      .all<SettlementRow>(),
    db
      .prepare(
        `SELECT key_id AS keyId, scope, state, effect_id AS effectId, created_at AS createdAt, updated_at AS updatedAt
         FROM (SELECT * FROM idempotency_keys ORDER BY created_at DESC LIMIT ${OTHERS_LOOKED_AT})
         WHERE correlation_id = ? ORDER BY createdAt LIMIT ${MOST}`,
      )
      .bind(correlationId)
      .all<TracedKey>(),
  ]);
  const rows = found.results;
  const settlements = settled.results.map(({ created_seq, started_seq, ended_seq, ...rest }) => ({
    ...rest,
    seqs: [created_seq, started_seq, ended_seq].filter((seq) => seq !== null),
  }));
  const seqs = new Set([...rows.map(({ seq }) => seq), ...settlements.flatMap((one) => one.seqs)]);
  const [attempts, entries] = await Promise.all([
    db
      .prepare(
        `SELECT outbox_id AS outboxId, started_at AS startedAt, duration_ms AS durationMs, outcome, status, error
         FROM delivery_attempts WHERE outbox_id IN (SELECT value FROM json_each(?)) ORDER BY started_at LIMIT 5000`,
      )
      .bind(JSON.stringify(rows.map(({ outboxId }) => outboxId)))
      .all<TracedAttempt & { readonly outboxId: number }>(),
    db
      .prepare(
        `SELECT seq, entry_hash AS entryHash, subject, body ->> '$.type' AS type, body ->> '$.at' AS at
         FROM ledger_entries WHERE ledger_id = ? AND seq IN (SELECT value FROM json_each(?)) ORDER BY seq`,
      )
      .bind(ledgerId, JSON.stringify([...seqs]))
      .all<TracedEntry>(),
  ]);
  return {
    deliveries: rows.map(({ postedAt, postMs, status, ...row }) => ({
      ...row,
      attempts: [
        ...attempts.results
          .filter(({ outboxId }) => outboxId === row.outboxId)
          .map(({ outboxId: _, ...attempt }) => attempt),
        ...attemptTaken({ postedAt, postMs, status }).map(({ answer: _, ...attempt }) => attempt),
      ],
    })),
    settlements,
    keys: keys.results,
    entries: entries.results,
    olderThan: oldest !== null && oldest.count === DELIVERIES_LOOKED_AT ? oldest.oldest : null,
  };
}

/** Of a delivery that was made: its last attempt. */
interface Taken {
  readonly postedAt: number | null;
  readonly postMs: number | null;
  readonly status: number | null;
}

interface SettlementRow extends Omit<TracedSettlement, "seqs"> {
  readonly created_seq: number;
  readonly started_seq: number | null;
  readonly ended_seq: number | null;
}
