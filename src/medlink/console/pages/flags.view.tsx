import type { Flag, FlagName } from "../../flags/flag.ts";
import { ApiForm, CheckField, Submit, TextField } from "../components/form.view.tsx";
import { Badge, Card, Facts, Notice, PageHead, Time } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

export interface FlagLine extends Flag {
  readonly name: FlagName;
  /** undefined: as the worker's settings say. */
  readonly updatedAt: number | undefined;
  /** Different people in the last 30 days; undefined: not for this role. */
  readonly seen: { readonly on: number; readonly off: number } | undefined;
}

export const FlagsView = ({
  ui,
  flags,
  mayChange,
}: {
  readonly ui: Ui;
  readonly flags: readonly FlagLine[];
  readonly mayChange: boolean;
}) => (
  <>
    <PageHead ui={ui} title={ui.t("flags.title")} lead={ui.t("flags.lead")} />
    {mayChange ? null : <Notice tone="info">{ui.t("flags.readOnly")}</Notice>}
    <div class="grid spaced">
      {flags.map((flag) => (
        <Card
          title={ui.t(`flags.${flag.name}`)}
          lead={flag.name}
          aside={
            <Badge tone={flag.enabled ? "good" : "neutral"}>{ui.t(flag.enabled ? "flags.on" : "flags.off")}</Badge>
          }
        >
          <Facts
            rows={[
              [ui.t("flags.share"), ui.percent(flag.enabled ? flag.percentage / 100 : 0)],
              [
                ui.t("flags.changed"),
                flag.updatedAt === undefined ? ui.t("flags.bySettings") : <Time ui={ui} at={flag.updatedAt} both />,
              ],
            ]}
          />
          {flag.seen === undefined ? null : (
            <p class="quiet">{ui.t("flags.seen", { on: ui.number(flag.seen.on), off: ui.number(flag.seen.off) })}</p>
          )}
          {mayChange ? (
            <ApiForm
              id={`form-${flag.name}`}
              method="PUT"
              path={`/api/admin/flags/${flag.name}`}
              go="reload"
              toast={ui.t("flags.saved")}
            >
              <CheckField
                ui={ui}
                id={`on-${flag.name}`}
                name="enabled"
                label={ui.t("flags.enabled")}
                checked={flag.enabled}
              />
              <TextField
                ui={ui}
                id={`share-${flag.name}`}
                name="percentage"
                type="number"
                kind="number"
                min="0"
                max="100"
                label={`${ui.t("flags.share")} (%)`}
                value={String(flag.percentage)}
              />
              <div class="actions end">
                <Submit>{ui.t("flags.change")}</Submit>
              </div>
            </ApiForm>
          ) : null}
        </Card>
      ))}
    </div>
  </>
);
