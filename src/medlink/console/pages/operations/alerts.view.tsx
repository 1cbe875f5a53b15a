import { askedValue } from "../../../operations/asked.ts";
import { Icon } from "../../components/icon.view.tsx";
import { Action, Confirm, Live, Notice, PageHead, Time } from "../../components/parts.view.tsx";
import { History, Sent, Watched } from "./alert-history.view.tsx";
import type { AlertsProps, Known } from "./alert-parts.view.tsx";
import { ALERTS_API } from "./alert-shapes.ts";
import { SilenceDialog, Silences } from "./alert-silences.view.tsx";
import { Open } from "./alerts-open.view.tsx";
import { Away } from "./away.view.tsx";

const EVERY_MS = 5_000;
/** The evaluator looks twice a minute. */
const LATE_AFTER_MS = 5 * 60_000;

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
