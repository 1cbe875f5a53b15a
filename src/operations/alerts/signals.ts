/** The signals that alerts are about: sums over series of the catalogue, and probes. */
import { type HistogramName, type MetricName, specOf } from "../metrics.ts";
import type { MetricTotal } from "../metrics-text.ts";
import type { Observation } from "./observation.ts";

interface Selection {
  /** Summed over these. */
  readonly of: readonly MetricName[];
  /** Which values of which label count; all of them when left out. */
  readonly where?: Readonly<Record<string, (value: string) => boolean>>;
  readonly take?: "sum" | "max";
}

const is =
  (...values: readonly string[]) =>
  (value: string) =>
    values.includes(value);
const isServerError = (status: string): boolean => status.startsWith("5");
const isIntake = is("/api/itrans/webhooks/workflow");
const isSubmit = is("/claims", "/workflow/claims", "/workflow/preauthorizations", "/workflow/requests");

/** Read from metrics; a label set that was never seen is 0. */
export const MEASURED = {
  "core.requests": { of: ["itrans_core_http_requests_total"] },
  "core.server-errors": { of: ["itrans_core_http_requests_total"], where: { status: isServerError } },
  "core.submits": { of: ["itrans_core_http_requests_total"], where: { method: is("POST"), route: isSubmit } },
  "hub.requests": { of: ["medlink_http_requests_total"] },
  "hub.server-errors": { of: ["medlink_http_requests_total"], where: { status: isServerError } },
  "hub.intake-refused": {
    of: ["medlink_http_requests_total"],
    where: { route: isIntake, status: (status) => status === "401" || isServerError(status) },
  },
  "ledger.appends": { of: ["itrans_core_ledger_appends_total"] },
  "ledger.size": { of: ["itrans_core_ledger_size_entries"] },
  "anchor.size": { of: ["itrans_core_anchored_entries"] },
  "anchor.confirmed-at": { of: ["itrans_core_anchor_confirmed_timestamp_seconds"], take: "max" },
  "anchor.pending-age": { of: ["itrans_core_anchor_pending_age_seconds"], take: "max" },
  "relay.paused": { of: ["itrans_core_relay_paused"] },
  "relay.oldest-age": { of: ["itrans_core_outbox_oldest_age_seconds"], take: "max" },
  "relay.dead-letters": { of: ["itrans_core_outbox_dead_letters"] },
  "relay.given-up": { of: ["itrans_core_delivery_attempts_total"], where: { outcome: is("dead") } },
  "relay.delivered": { of: ["itrans_core_delivery_attempts_total"], where: { outcome: is("delivered") } },
  "relay.attempts": {
    of: ["itrans_core_delivery_attempts_total"],
    where: { outcome: is("delivered", "retry", "dead") },
  },
  "auto-submit.depth": { of: ["medlink_auto_submit_jobs"] },
  "auto-submit.failed": { of: ["medlink_claim_events_total"], where: { kind: is("submissionFailed") } },
  "relay.retried": { of: ["itrans_core_delivery_attempts_total"], where: { outcome: is("retry") } },
  "settlements.stuck": { of: ["itrans_core_settlements_stuck"] },
  "settlements.failed": { of: ["itrans_core_ledger_appends_total"], where: { type: is("SETTLEMENT_FAILED") } },
  "settlements.ended": {
    of: ["itrans_core_ledger_appends_total"],
    where: {
      type: is(
        "SETTLEMENT_FAILED",
        "SETTLEMENT_REJECTED",
        "CLAIM_SETTLED",
        "SETTLEMENT_REVERSED",
        "SETTLEMENT_ADJUSTED",
      ),
    },
  },
  "operator.calls": { of: ["itrans_core_operator_calls_total"], where: { result: (result) => result !== "not-sent" } },
  "operator.server-errors": { of: ["itrans_core_operator_calls_total"], where: { result: is("5xx") } },
  "operator.rate-limited": { of: ["itrans_core_operator_calls_total"], where: { result: is("429") } },
  "reconciliation.failed": { of: ["itrans_core_reconciliation_failed"] },
  "reconciliation.open": { of: ["itrans_core_reconciliation_open_items"] },
  "idempotency.collisions": { of: ["itrans_core_idempotency_collisions_total"] },
  "secrets.oldest-age": { of: ["itrans_core_secret_age_seconds"], take: "max" },
  "backup.good-at": { of: ["itrans_core_backup_good_timestamp_seconds"], take: "max" },
  "backup.damaged": { of: ["itrans_core_backup_damaged_objects"] },
  "backup.drill-at": { of: ["itrans_core_restore_drill_timestamp_seconds"], take: "max" },
  "ledger-bucket.bytes": { of: ["itrans_core_bucket_size_bytes"], where: { bucket: is("ledger") } },
  "backups-bucket.bytes": { of: ["itrans_core_bucket_size_bytes"], where: { bucket: is("backups") } },
  "attachments-bucket.bytes": { of: ["medlink_bucket_size_bytes"], where: { bucket: is("attachments") } },
  "hub-backups-bucket.bytes": { of: ["medlink_bucket_size_bytes"], where: { bucket: is("backups") } },
  "core.database-bytes": { of: ["itrans_core_database_size_bytes"], take: "max" },
  "hub.watched-at": { of: ["medlink_watched_timestamp_seconds"], take: "max" },
  "hub.backup-good-at": { of: ["medlink_backup_good_timestamp_seconds"], take: "max" },
  "hub.backup-damaged": { of: ["medlink_backup_damaged_objects"] },
  "hub.secrets-oldest-age": { of: ["medlink_secret_age_seconds"], take: "max" },
  "hub.database-bytes": { of: ["medlink_database_size_bytes"], take: "max" },
} as const satisfies Readonly<Record<string, Selection>>;

/** Distributions, in seconds. Of one worker each: a sum over two would leap when one that was away can be read again. */
export const TIMED = {
  "core.duration": "itrans_core_http_request_duration_seconds",
  "hub.duration": "medlink_http_request_duration_seconds",
  "claims.lifecycle": "medlink_claim_callback_seconds",
} as const satisfies Readonly<Record<string, HistogramName>>;

/** Asked each time: 1 when the answer was what it must be, 0 when it was not. */
export const PROBES = [
  "core.database",
  "ledger.intact",
  "relay.status",
  "hub.health",
  "hub.metrics",
  "cron.on-time",
  "hub.cron-on-time",
] as const;

export type MeasuredSignal = keyof typeof MEASURED;
export type TimedSignal = keyof typeof TIMED;
export type Probe = (typeof PROBES)[number];
export type Signal = MeasuredSignal | Probe;

const keysOf = <Key extends string>(record: Readonly<Record<Key, unknown>>): readonly Key[] =>
  Object.keys(record).filter((key): key is Key => Object.hasOwn(record, key));

export const boundsOf = (signal: TimedSignal): readonly number[] => {
  const spec = specOf(TIMED[signal]);
  return spec.type === "histogram" ? spec.buckets : [];
};

function selectedValues(
  { of, where = {} }: Selection,
  totals: ReadonlyMap<string, readonly MetricTotal[]>,
): readonly number[] {
  return of.flatMap((name) => {
    const labels = Object.keys(specOf(name).labels);
    return (totals.get(name) ?? [])
      .filter((series) =>
        Object.entries(where).every(([label, counts]) => counts(series.labels[labels.indexOf(label)] ?? "")),
      )
      .map(({ value }) => value);
  });
}

function timed(name: MetricName, totals: ReadonlyMap<string, readonly MetricTotal[]>): readonly number[] {
  const counts: number[] = [];
  for (const { buckets = null } of totals.get(name) ?? []) {
    for (const [index, count] of (buckets ?? []).entries()) counts[index] = (counts[index] ?? 0) + count;
  }
  return counts;
}

/** Gauges that are absent rather than 0 when nothing was read yet. */
export const ABSENT_UNTIL_READ: ReadonlySet<string> = new Set<MeasuredSignal>([
  "anchor.confirmed-at",
  "backup.good-at",
  "backup.drill-at",
  "hub.watched-at",
  "hub.backup-good-at",
  "ledger-bucket.bytes",
  "backups-bucket.bytes",
  "attachments-bucket.bytes",
  "hub-backups-bucket.bytes",
]);

/**
 * @param at epoch ms.
 * @param totals of each worker; undefined for one whose metrics could not be read: its signals are absent.
 * @param probes what could be asked.
 */
export function observe(
  at: number,
  totals: Readonly<Record<"core" | "hub", readonly MetricTotal[] | undefined>>,
  probes: Readonly<Partial<Record<Probe, boolean>>>,
): Observation {
  const known = { core: totals.core !== undefined, hub: totals.hub !== undefined };
  const byName = Map.groupBy([...(totals.core ?? []), ...(totals.hub ?? [])], ({ name }) => name);
  const isRead = (name: MetricName): boolean => (specOf(name).worker === "medlink-hub" ? known.hub : known.core);
  const values: Record<string, number> = {};
  for (const signal of keysOf(MEASURED)) {
    const selection: Selection = MEASURED[signal];
    if (!selection.of.every(isRead)) continue;
    const found = selectedValues(selection, byName);
    if (ABSENT_UNTIL_READ.has(signal) && found.length === 0) continue;
    values[signal] = selection.take === "max" ? Math.max(0, ...found) : found.reduce((sum, value) => sum + value, 0);
  }
  for (const [probe, good] of Object.entries(probes)) {
    if (good !== undefined) values[probe] = good ? 1 : 0;
  }
  const buckets: Record<string, readonly number[]> = {};
  for (const signal of keysOf(TIMED)) {
    if (isRead(TIMED[signal])) buckets[signal] = timed(TIMED[signal], byName);
  }
  return { at, values, buckets };
}
