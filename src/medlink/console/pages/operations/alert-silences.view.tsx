import { ApiForm, FormButtons, SelectField } from "../../components/form.view.tsx";
import { Action, Card, Dialog, Table, Time } from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { type Known, titleOf } from "./alert-parts.view.tsx";
import { ALERTS_API } from "./alert-shapes.ts";
import { ReasonField } from "./reason-field.view.tsx";

const MINUTES = [30, 60, 120, 240, 480, 1_440] as const;

export const SilenceDialog = (props: {
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
        <ReasonField
          ui={ui}
          id={`${id}-reason`}
          label={ui.t("alerts.silence.reason")}
          hint={ui.t("alerts.silence.reasonHint")}
        />
        <FormButtons ui={ui} action={ui.t("alerts.silence")} />
      </ApiForm>
    </Dialog>
  );
};

export const Silences = ({ ui, known }: Known) =>
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
