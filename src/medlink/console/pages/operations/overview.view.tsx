import { type Asked, askedValue } from "../../../operations/asked.ts";
import type { Overview } from "../../../operations/overview.ts";
import { Icon } from "../../components/icon.view.tsx";
import {
  Badge,
  Card,
  Code,
  Empty,
  Facts,
  Live,
  Notice,
  PageHead,
  Stat,
  Table,
  Time,
  type Tone,
} from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { type Alerts, openAlerts } from "./alert-shapes.ts";
import { OpenAlertsSummary } from "./alerts-open.view.tsx";
import { DeadLetterCount } from "./dead-letter-count.view.tsx";

const EVERY_MS = 5_000;

export const HEALTH_TONES: Readonly<Record<string, Tone>> = {
  ok: "good",
  idle: "good",
  active: "good",
  delivering: "good",
  pending: "good",
  closed: "good",
  on: "good",
  degraded: "warn",
  paused: "warn",
  ramping: "warn",
  starting: "warn",
  off: "warn",
  down: "bad",
  unreachable: "bad",
  stalled: "bad",
  broken: "bad",
  open: "bad",
  halted: "bad",
  failing: "bad",
};

export const StateBadge = ({ ui, state }: { readonly ui: Ui; readonly state: string }) => (
  <Badge tone={HEALTH_TONES[state] ?? "neutral"}>{ui.label("ops.state", state)}</Badge>
);

export interface OverviewProps {
  readonly ui: Ui;
  readonly overview: Overview;
  readonly alerts: Asked<Alerts>;
  /** Whether the hub has core's operator key. */
  readonly operates: boolean;
}

export const OverviewView = ({ ui, overview, alerts, operates }: OverviewProps) => (
  <>
    <PageHead ui={ui} title={ui.t("ops.overview.title")} lead={ui.t("ops.overview.lead")}>
      <a class="button" href="/operations/charts/lifecycle">
        <Icon name="pulse" />
        {ui.t("nav.charts")}
      </a>
    </PageHead>
    <Live id="ops-overview" everyMs={EVERY_MS}>
      <div class="stack">
        {operates ? null : <Notice tone="warn">{ui.t("ops.noKey")}</Notice>}
        <OpenAlertsSummary ui={ui} alerts={alerts} />
        <Verdict ui={ui} overview={overview} alerts={alerts} />
        <Figures ui={ui} overview={overview} />
        <Workers ui={ui} overview={overview} />
        <Destinations ui={ui} overview={overview} />
      </div>
    </Live>
  </>
);

const Verdict = ({ ui, overview, alerts }: Omit<OverviewProps, "operates">) => {
  const { timestamp } = overview;
  const isAlarmed = openAlerts(askedValue(alerts)?.alerts ?? []).length > 0;
  const status = isAlarmed && overview.status === "ok" ? "degraded" : overview.status;
  const tone = status === "ok" ? "good" : status === "degraded" ? "warn" : "bad";
  return (
    <Notice tone={tone} title={ui.t(`ops.overview.${status}`)}>
      <span class="quiet">
        {ui.t("ops.asOf")} <Time ui={ui} at={Date.parse(timestamp)} both />
      </span>
    </Notice>
  );
};

const figure = (ui: Ui, value: number | null | undefined): string => (value == null ? "–" : ui.number(value));

const Figures = ({ ui, overview }: Pick<OverviewProps, "ui" | "overview">) => {
  const { ledger, anchor, queues } = overview;
  const behind = (ledger.size ?? 0) - (anchor.anchoredSize ?? 0);
  const { autoSubmit: jobs, outbox } = queues;
  return (
    <div class="stats">
      <Stat
        label={ui.t("ops.figure.ledger")}
        value={figure(ui, ledger.size)}
        note={
          ledger.lastVerifiedAt === null ? (
            ui.t("ops.figure.neverVerified")
          ) : (
            <>
              {ui.t("ops.figure.verified")} <Time ui={ui} at={Date.parse(ledger.lastVerifiedAt)} />
            </>
          )
        }
        href="/operations/ledger"
      />
      <Stat
        label={ui.t("ops.figure.anchored")}
        value={figure(ui, anchor.anchoredSize)}
        note={behind > 0 ? ui.count("ops.figure.behind", behind) : ui.t("ops.figure.allAnchored")}
        href="/operations/anchors"
      />
      <Stat
        label={ui.t("ops.figure.jobs")}
        value={figure(ui, jobs?.depth)}
        note={ui.t("ops.figure.failed", { count: figure(ui, jobs?.failed) })}
        tone={(jobs?.failed ?? 0) > 0 ? "warn" : "neutral"}
        href={(jobs?.failed ?? 0) > 0 ? "/operations/auto-submit?state=failed" : "/operations/auto-submit"}
      />
      <Stat
        label={ui.t("ops.figure.pending")}
        value={figure(ui, outbox?.pending)}
        note={
          outbox == null || outbox.oldestPendingAgeSec === null
            ? ui.t("ops.figure.nothingWaits")
            : ui.t("ops.figure.oldest", { age: ui.duration(outbox.oldestPendingAgeSec * 1_000) })
        }
        href="/operations/deliveries"
      />
      <Stat
        label={ui.t("ops.figure.dead")}
        value={figure(ui, outbox?.deadLetters)}
        note={ui.t("ops.figure.delivered", { count: figure(ui, outbox?.delivered) })}
        tone={(outbox?.deadLetters ?? 0) > 0 ? "bad" : "neutral"}
        href="/operations/deliveries#dead-letters"
      />
    </div>
  );
};

const Workers = ({ ui, overview }: Pick<OverviewProps, "ui" | "overview">) => {
  const { hub, core, relay, anchor, autoSubmit } = overview;
  const database = (state: { readonly ok: boolean; readonly latencyMs: number } | null) =>
    state === null
      ? "–"
      : `${ui.t(state.ok ? "ops.database.ok" : "ops.database.down")} · ${ui.duration(state.latencyMs)}`;
  const switched = autoSubmit === null ? "unknown" : autoSubmit.heldByOperator || !autoSubmit.enabled ? "off" : "on";
  return (
    <div class="grid thirds">
      <Card title={ui.t("ops.worker.hub")} aside={<StateBadge ui={ui} state={hub.status} />}>
        <Facts
          rows={[
            [ui.t("ops.database"), database(hub.database)],
            [ui.t("ops.version"), `${hub.version} · ${hub.commit.slice(0, 10)}`],
            [ui.t("nav.autoSubmit"), <StateBadge ui={ui} state={switched} />],
            [ui.t("ops.toCore"), <StateBadge ui={ui} state={autoSubmit?.core ?? "unknown"} />],
          ]}
        />
      </Card>
      <Card title={ui.t("ops.worker.core")} aside={<StateBadge ui={ui} state={core.status} />}>
        <Facts
          rows={[
            [ui.t("ops.database"), database(core.database)],
            [
              ui.t("ops.version"),
              core.version === null ? "–" : `${core.version} · ${(core.commit ?? "").slice(0, 10)}`,
            ],
            [ui.t("ops.uptime"), core.uptimeSec === null ? "–" : ui.duration(core.uptimeSec * 1_000)],
            [ui.t("ops.worker.relay"), <StateBadge ui={ui} state={relay.status} />],
          ]}
        />
      </Card>
      <Card title={ui.t("nav.anchors")} aside={<StateBadge ui={ui} state={anchor.state} />}>
        <Facts
          rows={[
            ...(anchor.reason === null || anchor.state === "idle"
              ? []
              : [[ui.t("ops.reason"), anchor.reason] as const]),
            [ui.t("ops.anchor.last"), anchor.last === null ? "–" : ui.number(anchor.last.size)],
            [
              ui.t("ops.anchor.confirmedAt"),
              anchor.last?.confirmedAt == null ? "–" : <Time ui={ui} at={Date.parse(anchor.last.confirmedAt)} both />,
            ],
            [ui.t("ops.anchor.tx"), anchor.last?.txHash == null ? "–" : <Code ui={ui} value={anchor.last.txHash} />],
          ]}
        />
      </Card>
    </div>
  );
};

const Destinations = ({ ui, overview }: Pick<OverviewProps, "ui" | "overview">) => (
  <Card flush title={ui.t("ops.destinations")} aside={<a href="/operations/deliveries">{ui.t("nav.deliveries")}</a>}>
    <Table
      caption={ui.t("ops.destinations")}
      rows={overview.relay.destinations}
      empty={<Empty icon="plug" title={ui.t("ops.destinations.empty")} />}
      columns={[
        { label: ui.t("ops.destination"), heading: true, cell: ({ destinationId }) => destinationId },
        { label: ui.t("ops.kind"), cell: ({ kind }) => ui.label("ops.kind", kind) },
        { label: ui.t("ops.state"), cell: ({ state }) => <StateBadge ui={ui} state={state} /> },
        { label: ui.t("ops.curve.pending"), align: "right", cell: ({ pending }) => ui.number(pending) },
        {
          label: ui.t("ops.curve.dead"),
          align: "right",
          cell: ({ deadLetters, destinationId }) => (
            <DeadLetterCount ui={ui} destinationId={destinationId} count={deadLetters} />
          ),
        },
      ]}
    />
  </Card>
);
