import type { ConnectorName } from "../../edi/connector.ts";
import { Action, Badge, Card, Facts, PageHead, Time } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

export interface ConnectorLine {
  readonly name: ConnectorName;
  readonly mode: "sandbox" | "production" | "refused";
  readonly host: string | undefined;
  /** A code that says why nothing can be sent. */
  readonly fault: string | undefined;
  readonly ok: boolean;
  readonly lastExchangeAt: number | undefined;
  /** Of the last hour. */
  readonly exchanges: number;
  readonly errors: number;
}

export interface ConnectorsViewProps {
  readonly ui: Ui;
  readonly connectors: readonly ConnectorLine[];
  readonly mayTest: boolean;
}

export const ConnectorsView = ({ ui, connectors, mayTest }: ConnectorsViewProps) => (
  <>
    <PageHead ui={ui} title={ui.t("connectors.title")} lead={ui.t("connectors.lead")} />
    <div class="grid">
      {connectors.map((connector) => (
        <Card
          title={ui.label("connectors", connector.name)}
          aside={
            <Badge tone={connector.ok ? "good" : "bad"}>
              {ui.t(connector.ok ? "connectors.ok" : "connectors.failing")}
            </Badge>
          }
        >
          <Facts
            rows={[
              [ui.t("connectors.mode"), ui.t(`connectors.mode.${connector.mode}`)],
              [ui.t("connectors.host"), connector.host ?? "–"],
              [
                ui.t("connectors.last"),
                connector.lastExchangeAt === undefined ? (
                  ui.t("connectors.never")
                ) : (
                  <Time ui={ui} at={connector.lastExchangeAt} both />
                ),
              ],
              [
                ui.t("connectors.errors"),
                ui.t("connectors.errorsOf", {
                  errors: ui.number(connector.errors),
                  exchanges: ui.number(connector.exchanges),
                }),
              ],
              ...(connector.fault === undefined
                ? []
                : [[ui.t("connectors.fault"), ui.label("connectors.fault", connector.fault)] as const]),
            ]}
          />
          {mayTest ? (
            <div class="actions spaced">
              <Action
                small
                icon="plug"
                call={{ method: "POST", path: `/api/edi/connectors/${connector.name}/test` }}
                toast={ui.t("connectors.tested")}
                unless={{ field: "ok", text: ui.t("connectors.testFailed") }}
                go="reload"
              >
                {ui.t("connectors.test")}
              </Action>
            </div>
          ) : null}
        </Card>
      ))}
    </div>
  </>
);
