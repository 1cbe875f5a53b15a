import { askedValue } from "../../../operations/asked.ts";
import { Action, Card, Notice, Table, Time } from "../../components/parts.view.tsx";
import { alertWords } from "../../i18n/alert-words.ts";
import type { Ui } from "../../i18n/ui.ts";
import { AcknowledgeTime, type AlertsProps, type Known, SEVERITY_TONES, SeverityBadge } from "./alert-parts.view.tsx";
import { ALERTS_API, type Alert, openAlerts, placeOfAlert, runbookOf } from "./alert-shapes.ts";
import { SilenceDialog } from "./alert-silences.view.tsx";

export const Open = ({ ui, known }: Known) => {
  const open = openAlerts(known.alerts);
  if (open.length === 0) {
    return (
      <Notice tone="good" title={ui.t("alerts.none")}>
        <span class="quiet">
          {ui.t("alerts.noneText")}{" "}
          {known.evaluatedAt === null ? null : (
            <>
              {ui.t("alerts.evaluated")} <Time ui={ui} at={known.evaluatedAt} />
            </>
          )}
        </span>
      </Notice>
    );
  }
  return (
    <section aria-labelledby="open-alerts">
      <h2 class="section" id="open-alerts">
        {ui.count("alerts.open", open.length)}
      </h2>
      <ul class="alerts">
        {open.map((alert) => (
          <OpenAlert ui={ui} alert={alert} runbookUrl={known.runbookUrl} />
        ))}
      </ul>
    </section>
  );
};

/** A value of which nobody knows the unit: enough digits to see it move. */
const shownValue = (ui: Ui, value: number): string =>
  Number.isInteger(value) ? ui.number(value) : value.toLocaleString(ui.language, { maximumSignificantDigits: 3 });

const OpenAlert = (props: { readonly ui: Ui; readonly alert: Alert; readonly runbookUrl: string | null }) => {
  const { ui, alert, runbookUrl } = props;
  const { name } = alert;
  const { title, says } = alertWords(ui, alert);
  const runbook = runbookOf(runbookUrl, name);
  const place = placeOfAlert(name);
  return (
    <li class={`card alert ${SEVERITY_TONES[alert.severity]}`} id={`alert-${name}`}>
      <div class="card-head">
        <div>
          <h3>
            <SeverityBadge ui={ui} severity={alert.severity} /> {title}
          </h3>
          <p class="lead">{says}</p>
        </div>
        <div class="actions">
          {alert.acknowledgedAt === null ? (
            <Action
              tone="primary"
              icon="check"
              call={{ method: "POST", path: `${ALERTS_API}/${name}/acknowledge` }}
              go="reload"
              toast={ui.t("alerts.acknowledged")}
              problems={{ conflict: ui.t("alerts.notOpen") }}
            >
              {ui.t("alerts.acknowledge")}
              <span class="sr">{` ${title}`}</span>
            </Action>
          ) : null}
          <button type="button" class="plain" data-open={`silence-${name}`}>
            {ui.t("alerts.silence")}
            <span class="sr">{` ${title}`}</span>
          </button>
        </div>
      </div>
      <p class="alert-facts">
        <AcknowledgeTime ui={ui} alert={alert} />
        {alert.openedAt === null ? null : (
          <span>
            {ui.t("alerts.since")} <Time ui={ui} at={alert.openedAt} both />
          </span>
        )}
        {alert.value === null ? null : <span>{ui.t("alerts.value", { value: shownValue(ui, alert.value) })}</span>}
        {alert.silencedUntil === null ? null : (
          <span>
            {ui.t("alerts.silenced")} <Time ui={ui} at={alert.silencedUntil} both />
          </span>
        )}
      </p>
      <p class="alert-facts">
        {runbook === undefined ? (
          <span class="quiet">{ui.t("alerts.runbookAt", { name })}</span>
        ) : (
          <a href={runbook} rel="noreferrer" target="_blank">
            {ui.t("alerts.runbook")}
            <span class="sr">{` ${title}`}</span>
          </a>
        )}
        {place === undefined ? null : (
          <a href={place}>
            {ui.t("alerts.look")}
            <span class="sr">{` ${title}`}</span>
          </a>
        )}
      </p>
      <SilenceDialog
        ui={ui}
        id={`silence-${name}`}
        title={ui.t("alerts.silence.title", { alert: title })}
        alert={name}
      />
    </li>
  );
};

/** Before everything else on the overview: what is open, in a line each. */
export const OpenAlertsSummary = ({ ui, alerts: asked }: AlertsProps) => {
  const known = askedValue(asked);
  const open = known === undefined ? [] : openAlerts(known.alerts);
  if (open.length === 0) return null;
  return (
    <Card
      flush
      id="open-alerts"
      title={ui.count("alerts.open", open.length)}
      aside={<a href="/operations/alerts">{ui.t("nav.alerts")}</a>}
    >
      <Table
        caption={ui.t("alerts.open")}
        rows={open}
        empty={null}
        columns={[
          {
            label: ui.t("alerts.name"),
            heading: true,
            cell: (alert) => <a href={`/operations/alerts#alert-${alert.name}`}>{alertWords(ui, alert).title}</a>,
          },
          { label: ui.t("alerts.severity"), cell: ({ severity }) => <SeverityBadge ui={ui} severity={severity} /> },
          {
            label: ui.t("alerts.since"),
            cell: ({ openedAt }) => (openedAt === null ? "–" : <Time ui={ui} at={openedAt} />),
          },
          { label: ui.t("alerts.acknowledge"), cell: (alert) => <AcknowledgeTime ui={ui} alert={alert} /> },
        ]}
      />
    </Card>
  );
};
