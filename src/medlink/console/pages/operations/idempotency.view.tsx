import { REF_ID } from "../../../../settlement/ref-id.ts";
import { type Asked, askedValue } from "../../../operations/asked.ts";
import { Action, Card, Code, Empty, Live, PageHead, Pager, Table, Tabs, Time } from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { Away } from "./away.view.tsx";
import { IDEMPOTENCY_API, IDEMPOTENCY_PATH } from "./settlement-paths.ts";
import { KEY_STATES, type Keys } from "./settlement-shapes.ts";
import { SettlementLink } from "./settlements.view.tsx";

const EVERY_MS = 5_000;

export interface IdempotencyProps {
  readonly ui: Ui;
  readonly keys: Asked<Keys>;
  readonly state: (typeof KEY_STATES)[number];
  readonly cursor: string | undefined;
  /** Of a whole page. */
  readonly rows: number;
}

export const IdempotencyView = (props: IdempotencyProps) => {
  const { ui, keys, state } = props;
  const found = askedValue(keys);
  return (
    <>
      <PageHead ui={ui} title={ui.t("nav.idempotency")} lead={ui.t("idem.lead")} />
      <Tabs
        label={ui.t("idem.state")}
        items={KEY_STATES.map((each) => ({
          href: each === "PROCESSING" ? IDEMPOTENCY_PATH : `${IDEMPOTENCY_PATH}?state=${each}`,
          label: ui.t(`idem.state.${each}`),
          current: each === state,
        }))}
      />
      {found === undefined ? (
        <Away ui={ui} asked={keys} />
      ) : (
        <Live id="keys" everyMs={EVERY_MS}>
          <List {...props} found={found} />
        </Live>
      )}
    </>
  );
};

const List = ({ ui, found, state, cursor, rows }: IdempotencyProps & { readonly found: Keys }) => {
  const last = found.keys.length < rows ? undefined : found.keys.at(-1);
  return (
    <Card flush>
      <Table
        caption={ui.t("nav.idempotency")}
        rows={found.keys}
        empty={
          state === "PROCESSING" ? (
            <Empty icon="check" title={ui.t("idem.empty")} text={ui.t("idem.emptyText")} />
          ) : (
            <Empty icon="key" title={ui.t("idem.none")} text={ui.t("idem.noneText")} />
          )
        }
        columns={[
          { label: ui.t("idem.key"), heading: true, cell: ({ keyId }) => <Code ui={ui} value={keyId} keep={10} /> },
          {
            label: ui.t("idem.scope"),
            cell: ({ scope, tenantId }) => (
              <>
                {scope} <small>{tenantId}</small>
              </>
            ),
          },
          {
            label: ui.t("idem.effect"),
            cell: ({ effectId }) =>
              REF_ID.test(effectId) ? <SettlementLink refId={effectId} /> : <Code ui={ui} value={effectId} />,
          },
          { label: ui.t("idem.begun"), cell: ({ createdAt }) => <Time ui={ui} at={createdAt} /> },
          ...(state === "PROCESSING"
            ? [
                {
                  label: ui.t("idem.busy"),
                  cell: ({ busyUntil }: Keys["keys"][number]) =>
                    busyUntil <= ui.now ? ui.t("idem.busyOver") : <Time ui={ui} at={busyUntil} both />,
                },
              ]
            : [
                {
                  label: ui.t("idem.answered"),
                  align: "right" as const,
                  cell: ({ status }: Keys["keys"][number]) => <span class="mono">{status ?? "–"}</span>,
                },
                {
                  label: ui.t("idem.resolvedBy"),
                  cell: ({ resolvedBy }: Keys["keys"][number]) => <span class="mono">{resolvedBy ?? "–"}</span>,
                },
              ]),
          {
            label: ui.t("stl.correlation"),
            cell: ({ correlationId }) => <Code ui={ui} value={correlationId} keep={13} />,
          },
          ...(state === "PROCESSING"
            ? [
                {
                  label: ui.t("app.actions"),
                  quiet: true,
                  align: "right" as const,
                  cell: ({ keyId }: Keys["keys"][number]) => (
                    <Action
                      small
                      call={{ method: "POST", path: `${IDEMPOTENCY_API}/${keyId}/resolve` }}
                      go="reload"
                      toast={ui.t("idem.resolved")}
                      problems={{ in_progress: ui.t("idem.busyStill") }}
                    >
                      {ui.t("idem.resolve")}
                      <span class="sr">{` ${keyId.slice(0, 10)}`}</span>
                    </Action>
                  ),
                },
              ]
            : []),
        ]}
      />
      <Pager
        ui={ui}
        path={IDEMPOTENCY_PATH}
        query={{ state }}
        cursor={cursor}
        nextCursor={last === undefined ? undefined : String(last.createdAt)}
      />
    </Card>
  );
};
