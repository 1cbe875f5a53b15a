import { Badge, Card, Empty, Table, Time, type Tone } from "../../components/parts.view.tsx";
import { alertWords } from "../../i18n/alert-words.ts";
import { type Known, SeverityBadge, titleOf } from "./alert-parts.view.tsx";
import type { Alert, Alerts } from "./alert-shapes.ts";

const INCIDENTS_SHOWN = 50;
const PHASE_TONES: Readonly<Record<Alert["phase"], Tone>> = { quiet: "good", pending: "warn", open: "bad" };

export const History = ({ ui, known }: Known) => (
  <Card flush title={ui.t("alerts.history")} lead={ui.t("alerts.history.lead")}>
    <Table
      caption={ui.t("alerts.history")}
      rows={known.incidents.slice(0, INCIDENTS_SHOWN)}
      empty={<Empty icon="check" title={ui.t("alerts.history.empty")} />}
      columns={[
        { label: ui.t("alerts.name"), heading: true, cell: ({ alert }) => titleOf(ui, known, alert) },
        {
          label: ui.t("alerts.severity"),
          cell: ({ severity }) => <SeverityBadge ui={ui} severity={severity} />,
        },
        { label: ui.t("alerts.history.opened"), cell: ({ openedAt }) => <Time ui={ui} at={openedAt} both /> },
        {
          label: ui.t("alerts.history.lasted"),
          align: "right",
          cell: ({ openedAt, resolvedAt }) =>
            resolvedAt === null ? (
              <Badge tone="bad">{ui.t("alerts.history.still")}</Badge>
            ) : (
              ui.duration(resolvedAt - openedAt)
            ),
        },
      ]}
    />
  </Card>
);

export const Watched = ({ ui, known }: Known) => (
  <details class="card flush fold">
    <summary>{ui.count("alerts.watched", known.alerts.length)}</summary>
    <Table
      caption={ui.t("alerts.all")}
      rows={known.alerts}
      empty={null}
      columns={[
        {
          label: ui.t("alerts.name"),
          heading: true,
          cell: (alert) => (
            <>
              {alertWords(ui, alert).title} <small class="mono quiet">{alert.name}</small>
            </>
          ),
        },
        { label: ui.t("alerts.severity"), cell: ({ severity }) => <SeverityBadge ui={ui} severity={severity} /> },
        {
          label: ui.t("alerts.state"),
          cell: ({ phase }) => <Badge tone={PHASE_TONES[phase]}>{ui.t(`alerts.phase.${phase}`)}</Badge>,
        },
      ]}
    />
  </details>
);

const SENT_TONES: Readonly<Record<Alerts["notifications"][number]["state"], Tone>> = {
  waiting: "info",
  sent: "good",
  "given-up": "bad",
};

/** `alert/incident/kind and step/channel`. */
function partsOf(id: string): { readonly alert: string; readonly kind: string; readonly channel: string } {
  const [alert = id, , kind = "", channel = ""] = id.split("/");
  return { alert, kind: kind.replace(/\d+$/, ""), channel };
}

export const Sent = ({ ui, known }: Known) => (
  <Card flush title={ui.t("alerts.sent")}>
    <Table
      caption={ui.t("alerts.sent")}
      rows={known.notifications}
      empty={<Empty icon="inbox" title={ui.t("alerts.sent.empty")} />}
      columns={[
        {
          label: ui.t("alerts.sent.what"),
          heading: true,
          cell: ({ id }) => {
            const { alert, kind } = partsOf(id);
            return (
              <>
                {alert === "test" ? ui.t("alerts.test") : titleOf(ui, known, alert)}{" "}
                <small class="quiet">{ui.label("alerts.kind", kind)}</small>
              </>
            );
          },
        },
        {
          label: ui.t("alerts.sent.channel"),
          cell: ({ id }) => ui.label("alerts.channel", partsOf(id).channel),
        },
        {
          label: ui.t("alerts.state"),
          cell: ({ state, error }) => (
            <>
              <Badge tone={SENT_TONES[state]}>{ui.t(`alerts.sent.${state}`)}</Badge>{" "}
              {error === null ? null : <small class="quiet">{ui.label("alerts.error", error)}</small>}
            </>
          ),
        },
        { label: ui.t("alerts.sent.attempts"), align: "right", cell: ({ attempts }) => ui.number(attempts) },
        { label: ui.t("alerts.sent.at"), cell: ({ at }) => <Time ui={ui} at={at} /> },
      ]}
    />
  </Card>
);
