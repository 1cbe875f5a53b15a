/** The Grafana dashboard of `ops/`: what each panel asks, and the JSON around it. */

interface Query {
  readonly expr: string;
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  /** A unit of Grafana's. */
  readonly unit: "reqps" | "s" | "short" | "percentunit" | "bytes" | "cps";
  readonly kind?: "stat";
  readonly queries: readonly Query[];
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

const query = (expr: string, legend: string): Query => ({ expr, legend });

const rate = (name: string, by?: string, where = ""): string =>
  `sum${by === undefined ? "" : ` by (${by})`} (rate(${name}${where}[$__rate_interval]))`;

const quantiles = (name: string): readonly Query[] =>
  ([0.5, 0.95, 0.99] as const).map((q) =>
    query(`histogram_quantile(${q}, sum by (le) (rate(${name}_bucket[$__rate_interval])))`, `p${Math.round(q * 100)}`),
  );

const since = (name: string): string => `time() - max(${name})`;

const perHour = (name: string, by?: string): string =>
  `sum${by === undefined ? "" : ` by (${by})`} (increase(${name}[1h]))`;

const ROWS: readonly Row[] = [
  {
    title: "System overview",
    panels: [
      {
        title: "Workers up",
        unit: "short",
        kind: "stat",
        queries: [query('up{job=~"itrans-.*|medlink-.*"}', "{{job}}")],
      },
      {
        title: "Ledger size",
        unit: "short",
        kind: "stat",
        queries: [query("max(itrans_core_ledger_size_entries)", "entries")],
      },
      {
        title: "Since verified",
        unit: "s",
        kind: "stat",
        queries: [query(since("itrans_core_ledger_verified_timestamp_seconds"), "")],
      },
      {
        title: "Since the last anchor",
        unit: "s",
        kind: "stat",
        queries: [query(since("itrans_core_anchor_confirmed_timestamp_seconds"), "")],
      },
      {
        title: "Dead letters",
        unit: "short",
        kind: "stat",
        queries: [query("sum(itrans_core_outbox_dead_letters)", "")],
      },
      {
        title: "Auto-submit depth",
        unit: "short",
        kind: "stat",
        queries: [query("sum(medlink_auto_submit_jobs)", "")],
      },
    ],
  },
  {
    title: "Claim lifecycle",
    panels: [
      { title: "Submitted to callback applied", unit: "s", queries: quantiles("medlink_claim_callback_seconds") },
      { title: "Queued to accepted by core", unit: "s", queries: quantiles("medlink_claim_submission_seconds") },
      { title: "Committed to anchored", unit: "s", queries: quantiles("itrans_core_anchor_latency_seconds") },
      { title: "Committed to called back", unit: "s", queries: quantiles("itrans_core_delivery_latency_seconds") },
      {
        title: "Entries by type",
        unit: "cps",
        queries: [query(rate("itrans_core_ledger_appends_total", "type"), "{{type}}")],
      },
      {
        title: "Ledger: append, waiting included",
        unit: "s",
        queries: quantiles("itrans_core_ledger_append_duration_seconds"),
      },
      { title: "Ledger: one commit", unit: "s", queries: quantiles("itrans_core_ledger_commit_duration_seconds") },
      {
        title: "Commands a commit",
        unit: "short",
        queries: [
          query(
            `${rate("itrans_core_ledger_commit_size_commands_sum")} / ${rate("itrans_core_ledger_commit_size_commands_count")}`,
            "mean",
          ),
        ],
      },
    ],
  },
  {
    title: "Queues and dead letters",
    panels: [
      {
        title: "Outbox",
        unit: "short",
        queries: [
          query("sum by (destination) (itrans_core_outbox_pending_deliveries)", "{{destination}} pending"),
          query("sum(itrans_core_outbox_retrying_deliveries)", "retrying"),
          query("sum(itrans_core_outbox_waiting_deliveries)", "waiting for an anchor"),
          query("sum(itrans_core_outbox_lanes)", "lanes"),
        ],
      },
      {
        title: "Oldest delivery on its way",
        unit: "s",
        queries: [query("max by (destination) (itrans_core_outbox_oldest_age_seconds)", "{{destination}}")],
      },
      {
        title: "Dead letters",
        unit: "short",
        queries: [query("sum by (destination) (itrans_core_outbox_dead_letters)", "{{destination}}")],
      },
      {
        title: "Delivery outcomes",
        unit: "cps",
        queries: [query(rate("itrans_core_delivery_attempts_total", "outcome"), "{{outcome}}")],
      },
      {
        title: "Posts by result",
        unit: "cps",
        queries: [query(rate("itrans_relay_posts_total", "result"), "{{result}}")],
      },
      { title: "Receivers' answers", unit: "s", queries: quantiles("itrans_relay_post_duration_seconds") },
      {
        title: "Auto-submit",
        unit: "short",
        queries: [
          query("sum by (state) (medlink_auto_submit_jobs)", "{{state}}"),
          query("max(medlink_auto_submit_oldest_due_age_seconds)", "oldest due, seconds"),
        ],
      },
    ],
  },
  {
    title: "Errors and latency",
    panels: [
      {
        title: "Requests",
        unit: "reqps",
        queries: [
          query(rate("itrans_core_http_requests_total"), "core"),
          query(rate("medlink_http_requests_total"), "hub"),
        ],
      },
      {
        title: "5xx",
        unit: "percentunit",
        queries: (["itrans_core", "medlink"] as const).map((prefix) =>
          query(
            `${rate(`${prefix}_http_requests_total`, undefined, '{status=~"5.."}')} / ${rate(`${prefix}_http_requests_total`)}`,
            prefix === "medlink" ? "hub" : "core",
          ),
        ),
      },
      { title: "Core latency", unit: "s", queries: quantiles("itrans_core_http_request_duration_seconds") },
      { title: "Hub latency", unit: "s", queries: quantiles("medlink_http_request_duration_seconds") },
      {
        title: "p95 by route of core",
        unit: "s",
        queries: [
          query(
            "histogram_quantile(0.95, sum by (le, route) (rate(itrans_core_http_request_duration_seconds_bucket[$__rate_interval])))",
            "{{route}}",
          ),
        ],
      },
      {
        title: "Hub's calls into core",
        unit: "cps",
        queries: [query(rate("medlink_core_requests_total", "outcome"), "{{outcome}}")],
      },
      {
        title: "Webhook intake",
        unit: "cps",
        queries: [
          query(rate("medlink_http_requests_total", "status", '{route="/api/itrans/webhooks/workflow"}'), "{{status}}"),
        ],
      },
      {
        title: "Crons: failed runs, lateness",
        unit: "short",
        queries: [
          query(
            'sum by (job) (increase(itrans_core_cron_runs_total{outcome="failed"}[1h]))',
            "{{job}} failed in an hour",
          ),
          query("max(itrans_core_cron_lateness_seconds)", "core, seconds late"),
          query("max(medlink_cron_lateness_seconds)", "hub, seconds late"),
        ],
      },
      {
        title: "Database size",
        unit: "bytes",
        queries: [
          query("max(itrans_core_database_size_bytes)", "itrans"),
          query("max(medlink_database_size_bytes)", "medlink"),
        ],
      },
    ],
  },
  {
    title: "Anchoring",
    panels: [
      {
        title: "Events of anchors in an hour",
        unit: "short",
        queries: [query(perHour("itrans_core_anchor_events_total", "type"), "{{type}}")],
      },
      { title: "Submission to confirmation", unit: "s", queries: quantiles("itrans_core_anchor_confirmation_seconds") },
      { title: "Pending anchor's age", unit: "s", queries: [query("max(itrans_core_anchor_pending_age_seconds)", "")] },
      {
        title: "Entries not anchored",
        unit: "short",
        queries: [query("max(itrans_core_ledger_size_entries) - max(itrans_core_anchored_entries)", "")],
      },
    ],
  },
  {
    title: "Business",
    panels: [
      {
        title: "Sign-ins an hour",
        unit: "short",
        queries: [
          query(perHour("medlink_logins_total"), "signed in"),
          query(perHour("medlink_logins_refused_total", "reason"), "refused: {{reason}}"),
        ],
      },
      {
        title: "Claims an hour",
        unit: "short",
        queries: [query(perHour("medlink_claim_events_total", "kind"), "{{kind}}")],
      },
      {
        title: "EDI transactions an hour",
        unit: "short",
        queries: [query(perHour("medlink_edi_transactions_total", "connector, kind"), "{{connector}} {{kind}}")],
      },
    ],
  },
];

const WIDTH = 24;
const datasource = { type: "prometheus", uid: "$datasource" } as const;

/** The dashboard as Grafana imports it. */
export function dashboard(): unknown {
  let y = 0;
  let id = 0;
  const panels: unknown[] = [];
  for (const row of ROWS) {
    panels.push({
      id: ++id,
      type: "row",
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y, w: WIDTH, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    for (const { title, unit, kind, queries } of row.panels) {
      const [w, h] = kind === "stat" ? [4, 4] : [8, 8];
      if (x + w > WIDTH) {
        x = 0;
        y += h;
      }
      panels.push({
        id: ++id,
        type: kind ?? "timeseries",
        title,
        datasource,
        gridPos: { x, y, w, h },
        fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
        targets: queries.map(({ expr, legend }, index) => ({
          refId: String.fromCharCode(65 + index),
          datasource,
          expr,
          legendFormat: legend === "" ? "__auto" : legend,
        })),
      });
      x += w;
    }
    y += 8;
  }
  return {
    uid: "itrans-edge",
    title: "iTrans Edge",
    tags: ["itrans"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: "30s",
    time: { from: "now-6h", to: "now" },
    templating: {
      list: [
        { name: "datasource", type: "datasource", query: "prometheus", label: "Data source", current: {}, hide: 0 },
      ],
    },
    panels,
  };
}

export const dashboardJson = (): string => `${JSON.stringify(dashboard(), null, 2)}\n`;
