/** What core's gauges read, and what its tables tell of the life of requests and anchors since the last look. */
import type { AnchorEventType } from "../anchor/history.ts";
import { readBackupLevels } from "../backup/backup.store.ts";
import { readSecretAges } from "../keys/secret-ages.store.ts";
import { relayStatus } from "../relay/relay-status.store.ts";
import { readSettlementLevels } from "../settlement/settlement-levels.store.ts";
import { readBucketCounts } from "./bucket-count.store.ts";
import type { Reading } from "./readings.ts";

interface Levels {
  readonly size: number | null;
  readonly published: number | null;
  readonly anchored: number | null;
  readonly confirmedAt: number | null;
  readonly submittedAt: number | null;
}

/** @param now epoch ms. @param stuckAfterMs a settlement that is unfinished for longer waits for something. */
export async function readCoreGauges(
  db: D1Database,
  ledgerId: string,
  now: number,
  stuckAfterMs: number,
): Promise<readonly Reading[]> {
  const [backup, settlement, status, ages, buckets, [levels, lanes]] = await Promise.all([
    readBackupLevels(db),
    readSettlementLevels(db, ledgerId, now - stuckAfterMs),
    relayStatus(db, now, undefined),
    readSecretAges(db),
    readBucketCounts(db),
    db.batch<Levels & { readonly destination: string; readonly lanes: number }>([
      db
        .prepare(
          `SELECT (SELECT size FROM ledger_heads WHERE ledger_id = ?1) AS size,
             (SELECT MAX(size) FROM checkpoints WHERE ledger_id = ?1) AS published,
             newest.size AS anchored, newest.confirmed_at AS confirmedAt,
             (SELECT MIN(submitted_at) FROM anchors WHERE ledger_id = ?1 AND state = 'submitted') AS submittedAt
           FROM (SELECT 1) LEFT JOIN (
             SELECT size, confirmed_at FROM anchors WHERE ledger_id = ?1 AND state = 'confirmed' ORDER BY size DESC LIMIT 1
           ) AS newest`,
        )
        .bind(ledgerId),
      db.prepare(
        `SELECT destination_id AS destination, COUNT(DISTINCT subject) AS lanes FROM outbox
         WHERE open = 1 GROUP BY destination_id`,
      ),
    ]),
  ]);
  const level = levels?.results[0];
  const laneCounts = new Map((lanes?.results ?? []).map(({ destination, lanes: count }) => [destination, count]));
  const readings: Reading[] = [
    { name: "itrans_core_ledger_size_entries", labels: [], value: level?.size ?? 0 },
    { name: "itrans_core_ledger_published_entries", labels: [], value: level?.published ?? 0 },
    { name: "itrans_core_anchored_entries", labels: [], value: level?.anchored ?? 0 },
    { name: "itrans_core_anchor_pending_age_seconds", labels: [], value: ageS(level?.submittedAt, now) },
    { name: "itrans_core_relay_paused", labels: [], value: status.pausedAt === null ? 0 : 1 },
    {
      name: "itrans_core_relay_broken_destinations",
      labels: [],
      value: status.destinations.filter(({ state }) => state === "broken").length,
    },
    { name: "itrans_core_database_size_bytes", labels: [], value: levels?.meta.size_after ?? 0 },
  ];
  for (const [bucket, { countedAt, sizeBytes, objects }] of buckets) {
    if (countedAt === null) continue;
    readings.push(
      { name: "itrans_core_bucket_size_bytes", labels: [bucket], value: sizeBytes },
      { name: "itrans_core_bucket_objects", labels: [bucket], value: objects },
    );
  }
  if (level?.confirmedAt != null) {
    const value = level.confirmedAt / 1000;
    readings.push({ name: "itrans_core_anchor_confirmed_timestamp_seconds", labels: [], value });
  }
  for (const { name, worker, since } of ages) {
    readings.push({ name: "itrans_core_secret_age_seconds", labels: [name, worker], value: ageS(since, now) });
  }
  readings.push(
    { name: "itrans_core_settlements", labels: ["PENDING"], value: settlement.pending },
    { name: "itrans_core_settlements", labels: ["PROCESSING"], value: settlement.processing },
    { name: "itrans_core_settlements_stuck", labels: [], value: settlement.stuck },
    { name: "itrans_core_reconciliation_open_items", labels: [], value: settlement.openItems },
    { name: "itrans_core_reconciliation_failed", labels: [], value: settlement.reconciliationFailed },
    { name: "itrans_core_backup_covered_entries", labels: [], value: Math.max(backup.tailTo, backup.goodSize ?? 0) },
    { name: "itrans_core_backup_damaged_objects", labels: [], value: backup.damaged },
  );
  if (backup.goodAt !== null) {
    readings.push(
      { name: "itrans_core_backup_good_timestamp_seconds", labels: [], value: backup.goodAt / 1000 },
      { name: "itrans_core_backup_size_bytes", labels: [], value: backup.goodBytes ?? 0 },
    );
  }
  if (backup.drillAt !== null) {
    readings.push({ name: "itrans_core_restore_drill_timestamp_seconds", labels: [], value: backup.drillAt / 1000 });
  }
  for (const one of status.destinations) {
    const labels = [one.destinationId];
    readings.push(
      { name: "itrans_core_outbox_pending_deliveries", labels, value: one.pending },
      { name: "itrans_core_outbox_retrying_deliveries", labels, value: one.retrying },
      { name: "itrans_core_outbox_waiting_deliveries", labels, value: one.waiting },
      { name: "itrans_core_outbox_dead_letters", labels, value: one.deadLetterCount },
      { name: "itrans_core_outbox_oldest_age_seconds", labels, value: (one.oldestPendingAgeMs ?? 0) / 1000 },
      { name: "itrans_core_outbox_lanes", labels, value: laneCounts.get(one.destinationId) ?? 0 },
    );
  }
  return readings;
}

const ageS = (since: number | null | undefined, now: number): number =>
  since == null ? 0 : Math.max(0, now - since) / 1000;

export interface SeenAnchorEvent {
  readonly eventId: number;
  readonly type: AnchorEventType;
  readonly at: number;
  /** Of its anchor; null where the event is about the signer. */
  readonly submittedAt: number | null;
}

const MAX_EVENTS = 500;

/** Events of anchors after this one, oldest first. */
export async function anchorEventsAfter(
  db: D1Database,
  ledgerId: string,
  eventId: number,
): Promise<readonly SeenAnchorEvent[]> {
  const { results } = await db
    .prepare(
      `SELECT e.event_id AS eventId, e.type, e.at, a.submitted_at AS submittedAt
       FROM anchor_events AS e LEFT JOIN anchors AS a ON a.ledger_id = e.ledger_id AND a.size = e.size
       WHERE e.event_id > CAST(?2 AS INTEGER) AND e.ledger_id = ?1 ORDER BY e.event_id LIMIT ${MAX_EVENTS}`,
    )
    .bind(ledgerId, eventId)
    .all<SeenAnchorEvent>();
  return results;
}

export interface AnchoredRequest {
  /** Epoch ms. */
  readonly committedAt: number;
  readonly confirmedAt: number;
}

/** Entries looked at in one go; of more, every so many are, and stand for those between. */
const MAX_ENTRIES = 2_000;

/**
 * Requests that were anchored since `after` entries were: when each was committed and when the first anchor that covers it was
 * confirmed.
 * @returns how far anchors reach now, and how many requests each one returned stands for.
 */
export async function anchoredAfter(
  db: D1Database,
  ledgerId: string,
  after: number,
): Promise<{ readonly size: number; readonly weight: number; readonly requests: readonly AnchoredRequest[] }> {
  const newest = await db
    .prepare("SELECT MAX(size) AS size FROM anchors WHERE ledger_id = ?1 AND state = 'confirmed'")
    .bind(ledgerId)
    .first<{ readonly size: number | null }>();
  const size = newest?.size ?? 0;
  if (size <= after) return { size: after, weight: 1, requests: [] };
  const weight = Math.ceil((size - after) / MAX_ENTRIES);
  const { results } = await db
    .prepare(
      `WITH RECURSIVE looked (seq) AS (
         SELECT CAST(?2 AS INTEGER) UNION ALL SELECT seq + CAST(?4 AS INTEGER) FROM looked WHERE seq + ?4 < ?3 LIMIT ${MAX_ENTRIES})
       SELECT unixepoch(e.body ->> 'at', 'subsec') * 1000 AS committedAt, a.confirmed_at AS confirmedAt
       FROM looked CROSS JOIN ledger_entries AS e ON e.ledger_id = ?1 AND e.seq = looked.seq
         CROSS JOIN anchors AS a ON a.ledger_id = ?1 AND a.size = (
           SELECT MIN(size) FROM anchors WHERE ledger_id = ?1 AND state = 'confirmed' AND size > e.seq)
       WHERE e.body ->> 'type' = 'REQUEST_SUBMITTED' AND a.confirmed_at IS NOT NULL`,
    )
    .bind(ledgerId, after, size, weight)
    .all<AnchoredRequest>();
  return { size, weight, requests: results };
}
