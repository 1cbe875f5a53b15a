/** What every list of alerts shows of one. */

import type { Asked } from "../../../operations/asked.ts";
import { Icon } from "../../components/icon.view.tsx";
import { Badge, Time, type Tone } from "../../components/parts.view.tsx";
import { alertWords } from "../../i18n/alert-words.ts";
import type { Ui } from "../../i18n/ui.ts";
import { type Alert, type Alerts, acknowledgeLeftMs, type Severity } from "./alert-shapes.ts";

export const SEVERITY_TONES: Readonly<Record<Severity, Tone>> = { S1: "bad", S2: "bad", S3: "warn", S4: "info" };

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

export interface Known {
  readonly ui: Ui;
  readonly known: Alerts;
}

/** An alert by the name that it has in lists. */
export function titleOf(ui: Ui, known: Alerts, name: string): string {
  const alert = known.alerts.find((each) => each.name === name);
  return alert === undefined ? name : alertWords(ui, alert).title;
}

export interface AlertsProps {
  readonly ui: Ui;
  readonly alerts: Asked<Alerts>;
}
