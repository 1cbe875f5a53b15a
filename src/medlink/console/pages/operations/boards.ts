/** The dashboards: which series each chart shows. Names are those of docs/metrics.md. */
import type { ChartTone } from "../../components/chart.view.tsx";
import type { PlainKey } from "../../i18n/catalogue.ts";

export const BOARDS = ["lifecycle", "queues", "errors", "anchoring", "business"] as const;
export type Board = (typeof BOARDS)[number];

export const RANGES = ["1h", "24h", "7d", "30d"] as const;
export type Range = (typeof RANGES)[number];

/** In seconds. */
export interface Span {
  readonly length: number;
  readonly step: number;
}

const SPANS: Readonly<Record<Range, Span>> = {
  "1h": { length: 3_600, step: 60 },
  "24h": { length: 86_400, step: 600 },
  "7d": { length: 7 * 86_400, step: 3_600 },
  "30d": { length: 30 * 86_400, step: 6 * 3_600 },
};

/** Business is counted by the hour, but for the last one. */
export const spanOf = (range: Range, board: Board): Span =>
  board === "business" && range === "24h" ? { length: 86_400, step: 3_600 } : SPANS[range];

export interface Source {
  readonly name: string;
  /** `label:value` pairs. */
  readonly match?: string;
}

export interface Curve extends Source {
  readonly label: PlainKey;
  readonly tone: ChartTone;
  readonly shape?: "line" | "area" | "bars";
  /** Of a histogram; without it the value itself. */
  readonly quantile?: "p50" | "p95" | "p99";
}

/** A chart broken down by a label; of a histogram its p95. */
export interface Split extends Source {
  readonly by: string;
  readonly title: PlainKey;
}

export interface Panel {
  readonly id: string;
  readonly title: PlainKey;
  /** Seconds are drawn as milliseconds. */
  readonly unit: "count" | "seconds";
  readonly curves: readonly Curve[];
  readonly splits: readonly Split[];
  readonly limit?: { readonly label: PlainKey; readonly seconds: number };
  /** Where the things themselves are. */
  readonly things?: { readonly href: string; readonly label: PlainKey };
}

const quantiles = (name: string): readonly Curve[] => [
  { name, quantile: "p50", label: "ops.curve.p50", tone: "accent" },
  { name, quantile: "p95", label: "ops.curve.p95", tone: "info" },
  { name, quantile: "p99", label: "ops.curve.p99", tone: "warn" },
];

const CLAIM_EVENTS = "medlink_claim_events_total";
const ANCHOR_EVENTS = "itrans_core_anchor_events_total";

/** Claims to which this happened. */
const claimCurve = (kind: string, label: PlainKey, tone: ChartTone): Curve => ({
  name: CLAIM_EVENTS,
  match: `kind:${kind}`,
  label,
  tone,
});
const CLAIM_SPLIT: Split = { name: CLAIM_EVENTS, by: "kind", title: "ops.split.kind" };

const anchorCurve = (type: AnchorEventType, tone: ChartTone): Curve => ({
  name: ANCHOR_EVENTS,
  match: `type:${type}`,
  label: `ops.anchorEvent.${type}`,
  tone,
});
const ANCHOR_SPLIT: Split = { name: ANCHOR_EVENTS, by: "type", title: "ops.split.anchorType" };
type AnchorEventType = "submitted" | "confirmed" | "dropped" | "reverted" | "reorganized" | "halted";

const http = (worker: "medlink" | "itrans_core" | "itrans_relay") => `${worker}_http_requests_total`;
const duration = (worker: "medlink" | "itrans_core" | "itrans_relay") => `${worker}_http_request_duration_seconds`;

const workers = (match: string | undefined): readonly Curve[] =>
  (
    [
      ["medlink", "ops.worker.hub", "accent"],
      ["itrans_core", "ops.worker.core", "info"],
      ["itrans_relay", "ops.worker.relay", "warn"],
    ] as const
  ).map(([worker, label, tone]) => ({ name: http(worker), label, tone, ...(match === undefined ? {} : { match }) }));

const DELIVERIES = { href: "/operations/deliveries", label: "nav.deliveries" } as const;
const JOBS = { href: "/operations/auto-submit", label: "nav.autoSubmit" } as const;
const ANCHORS = { href: "/operations/anchors", label: "nav.anchors" } as const;

export const PANELS: Readonly<Record<Board, readonly Panel[]>> = {
  lifecycle: [
    {
      id: "steps",
      title: "ops.panel.steps",
      unit: "count",
      curves: [
        claimCurve("created", "ops.curve.created", "quiet"),
        claimCurve("submissionAccepted", "ops.curve.submitted", "accent"),
        { name: "itrans_core_anchor_latency_seconds_count", label: "ops.curve.anchored", tone: "info" },
        { name: "medlink_claim_callback_seconds_count", label: "ops.curve.calledBack", tone: "good" },
      ],
      splits: [CLAIM_SPLIT],
    },
    {
      id: "callback",
      title: "ops.panel.callback",
      unit: "seconds",
      curves: quantiles("medlink_claim_callback_seconds"),
      splits: [],
      limit: { label: "ops.limit.p95", seconds: 2 },
    },
    {
      id: "submission",
      title: "ops.panel.submission",
      unit: "seconds",
      curves: quantiles("medlink_claim_submission_seconds"),
      splits: [],
      things: JOBS,
    },
    {
      id: "anchor",
      title: "ops.panel.anchor",
      unit: "seconds",
      curves: quantiles("itrans_core_anchor_latency_seconds"),
      splits: [],
      things: ANCHORS,
    },
    {
      id: "delivery",
      title: "ops.panel.delivery",
      unit: "seconds",
      curves: quantiles("itrans_core_delivery_latency_seconds"),
      splits: [{ name: "itrans_core_delivery_latency_seconds", by: "event", title: "ops.split.event" }],
      things: DELIVERIES,
    },
  ],
  queues: [
    {
      id: "jobs",
      title: "ops.panel.jobs",
      unit: "count",
      curves: (["queued", "running", "retrying"] as const).map((state, i) => ({
        name: "medlink_auto_submit_jobs",
        match: `state:${state}`,
        label: `job.${state}` as const,
        tone: (["accent", "info", "warn"] as const)[i] ?? "quiet",
      })),
      splits: [],
      things: JOBS,
    },
    {
      id: "outbox",
      title: "ops.panel.outbox",
      unit: "count",
      curves: [
        { name: "itrans_core_outbox_pending_deliveries", label: "ops.curve.pending", tone: "accent" },
        { name: "itrans_core_outbox_retrying_deliveries", label: "ops.curve.retrying", tone: "warn" },
        { name: "itrans_core_outbox_waiting_deliveries", label: "ops.curve.waiting", tone: "quiet" },
      ],
      splits: [
        { name: "itrans_core_outbox_pending_deliveries", by: "destination", title: "ops.split.pending" },
        { name: "itrans_core_outbox_retrying_deliveries", by: "destination", title: "ops.split.retrying" },
      ],
      things: DELIVERIES,
    },
    {
      id: "dead",
      title: "ops.panel.dead",
      unit: "count",
      curves: [{ name: "itrans_core_outbox_dead_letters", label: "ops.curve.dead", tone: "bad", shape: "area" }],
      splits: [{ name: "itrans_core_outbox_dead_letters", by: "destination", title: "ops.split.dead" }],
      things: DELIVERIES,
    },
    {
      id: "age",
      title: "ops.panel.age",
      unit: "seconds",
      curves: [
        { name: "itrans_core_outbox_oldest_age_seconds", label: "ops.curve.oldestDelivery", tone: "info" },
        { name: "medlink_auto_submit_oldest_due_age_seconds", label: "ops.curve.oldestJob", tone: "warn" },
      ],
      splits: [{ name: "itrans_core_outbox_oldest_age_seconds", by: "destination", title: "ops.split.age" }],
    },
  ],
  errors: [
    {
      id: "errors",
      title: "ops.panel.errors",
      unit: "count",
      curves: workers("status:5xx"),
      splits: [
        { name: http("medlink"), match: "status:5xx", by: "route", title: "ops.split.hubRoute" },
        { name: http("itrans_core"), match: "status:5xx", by: "route", title: "ops.split.coreRoute" },
      ],
    },
    {
      id: "throughput",
      title: "ops.panel.throughput",
      unit: "count",
      curves: workers(undefined),
      splits: [
        { name: http("medlink"), by: "status", title: "ops.split.hubStatus" },
        { name: http("itrans_core"), by: "status", title: "ops.split.coreStatus" },
      ],
    },
    {
      id: "hub",
      title: "ops.panel.hubLatency",
      unit: "seconds",
      curves: quantiles(duration("medlink")),
      splits: [{ name: duration("medlink"), by: "route", title: "ops.split.hubRouteP95" }],
      limit: { label: "ops.limit.alert", seconds: 3 },
    },
    {
      id: "core",
      title: "ops.panel.coreLatency",
      unit: "seconds",
      curves: quantiles(duration("itrans_core")),
      splits: [{ name: duration("itrans_core"), by: "route", title: "ops.split.coreRouteP95" }],
      limit: { label: "ops.limit.alert", seconds: 3 },
    },
    {
      id: "posts",
      title: "ops.panel.posts",
      unit: "seconds",
      curves: quantiles("itrans_relay_post_duration_seconds"),
      splits: [{ name: "itrans_relay_post_duration_seconds", by: "destination", title: "ops.split.postP95" }],
      things: DELIVERIES,
    },
  ],
  anchoring: [
    {
      id: "rate",
      title: "ops.panel.anchors",
      unit: "count",
      curves: [anchorCurve("submitted", "accent"), anchorCurve("confirmed", "good")],
      splits: [ANCHOR_SPLIT],
      things: ANCHORS,
    },
    {
      id: "confirmation",
      title: "ops.panel.confirmation",
      unit: "seconds",
      curves: quantiles("itrans_core_anchor_confirmation_seconds"),
      splits: [],
      things: ANCHORS,
    },
    {
      id: "trouble",
      title: "ops.panel.anchorTrouble",
      unit: "count",
      curves: [
        anchorCurve("dropped", "warn"),
        anchorCurve("reverted", "bad"),
        anchorCurve("reorganized", "info"),
        anchorCurve("halted", "quiet"),
      ],
      splits: [ANCHOR_SPLIT],
      things: ANCHORS,
    },
    {
      id: "coverage",
      title: "ops.panel.coverage",
      unit: "count",
      curves: [
        { name: "itrans_core_ledger_size_entries", label: "ops.curve.entries", tone: "quiet" },
        { name: "itrans_core_ledger_published_entries", label: "ops.curve.published", tone: "info" },
        { name: "itrans_core_anchored_entries", label: "ops.curve.anchored", tone: "good" },
      ],
      splits: [],
      things: { href: "/operations/ledger", label: "nav.ledger" },
    },
    {
      id: "pending",
      title: "ops.panel.anchorPending",
      unit: "seconds",
      curves: [{ name: "itrans_core_anchor_pending_age_seconds", label: "ops.curve.pendingAge", tone: "warn" }],
      splits: [],
      things: ANCHORS,
    },
  ],
  business: [
    {
      id: "logins",
      title: "ops.panel.logins",
      unit: "count",
      curves: [
        { name: "medlink_logins_total", label: "ops.curve.logins", tone: "accent", shape: "bars" },
        { name: "medlink_logins_refused_total", label: "ops.curve.refused", tone: "bad" },
      ],
      splits: [{ name: "medlink_logins_refused_total", by: "reason", title: "ops.split.refused" }],
    },
    {
      id: "claims",
      title: "ops.panel.claims",
      unit: "count",
      curves: [{ ...claimCurve("created", "ops.curve.claims", "accent"), shape: "bars" }],
      splits: [CLAIM_SPLIT],
    },
    {
      id: "edi",
      title: "ops.panel.edi",
      unit: "count",
      curves: [
        {
          name: "medlink_edi_transactions_total",
          match: "kind:submit",
          label: "ops.curve.edi",
          tone: "accent",
          shape: "bars",
        },
      ],
      splits: [
        { name: "medlink_edi_transactions_total", by: "connector", title: "ops.split.connector" },
        { name: "medlink_edi_transactions_total", by: "outcome", title: "ops.split.outcome" },
      ],
    },
  ],
};
