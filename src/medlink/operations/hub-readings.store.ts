/** What the hub's gauges read, and what its tables tell of sign-ins and networks since the last look. */
import { readBackupLevels } from "../../backup/backup.store.ts";
import { readBucketCounts } from "../../operations/bucket-count.store.ts";
import type { Reading } from "../../operations/readings.ts";
import { SESSION_IDLE_MS, SESSION_LIFETIME_MS } from "../accounts/session.ts";
import { countWaitingActions } from "../audit/trail.store.ts";
import { readBreaker } from "../auto-submit/core-breaker.store.ts";
import { oldestDueAt } from "../auto-submit/jobs.store.ts";
import { readSecretAges } from "../secrets/secret-ages.store.ts";

const LIVE_STATES = ["queued", "running", "retrying"] as const;

/** @param now epoch ms. */
export async function readHubGauges(db: D1Database, now: number): Promise<readonly Reading[]> {
  const [live, oldest, { breaker }, backup, watched, ages, buckets, sessions, actions] = await Promise.all([
    db
      .prepare(
        `SELECT state, COUNT(*) AS count FROM auto_submit_jobs WHERE state IN ('queued', 'retrying') GROUP BY state
         UNION ALL SELECT 'running', COUNT(*) FROM auto_submit_jobs WHERE state = 'running'`,
      )
      .all<{ readonly state: string; readonly count: number }>(),
    oldestDueAt(db, undefined),
    readBreaker(db),
    readBackupLevels(db),
    db.prepare("SELECT updated_at AS at FROM tasks WHERE name = 'watch'").first<{ readonly at: number }>(),
    readSecretAges(db),
    readBucketCounts(db),
    db
      .prepare(
        `SELECT COUNT(*) AS count FROM sessions
         WHERE last_seen_at > CAST(?1 AS INTEGER) AND created_at > CAST(?2 AS INTEGER)`,
      )
      .bind(now - SESSION_IDLE_MS, now - SESSION_LIFETIME_MS)
      .first<{ readonly count: number }>(),
    countWaitingActions(db),
  ]);
  const counts = new Map(live.results.map(({ state, count }) => [state, count]));
  return [
    ...LIVE_STATES.map(
      (state): Reading => ({ name: "medlink_auto_submit_jobs", labels: [state], value: counts.get(state) ?? 0 }),
    ),
    {
      name: "medlink_auto_submit_oldest_due_age_seconds",
      labels: [],
      value: oldest === undefined ? 0 : Math.max(0, now - oldest) / 1_000,
    },
    { name: "medlink_active_sessions", labels: [], value: sessions?.count ?? 0 },
    { name: "medlink_operator_actions_waiting", labels: [], value: actions },
    { name: "medlink_auto_submit_core_reachable", labels: [], value: breaker.type === "open" ? 0 : 1 },
    { name: "medlink_database_size_bytes", labels: [], value: live.meta.size_after ?? 0 },
    ...(watched === null
      ? []
      : [{ name: "medlink_watched_timestamp_seconds" as const, labels: [], value: watched.at / 1_000 }]),
    ...(backup.goodAt === null
      ? []
      : [{ name: "medlink_backup_good_timestamp_seconds" as const, labels: [], value: backup.goodAt / 1_000 }]),
    { name: "medlink_backup_damaged_objects", labels: [], value: backup.damaged },
    ...[...ages].map(
      ([name, since]): Reading => ({
        name: "medlink_secret_age_seconds",
        labels: [name],
        value: Math.max(0, now - since) / 1_000,
      }),
    ),
    ...[...buckets].flatMap(([bucket, { countedAt, sizeBytes, objects }]): readonly Reading[] =>
      countedAt === null
        ? []
        : [
            { name: "medlink_bucket_size_bytes", labels: [bucket], value: sizeBytes },
            { name: "medlink_bucket_objects", labels: [bucket], value: objects },
          ],
    ),
  ];
}

/** Rows of one look. */
const MAX_EVENTS = 1_000;

/** Audit events passed over in one look. */
const MAX_AUDIT_EVENTS = 20_000;

/** Sign-ins after this audit event, by minute, and how far was looked. */
export async function signInsAfter(
  db: D1Database,
  auditEventId: number,
): Promise<{
  readonly upTo: number;
  readonly signIns: readonly { readonly minute: number; readonly count: number }[];
}> {
  const row = await db
    .prepare("SELECT MAX(audit_event_id) AS newest FROM audit_events")
    .first<{ readonly newest: number | null }>();
  const upTo = Math.min(row?.newest ?? 0, auditEventId + MAX_AUDIT_EVENTS);
  if (upTo <= auditEventId) return { upTo: auditEventId, signIns: [] };
  const { results } = await db
    .prepare(
      `SELECT at / 60000 AS minute, COUNT(*) AS count FROM audit_events
       WHERE audit_event_id > CAST(?1 AS INTEGER) AND audit_event_id <= CAST(?2 AS INTEGER) AND action = 'auth.login'
       GROUP BY 1`,
    )
    .bind(auditEventId, upTo)
    .all<{ readonly minute: number; readonly count: number }>();
  return { upTo, signIns: results };
}

export interface SeenExchange {
  readonly exchangeId: number;
  readonly connector: string;
  readonly kind: string;
  readonly ok: 0 | 1;
  /** Epoch ms. */
  readonly at: number;
}

/** Answers of EDI networks after this exchange, oldest first; none while the database has no such table yet. */
export async function exchangesAfter(db: D1Database, exchangeId: number): Promise<readonly SeenExchange[]> {
  try {
    const { results } = await db
      .prepare(
        `SELECT exchange_id AS exchangeId, connector, kind, ok, at FROM edi_exchanges
         WHERE exchange_id > CAST(?1 AS INTEGER) AND direction = 'in' ORDER BY exchange_id LIMIT ${MAX_EVENTS}`,
      )
      .bind(exchangeId)
      .all<SeenExchange>();
    return results;
  } catch (thrown) {
    if (thrown instanceof Error && thrown.message.includes("no such table: edi_exchanges")) return [];
    throw thrown;
  }
}
