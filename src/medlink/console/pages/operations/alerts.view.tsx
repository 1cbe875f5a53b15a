import { type Asked, askedValue } from "../../../operations/asked.ts";
import { ApiForm, FormButtons, SelectField, TextField } from "../../components/form.view.tsx";
import { Icon } from "../../components/icon.view.tsx";
import {
  Action,
  Badge,
  Card,
  Confirm,
  Dialog,
  Empty,
  Live,
  Notice,
  PageHead,
  Table,
  Time,
  type Tone,
} from "../../components/parts.view.tsx";
import { alertWords } from "../../i18n/alert-words.ts";
import type { Ui } from "../../i18n/ui.ts";
import {
  ALERTS_API,
  type Alert,
  type Alerts,
  acknowledgeLeftMs,
  openAlerts,
  placeOfAlert,
  runbookOf,
  type Severity,
} from "./alert-shapes.ts";
import { Away } from "./away.view.tsx";

const EVERY_MS = 5_000;
/** The evaluator looks twice a minute. */
const LATE_AFTER_MS = 5 * 60_000;
const INCIDENTS_SHOWN = 50;

const SEVERITY_TONES: Readonly<Record<Severity, Tone>> = { S1: "bad", S2: "bad", S3: "warn", S4: "info" };
const PHASE_TONES: Readonly<Record<Alert["phase"], Tone>> = { quiet: "good", pending: "warn", open: "bad" };

export const SeverityBadge = ({ ui, severity }: { readonly ui: Ui; readonly severity: Severity }) => (
  <Badge tone={SEVERITY_TONES[severity]}>
    <span class="sr">{ui.t("alerts.severity")} </span>
    {ui.t(`alerts.severity.${severity}`)}
  </Badge>
);

/** What is left of the time in which somebody is to look. */
export const AcknowledgeTime = ({ ui, alert }: { readonly ui: Ui; readonly alert: Alert }) => {
  if (alert.acknowledgedAt !== null) {
    return (
      <span class="good-text">
        <Icon name="check" size={14} /> {ui.t("alerts.acknowledgedAt")} <Time ui={ui} at={alert.acknowledgedAt} />
      </span>
    );
  }
  const leftMs = acknowledgeLeftMs(alert, ui.now);
  if (leftMs === undefined) return null;
  return leftMs > 0 ? (
    <strong>{ui.t("alerts.within", { time: ui.duration(leftMs) })}</strong>
  ) : (
    <strong class="bad-text">{ui.t("alerts.overdue", { time: ui.duration(-leftMs) })}</strong>
  );
};

export interface AlertsProps {
  readonly ui: Ui;
  readonly alerts: Asked<Alerts>;
}

export const AlertsView = ({ ui, alerts: asked }: AlertsProps) => {
  const known = askedValue(asked);
  return (
    <>
      <PageHead ui={ui} title={ui.t("nav.alerts")} lead={ui.t("alerts.lead")}>
        {known === undefined ? null : (
          <>
            <button type="button" class="plain" data-open="silence-all">
              <Icon name="pause" />
              {ui.t("alerts.silence.all")}
            </button>
            <Action
              icon="inbox"
              call={{ method: "POST", path: `${ALERTS_API}/test` }}
              confirm="test"
              go="reload"
              toast={ui.t("alerts.test.done")}
            >
              {ui.t("alerts.test")}
            </Action>
          </>
        )}
      </PageHead>
      {known === undefined ? (
        <Away ui={ui} asked={asked} />
      ) : (
        <>
          <SilenceDialog ui={ui} id="silence-all" title={ui.t("alerts.silence.allTitle")} alert={undefined} />
          <Confirm
            id="test"
            ui={ui}
            title={ui.t("alerts.test.title")}
            text={ui.t("alerts.test.text")}
            action={ui.t("alerts.test.action")}
          />
          <Live id="alerts" everyMs={EVERY_MS}>
            <div class="stack">
              <Evaluator ui={ui} known={known} />
              <Open ui={ui} known={known} />
              <Silences ui={ui} known={known} />
            </div>
          </Live>
          <div class="stack spaced">
            <Live id="alert-history" everyMs={EVERY_MS * 3}>
              <div class="stack">
                <History ui={ui} known={known} />
                <Watched ui={ui} known={known} />
                <Sent ui={ui} known={known} />
              </div>
            </Live>
          </div>
        </>
      )}
    </>
  );
};

interface Known {
  readonly ui: Ui;
  readonly known: Alerts;
}

const Evaluator = ({ ui, known }: Known) => {
  const { evaluatedAt, fault } = known;
  const isLate = evaluatedAt !== null && ui.now - evaluatedAt > LATE_AFTER_MS;
  if (fault === null && evaluatedAt !== null && !isLate) return null;
  return (
    <div class="notices">
      {fault === null ? null : (
        <Notice tone="warn" title={ui.t("alerts.contacts")}>
          {ui.t("alerts.contactsText")}
        </Notice>
      )}
      {evaluatedAt === null ? (
        <Notice tone="warn" title={ui.t("alerts.never")}>
          {ui.t("alerts.neverText")}
        </Notice>
      ) : isLate ? (
        <Notice tone="bad" title={ui.t("alerts.late")}>
          {ui.t("alerts.lateText")} <Time ui={ui} at={evaluatedAt} />
        </Notice>
      ) : null}
    </div>
  );
};

const Open = ({ ui, known }: Known) => {
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

const MINUTES = [30, 60, 120, 240, 480, 1_440] as const;

const SilenceDialog = (props: {
  readonly ui: Ui;
  readonly id: string;
  readonly title: string;
  /** Undefined: every alert. */
  readonly alert: string | undefined;
}) => {
  const { ui, id, title, alert } = props;
  return (
    <Dialog id={id} ui={ui} title={title}>
      <ApiForm
        id={`${id}-form`}
        method="POST"
        path={`${ALERTS_API}/silences`}
        fixed={alert === undefined ? {} : { alert }}
        go="reload"
        toast={ui.t("alerts.silence.done")}
        problems={{ conflict: ui.t("alerts.silence.many") }}
      >
        <p class="quiet">{ui.t("alerts.silence.text")}</p>
        <SelectField
          ui={ui}
          id={`${id}-minutes`}
          name="minutes"
          kind="number"
          label={ui.t("alerts.silence.for")}
          value="60"
          options={MINUTES.map((minutes) => ({
            value: String(minutes),
            label:
              minutes < 60
                ? ui.t("alerts.silence.minutes", { count: minutes })
                : ui.count("alerts.silence.hours", minutes / 60),
          }))}
        />
        <TextField
          ui={ui}
          id={`${id}-reason`}
          name="reason"
          label={ui.t("alerts.silence.reason")}
          hint={ui.t("alerts.silence.reasonHint")}
          pattern="[A-Z0-9\-]+"
          maxLength={40}
        />
        <FormButtons ui={ui} action={ui.t("alerts.silence")} />
      </ApiForm>
    </Dialog>
  );
};

/** An alert by the name that it has in lists. */
function titleOf(ui: Ui, known: Alerts, name: string): string {
  const alert = known.alerts.find((each) => each.name === name);
  return alert === undefined ? name : alertWords(ui, alert).title;
}

const Silences = ({ ui, known }: Known) =>
  known.silences.length === 0 ? null : (
    <Card flush title={ui.t("alerts.silences")}>
      <Table
        caption={ui.t("alerts.silences")}
        rows={known.silences}
        empty={null}
        columns={[
          {
            label: ui.t("alerts.name"),
            heading: true,
            cell: ({ alert }) => (alert === null ? ui.t("alerts.silences.every") : titleOf(ui, known, alert)),
          },
          { label: ui.t("alerts.silences.until"), cell: ({ until }) => <Time ui={ui} at={until} both /> },
          { label: ui.t("alerts.silence.reason"), cell: ({ reason }) => <span class="mono">{reason}</span> },
          { label: ui.t("alerts.silences.by"), cell: ({ by }) => <span class="mono">{by}</span> },
          {
            label: ui.t("app.actions"),
            quiet: true,
            align: "right",
            cell: ({ silenceId, alert }) => (
              <Action
                small
                call={{ method: "DELETE", path: `${ALERTS_API}/silences/${silenceId}` }}
                go="reload"
                toast={ui.t("alerts.silences.ended")}
                problems={{ not_found: ui.t("alerts.silences.gone") }}
              >
                {ui.t("alerts.silences.end")}
                <span class="sr">{` ${alert ?? ""}`}</span>
              </Action>
            ),
          },
        ]}
      />
    </Card>
  );

const History = ({ ui, known }: Known) => (
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

const Watched = ({ ui, known }: Known) => (
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

const Sent = ({ ui, known }: Known) => (
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
