/**
 * The catalogue: every metric of the three workers, once. Prometheus text, the series API, docs/metrics.md and the checks of
 * `ops/` are made from it. A name belongs to one worker, so all of them share one name space.
 *
 * To add one: a line here, and `measureOf(env).add` or `.observe` where it happens, or a reading in the worker's gauges.
 * Labels are stored in the order they have here: a new one goes last.
 */
import { ANCHOR_EVENT_TYPES } from "../anchor/history.ts";
import { ENTRY_TYPES } from "../ledger/entry.ts";
import { SECRETS, secretsOf, type WorkerName } from "../platform/secrets.ts";
import { EVENT_TYPES, REQUEST_EVENT_TYPES } from "../relay/event-type.ts";

/** Values of a label: a closed list, or whatever the named bounded source has. */
export type LabelValues = readonly string[] | { readonly from: "the worker's route templates" | "the destinations" };

export type Unit =
  | "seconds"
  | "bytes"
  | "entries"
  | "commands"
  | "requests"
  | "deliveries"
  | "events"
  | "runs"
  | "objects"
  | "none";

interface Common {
  readonly worker: WorkerName;
  readonly unit: Unit;
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelValues>>;
}

export interface CounterSpec extends Common {
  readonly type: "counter";
}

export interface GaugeSpec extends Common {
  readonly type: "gauge";
  /** Which reading stands for a longer time: the worst one. */
  readonly over: "max" | "min";
  /** What several label sets come to. */
  readonly across: "sum" | "max" | "min";
}

export interface HistogramSpec extends Common {
  readonly type: "histogram";
  /** Upper bounds, rising; one without bound follows. */
  readonly buckets: readonly number[];
}

export type MetricSpec = CounterSpec | GaugeSpec | HistogramSpec;

/** From a cache hit to a timeout. */
const LATENCY = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.7, 1, 2, 3, 5, 10, 30] as const;
/** Of what waits for a chain. */
const PATIENCE = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200] as const;
const COUNTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000] as const;

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"] as const;
/** Statuses that the workers answer with; any other is `other`. */
const STATUSES = [
  ...["200", "201", "202", "204", "206", "302", "303", "304"],
  ...["400", "401", "403", "404", "405", "409", "410", "413", "415", "422", "429"],
  ...["500", "502", "503", "504", "other"],
] as const;
const ROUTES = { from: "the worker's route templates" } as const;
const DESTINATIONS = { from: "the destinations" } as const;
const OUTCOMES = ["ok", "failed"] as const;
const CORE_JOBS = [
  "publish",
  "anchor",
  "sweep",
  "prune",
  "scrub",
  "erasures",
  "reconcile",
  "actions",
  "keys",
  "alerts",
  "backup",
  "settlements",
  "idempotency",
  "count-buckets",
  "metrics",
] as const;
/** Buckets by their binding in lower case. */
export const CORE_BUCKETS = ["ledger", "backups"] as const;
export const HUB_BUCKETS = ["attachments", "backups"] as const;
/** In the order in which the hub's cron runs them. */
export const HUB_JOBS = [
  "watch",
  "sweep",
  "prune",
  "edi",
  "attachments",
  "retention",
  "re-encrypt",
  "re-hash",
  "secret-ages",
  "backup",
  "count-buckets",
  "trail",
  "metrics",
] as const;
const OPERATOR_RESULTS = ["2xx", "429", "4xx", "5xx", "other", "no-answer", "not-sent"] as const;
const POST_RESULTS = ["2xx", "3xx", "4xx", "5xx", "timeout", "connection-failed"] as const;
const CLAIM_EVENTS = [
  ...["created", "edited", "moved", "queued", "submissionAccepted", "attemptFailed", "submissionFailed"],
  ...REQUEST_EVENT_TYPES,
  "other",
] as const;
const EDI_CONNECTORS = ["cdanet", "eclaims", "portal", "other"] as const;
const EDI_KINDS = ["submit", "status", "acknowledge", "test", "other"] as const;
const LIVE_JOB_STATES = ["queued", "running", "retrying"] as const;

const http = { method: METHODS, route: ROUTES, status: STATUSES } as const;
const timed = { method: METHODS, route: ROUTES } as const;

const requests = <const Worker extends WorkerName>(worker: Worker) =>
  ({ worker, type: "counter", unit: "requests", help: "Requests answered.", labels: http }) as const;
const requestDuration = <const Worker extends WorkerName>(worker: Worker) =>
  ({
    worker,
    type: "histogram",
    unit: "seconds",
    help: "From a request's arrival to its answer, by route template.",
    labels: timed,
    buckets: LATENCY,
  }) as const;

const core = { worker: "itrans-core", labels: {} } as const;
const relay = { worker: "itrans-relay", labels: {} } as const;
const hub = { worker: "medlink-hub", labels: {} } as const;
const counter = { type: "counter" } as const;
const level = { type: "gauge", over: "max", across: "sum" } as const;
const worst = { type: "gauge", over: "max", across: "max" } as const;
const seconds = { type: "histogram", unit: "seconds", buckets: LATENCY } as const;
const commands = { type: "histogram", unit: "commands", buckets: COUNTS } as const;

export const METRICS = {
  itrans_core_http_requests_total: requests("itrans-core"),
  itrans_core_http_request_duration_seconds: requestDuration("itrans-core"),

  itrans_core_ledger_appends_total: {
    ...core,
    ...counter,
    unit: "entries",
    help: "Entries committed to the ledger.",
    labels: { type: ENTRY_TYPES },
  },
  itrans_core_ledger_commits_total: {
    ...core,
    ...counter,
    unit: "runs",
    help: "Database batches that appended, and attempts whose outcome was unknown and that were decided again.",
    labels: { outcome: ["committed", "uncertain"] },
  },
  itrans_core_ledger_commit_duration_seconds: { ...core, ...seconds, help: "One database batch that appends." },
  itrans_core_ledger_commit_size_commands: { ...core, ...commands, help: "Commands that shared one commit." },
  itrans_core_ledger_append_duration_seconds: {
    ...core,
    ...seconds,
    help: "From a command's arrival at the sequencer to its answer: waiting, deciding and committing.",
  },
  itrans_core_ledger_waiting_commands: {
    ...core,
    ...commands,
    help: "Commands at the sequencer when another arrives, itself included.",
  },
  itrans_core_ledger_size_entries: { ...core, ...worst, unit: "entries", help: "Size of the ledger." },
  itrans_core_ledger_published_entries: {
    ...core,
    ...worst,
    unit: "entries",
    help: "Size of the newest published checkpoint.",
  },
  itrans_core_ledger_verified_timestamp_seconds: {
    ...core,
    ...worst,
    unit: "seconds",
    help: "When the scrub's last whole round ended, Unix time; absent before the first.",
  },

  itrans_core_outbox_pending_deliveries: {
    ...core,
    ...level,
    unit: "deliveries",
    help: "Deliveries on their way, retried and waiting ones among them.",
    labels: { destination: DESTINATIONS },
  },
  itrans_core_outbox_retrying_deliveries: {
    ...core,
    ...level,
    unit: "deliveries",
    help: "Deliveries that failed at least once and are tried again.",
    labels: { destination: DESTINATIONS },
  },
  itrans_core_outbox_waiting_deliveries: {
    ...core,
    ...level,
    unit: "deliveries",
    help: "Deliveries that wait for their entry's anchor.",
    labels: { destination: DESTINATIONS },
  },
  itrans_core_outbox_dead_letters: {
    ...core,
    ...level,
    unit: "deliveries",
    help: "Deliveries given up, until they are replayed or discarded.",
    labels: { destination: DESTINATIONS },
  },
  itrans_core_secret_age_seconds: {
    ...core,
    ...worst,
    unit: "seconds",
    help: "Since when a secret of core or relay has had the value it has; rotation is due after 90 days.",
    labels: { secret: SECRETS.map(({ name }) => name), holder: ["itrans-core", "itrans-relay"] },
  },
  itrans_core_outbox_oldest_age_seconds: {
    ...core,
    ...worst,
    unit: "seconds",
    help: "Age of the oldest delivery on its way.",
    labels: { destination: DESTINATIONS },
  },
  itrans_core_outbox_lanes: {
    ...core,
    ...level,
    unit: "none",
    help: "Lanes (destination and request) with something undelivered.",
    labels: { destination: DESTINATIONS },
  },
  itrans_core_relay_paused: { ...core, ...worst, unit: "none", help: "1 while the relay as a whole is paused." },
  itrans_core_relay_broken_destinations: {
    ...core,
    ...level,
    unit: "none",
    help: "Destinations whose breaker is not closed.",
  },
  itrans_core_delivery_attempts_total: {
    ...core,
    ...counter,
    unit: "deliveries",
    help: "Outcomes recorded: delivered, retry, dead, or released unposted.",
    labels: { destination: DESTINATIONS, outcome: ["delivered", "retry", "dead", "released"] },
  },
  itrans_core_delivery_latency_seconds: {
    ...core,
    ...seconds,
    buckets: [...LATENCY, ...PATIENCE.filter((bound) => bound > 30)],
    help: "Callback latency: from the commit of an event to the receiver's 2xx, waiting for the anchor included.",
    labels: { event: EVENT_TYPES },
  },

  itrans_core_anchored_entries: { ...core, ...worst, unit: "entries", help: "Size of the newest confirmed anchor." },
  itrans_core_anchor_confirmed_timestamp_seconds: {
    ...core,
    ...worst,
    unit: "seconds",
    help: "When the newest confirmed anchor was confirmed, Unix time.",
  },
  itrans_core_anchor_pending_age_seconds: {
    ...core,
    ...worst,
    unit: "seconds",
    help: "Age of the oldest submitted anchor; 0 when none is pending.",
  },
  itrans_core_anchor_events_total: {
    ...core,
    ...counter,
    unit: "events",
    help: "Events of the anchors' history.",
    labels: { type: ANCHOR_EVENT_TYPES },
  },
  itrans_core_anchor_confirmation_seconds: {
    ...core,
    ...seconds,
    buckets: PATIENCE,
    help: "From an anchor's submission to its confirmation.",
  },
  itrans_core_anchor_latency_seconds: {
    ...core,
    ...seconds,
    buckets: PATIENCE,
    help: "From a request's commit to the confirmation of the first anchor that covers it.",
  },

  itrans_core_operator_calls_total: {
    ...core,
    ...counter,
    unit: "requests",
    help: "Calls to the payer's operator by what came of them; not-sent: no permit, or an open circuit.",
    labels: { operation: ["send", "find", "page"], result: OPERATOR_RESULTS },
  },

  itrans_core_settlements: {
    ...core,
    ...level,
    unit: "none",
    help: "Settlements that have not ended, by status.",
    labels: { status: ["PENDING", "PROCESSING"] },
  },
  itrans_core_settlements_stuck: {
    ...core,
    ...level,
    unit: "none",
    help: "Settlements that have not ended five minutes after they were made.",
  },
  itrans_core_reconciliation_open_items: {
    ...core,
    ...level,
    unit: "none",
    help: "Mismatches between our books and the operator's that nobody has resolved.",
  },
  itrans_core_reconciliation_failed: {
    ...core,
    ...worst,
    unit: "none",
    help: "1 while the newest reconciliation failed.",
  },
  itrans_core_idempotency_collisions_total: {
    ...core,
    ...counter,
    unit: "requests",
    help: "Idempotency-Keys that came again with another request.",
  },
  itrans_core_idempotency_requests_total: {
    ...core,
    ...counter,
    unit: "requests",
    help: "Requests with an Idempotency-Key: answered as the one before was, or for the first time.",
    labels: { answer: ["fresh", "replayed"] },
  },

  itrans_core_backup_good_timestamp_seconds: {
    ...core,
    ...worst,
    unit: "seconds",
    help: "When the newest good snapshot was begun, Unix time; absent before the first.",
  },
  itrans_core_backup_size_bytes: { ...core, ...worst, unit: "bytes", help: "Size of the newest good snapshot." },
  itrans_core_backup_covered_entries: {
    ...core,
    ...worst,
    unit: "entries",
    help: "Entries that the bucket holds: in the newest snapshot and in the tail of the minutes since.",
  },
  itrans_core_backup_damaged_objects: {
    ...core,
    ...worst,
    unit: "none",
    help: "Objects of snapshots that were found lost or changed, ever.",
  },
  itrans_core_restore_drill_timestamp_seconds: {
    ...core,
    ...worst,
    unit: "seconds",
    help: "When the newest good restore drill was begun, Unix time; absent before the first.",
  },

  itrans_core_cron_runs_total: {
    ...core,
    ...counter,
    unit: "runs",
    help: "Jobs of the minute's cron.",
    labels: { job: CORE_JOBS, outcome: OUTCOMES },
  },
  itrans_core_cron_duration_seconds: { ...core, ...seconds, help: "A job's run.", labels: { job: CORE_JOBS } },
  itrans_core_cron_lateness_seconds: {
    ...core,
    ...worst,
    unit: "seconds",
    help: "How much later than scheduled the last cron began. Written every minute: where it is missing, nothing was recorded.",
  },
  itrans_core_database_size_bytes: { ...core, ...worst, unit: "bytes", help: "Size of D1 `itrans`." },
  itrans_core_bucket_size_bytes: {
    ...core,
    ...level,
    unit: "bytes",
    help: "Size of what core keeps in R2, by bucket, at the newest whole count; absent before the first.",
    labels: { bucket: CORE_BUCKETS },
  },
  itrans_core_bucket_objects: {
    ...core,
    ...level,
    unit: "objects",
    help: "Objects that core keeps in R2, by bucket, at the newest whole count; absent before the first.",
    labels: { bucket: CORE_BUCKETS },
  },
  itrans_core_metrics_dropped_total: {
    ...core,
    ...counter,
    unit: "events",
    help: "Measurements not kept because an isolate's buffer was full.",
  },

  itrans_relay_http_requests_total: requests("itrans-relay"),
  itrans_relay_http_request_duration_seconds: requestDuration("itrans-relay"),
  itrans_relay_invocations_total: {
    ...relay,
    ...counter,
    unit: "runs",
    help: "Batches of hints consumed.",
    labels: { queue: ["relay", "relay-dead-letters"], outcome: OUTCOMES },
  },
  itrans_relay_invocation_duration_seconds: {
    ...relay,
    ...seconds,
    help: "One batch of hints, until nothing was due.",
  },
  itrans_relay_hints_total: {
    ...relay,
    ...counter,
    unit: "none",
    help: "Queue messages received.",
    labels: { queue: ["relay", "relay-dead-letters"] },
  },
  itrans_relay_posts_total: {
    ...relay,
    ...counter,
    unit: "requests",
    help: "Webhooks posted, by what the receiver did.",
    labels: { result: POST_RESULTS },
  },
  itrans_relay_post_duration_seconds: {
    ...relay,
    ...seconds,
    help: "One post, from its start to the answer or the timeout.",
    labels: { destination: DESTINATIONS },
  },
  itrans_relay_metrics_dropped_total: {
    ...relay,
    ...counter,
    unit: "events",
    help: "Measurements not kept because an isolate's buffer was full.",
  },

  medlink_http_requests_total: requests("medlink-hub"),
  medlink_http_request_duration_seconds: requestDuration("medlink-hub"),
  medlink_core_requests_total: {
    ...hub,
    ...counter,
    unit: "requests",
    help: "Calls into core, by what came of them.",
    labels: {
      surface: ["claims", "workflow", "open", "operator"],
      outcome: ["2xx", "3xx", "4xx", "5xx", "timeout", "unreachable"],
    },
  },
  medlink_core_request_duration_seconds: {
    ...hub,
    ...seconds,
    help: "A call into core.",
    labels: { surface: ["claims", "workflow", "open", "operator"] },
  },
  medlink_auto_submit_jobs: {
    ...hub,
    ...level,
    unit: "none",
    help: "Auto-submit jobs that have not ended, by state.",
    labels: { state: LIVE_JOB_STATES },
  },
  medlink_auto_submit_oldest_due_age_seconds: {
    ...hub,
    ...worst,
    unit: "seconds",
    help: "How long the job that is due longest has been due; 0 when none is.",
  },
  medlink_active_sessions: {
    ...hub,
    ...level,
    unit: "none",
    help: "Sessions of people that have not ended.",
  },
  medlink_operator_actions_waiting: {
    ...hub,
    ...level,
    unit: "none",
    help: "Actions of operators on the hub that core's ledger has not taken yet.",
  },
  medlink_auto_submit_core_reachable: {
    ...hub,
    type: "gauge",
    over: "min",
    across: "min",
    unit: "none",
    help: "1 while auto-submit's breaker toward core is not open.",
  },
  medlink_claim_events_total: {
    ...hub,
    ...counter,
    unit: "events",
    help: "Steps in the life of claims: created, queued, submissionAccepted, what iTrans called back.",
    labels: { kind: CLAIM_EVENTS },
  },
  medlink_claim_submission_seconds: {
    ...hub,
    ...seconds,
    help: "From a claim's first queueing to core's acceptance.",
  },
  medlink_claim_callback_seconds: {
    ...hub,
    ...seconds,
    help: "Claim lifecycle: from a claim's first queueing to the application of iTrans's first callback about it.",
  },
  medlink_logins_total: { ...hub, ...counter, unit: "events", help: "Sign-ins that succeeded." },
  medlink_logins_refused_total: {
    ...hub,
    ...counter,
    unit: "events",
    help: "Sign-ins that were refused.",
    labels: { reason: ["credentials", "locked-out"] },
  },
  medlink_edi_transactions_total: {
    ...hub,
    ...counter,
    unit: "events",
    help: "Exchanges with EDI networks, by what was sent and whether its answer was good.",
    labels: { connector: EDI_CONNECTORS, kind: EDI_KINDS, outcome: OUTCOMES },
  },
  medlink_backup_good_timestamp_seconds: {
    ...hub,
    ...worst,
    unit: "seconds",
    help: "When the newest good snapshot of the hub was begun, Unix time; absent before the first.",
  },
  medlink_backup_damaged_objects: {
    ...hub,
    ...worst,
    unit: "none",
    help: "Objects of snapshots of the hub that were found lost or changed, ever.",
  },
  medlink_cron_runs_total: {
    ...hub,
    ...counter,
    unit: "runs",
    help: "Jobs of the minute's cron.",
    labels: { job: HUB_JOBS, outcome: OUTCOMES },
  },
  medlink_cron_duration_seconds: { ...hub, ...seconds, help: "A job's run.", labels: { job: HUB_JOBS } },
  medlink_cron_lateness_seconds: {
    ...hub,
    ...worst,
    unit: "seconds",
    help: "How much later than scheduled the last cron began. Written every minute: where it is missing, nothing was recorded.",
  },
  medlink_watched_timestamp_seconds: {
    ...hub,
    ...worst,
    unit: "seconds",
    help: "When the hub's cron last looked whether core's alerts are evaluated, Unix time; absent while it does not look.",
  },
  medlink_database_size_bytes: { ...hub, ...worst, unit: "bytes", help: "Size of D1 `medlink`." },
  medlink_bucket_size_bytes: {
    ...hub,
    ...level,
    unit: "bytes",
    help: "Size of what the hub keeps in R2, by bucket, at the newest whole count; absent before the first.",
    labels: { bucket: HUB_BUCKETS },
  },
  medlink_bucket_objects: {
    ...hub,
    ...level,
    unit: "objects",
    help: "Objects that the hub keeps in R2, by bucket, at the newest whole count; absent before the first.",
    labels: { bucket: HUB_BUCKETS },
  },
  medlink_secret_age_seconds: {
    ...hub,
    ...worst,
    unit: "seconds",
    help: "Since when a secret of the hub has had the value it has; rotation is due after 90 days.",
    labels: { secret: secretsOf("medlink-hub").map(({ name }) => name) },
  },
  medlink_metrics_dropped_total: {
    ...hub,
    ...counter,
    unit: "events",
    help: "Measurements not kept because an isolate's buffer was full.",
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;

type Catalogue = typeof METRICS;
export type MetricName = keyof Catalogue;

type NamesOf<Type extends MetricSpec["type"]> = {
  [Name in MetricName]: Catalogue[Name]["type"] extends Type ? Name : never;
}[MetricName];
export type CounterName = NamesOf<"counter">;
export type GaugeName = NamesOf<"gauge">;
export type HistogramName = NamesOf<"histogram">;

type ValuesOf<Values> = Values extends readonly (infer Value extends string)[] ? Value : string;
/** A value for each label of a metric. */
export type LabelsOf<Name extends MetricName> = {
  readonly [Label in keyof Catalogue[Name]["labels"]]: ValuesOf<Catalogue[Name]["labels"][Label]>;
};

export const METRIC_NAMES: readonly MetricName[] = Object.keys(METRICS).filter((name) => isMetricName(name));

export function isMetricName(name: string): name is MetricName {
  return Object.hasOwn(METRICS, name);
}

export const specOf = (name: MetricName): MetricSpec => METRICS[name];

export const metricsOf = (worker: WorkerName): readonly MetricName[] =>
  METRIC_NAMES.filter((name) => METRICS[name].worker === worker);

/** The metric that a worker's database has a reading of for every minute in which it was recorded at all. */
export function heartbeatOf(worker: WorkerName): GaugeName {
  return worker === "medlink-hub" ? "medlink_cron_lateness_seconds" : "itrans_core_cron_lateness_seconds";
}

const DROPPED: Readonly<Record<WorkerName, CounterName>> = {
  "itrans-core": "itrans_core_metrics_dropped_total",
  "itrans-relay": "itrans_relay_metrics_dropped_total",
  "medlink-hub": "medlink_metrics_dropped_total",
};
export const droppedCounterOf = (worker: WorkerName): CounterName => DROPPED[worker];

const oneOf =
  <const Values extends readonly string[]>(values: Values, other: Values[number]) =>
  (text: string): Values[number] =>
    values.find((value) => value === text) ?? other;

export const methodLabel = oneOf(METHODS, "other");
export const statusLabel = (status: number): (typeof STATUSES)[number] => oneOf(STATUSES, "other")(String(status));
export const ediConnectorLabel = oneOf(EDI_CONNECTORS, "other");
export const ediKindLabel = oneOf(EDI_KINDS, "other");
export const claimEventLabel = oneOf(CLAIM_EVENTS, "other");
/** @param result how a post ended; `status` where it was answered. */
export function postResultLabel(result: {
  readonly type: string;
  readonly status?: number;
}): (typeof POST_RESULTS)[number] {
  if (result.type === "timeout") return "timeout";
  if (result.status === undefined) return "connection-failed";
  return statusClass(result.status);
}

export function statusClass(status: number): "2xx" | "3xx" | "4xx" | "5xx" {
  if (status < 300) return "2xx";
  if (status < 400) return "3xx";
  return status < 500 ? "4xx" : "5xx";
}
