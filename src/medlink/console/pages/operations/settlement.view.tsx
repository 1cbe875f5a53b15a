import { type Asked, askedValue } from "../../../operations/asked.ts";
import { ApiForm, FormButtons, SelectField, TextField } from "../../components/form.view.tsx";
import {
  Action,
  Card,
  Code,
  Confirm,
  Dialog,
  Empty,
  Facts,
  Live,
  PageHead,
  Table,
  Time,
} from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { Away } from "./away.view.tsx";
import { ReasonField } from "./reason-field.view.tsx";
import { SETTLEMENTS_API, SETTLEMENTS_PATH } from "./settlement-paths.ts";
import type { Settlement } from "./settlement-shapes.ts";
import { SettlementBadge, SettlementLink } from "./settlements.view.tsx";

const BUSY_MS = 3_000;
const CALM_MS = 30_000;

export interface SettlementProps {
  readonly ui: Ui;
  readonly title: string;
  readonly settlement: Asked<Settlement>;
}

const isUnderWay = ({ status }: Settlement): boolean => status === "PENDING" || status === "PROCESSING";
const isReplayable = ({ status }: Settlement): boolean => status === "FAILED" || status === "REJECTED";
/** What failed here may have happened there all the same; what is completed stays. */
const isResolvable = (settlement: Settlement): boolean => isUnderWay(settlement) || settlement.status === "FAILED";

export const SettlementView = ({ ui, title, settlement: asked }: SettlementProps) => {
  const settlement = askedValue(asked);
  const everyMs = settlement !== undefined && isUnderWay(settlement) ? BUSY_MS : CALM_MS;
  return (
    <>
      <Live id="settlement-head" everyMs={everyMs}>
        <PageHead ui={ui} title={title} trail={[{ href: SETTLEMENTS_PATH, label: ui.t("nav.settlements") }]}>
          {settlement === undefined ? null : <Actions ui={ui} settlement={settlement} />}
        </PageHead>
        {settlement !== undefined && isResolvable(settlement) ? <Resolve ui={ui} settlement={settlement} /> : null}
      </Live>
      <Away ui={ui} asked={asked} />
      {settlement === undefined ? null : (
        <Live id="settlement" everyMs={everyMs}>
          <div class="stack">
            <div class="grid">
              <Asking ui={ui} settlement={settlement} />
              <Work ui={ui} settlement={settlement} />
            </div>
            <History ui={ui} settlement={settlement} />
          </div>
        </Live>
      )}
    </>
  );
};

interface Shown {
  readonly ui: Ui;
  readonly settlement: Settlement;
}

const Actions = ({ ui, settlement }: Shown) => (
  <>
    {isResolvable(settlement) ? (
      <button type="button" class="plain" data-open="resolve">
        {ui.t("stl.resolve")}
      </button>
    ) : null}
    {isReplayable(settlement) ? (
      <>
        <Action
          tone="primary"
          icon="refresh"
          call={{ method: "POST", path: `${SETTLEMENTS_API}/${settlement.refId}/replay` }}
          confirm="replay"
          go="reload"
          toast={ui.t("stl.replay.done")}
          problems={{
            conflict: ui.t("stl.replay.busy"),
            upstream_unavailable: ui.t("stl.replay.away"),
            settlement_refused: ui.t("stl.replay.spent"),
          }}
        >
          {ui.t("stl.replay")}
        </Action>
        <Confirm
          id="replay"
          ui={ui}
          title={ui.t("stl.replay.title")}
          text={ui.t("stl.replay.text")}
          action={ui.t("stl.replay")}
        />
      </>
    ) : null}
  </>
);

const Asking = ({ ui, settlement }: Shown) => (
  <Card title={ui.t("stl.facts")} aside={<SettlementBadge ui={ui} status={settlement.status} />}>
    <Facts
      rows={[
        [ui.t("stl.type"), ui.t(`stl.type.${settlement.type}`)],
        [
          ui.t("stl.amount"),
          <strong class="numeric">{ui.money({ minor: settlement.amountCents, currency: settlement.currency })}</strong>,
        ],
        [ui.t("stl.reference"), <Code ui={ui} value={settlement.refId} keep={30} />],
        [ui.t("stl.claim"), <Code ui={ui} value={settlement.claimId} keep={30} />],
        [ui.t("stl.subject"), <Code ui={ui} value={settlement.subject} keep={18} />],
        [ui.t("stl.tenant"), settlement.tenantId],
        ...(settlement.reverses === null
          ? []
          : [[ui.t("stl.reverses"), <SettlementLink refId={settlement.reverses} />] as const]),
        ...(settlement.reason === null
          ? []
          : [[ui.t("stl.reason"), <span class="mono">{settlement.reason}</span>] as const]),
        [ui.t("stl.created"), <Time ui={ui} at={settlement.createdAt} both />],
        [ui.t("stl.updated"), <Time ui={ui} at={settlement.updatedAt} both />],
      ]}
    />
  </Card>
);

const Work = ({ ui, settlement }: Shown) => {
  const { operator } = settlement;
  const theirs =
    settlement.operatorTransactionId === null ? (
      "–"
    ) : (
      <Code ui={ui} value={settlement.operatorTransactionId} keep={24} />
    );
  return (
    <Card title={ui.t("stl.work")}>
      {operator === null ? <p class="quiet">{ui.t("stl.work.none")}</p> : null}
      <Facts
        rows={[
          [ui.t("stl.operatorId"), theirs],
          ...(operator === null
            ? []
            : ([
                [
                  ui.t("stl.work.next"),
                  operator.dueAt === null ? ui.t("stl.work.decided") : <Time ui={ui} at={operator.dueAt} both />,
                ],
                // Once it is decided, nothing is sent any more.
                [
                  ui.t("stl.work.inDoubt"),
                  ui.t(operator.inDoubt && operator.dueAt !== null ? "stl.work.inDoubtYes" : "stl.work.inDoubtNo"),
                ],
                [ui.t("stl.work.sends"), ui.number(operator.sends)],
                [ui.t("stl.work.waits"), ui.number(operator.waits)],
                [ui.t("stl.work.asked"), operator.askedAt === null ? "–" : <Time ui={ui} at={operator.askedAt} both />],
                [
                  ui.t("stl.work.answer"),
                  operator.lastAnswer === null ? "–" : ui.label("stl.answer", operator.lastAnswer),
                ],
                [ui.t("stl.correlation"), <Code ui={ui} value={operator.correlationId} keep={36} />],
              ] as const)),
          [ui.t("stl.replays"), ui.number(settlement.replays)],
        ]}
      />
    </Card>
  );
};

const textOf = (value: unknown): string => (typeof value === "string" && value !== "" ? value : "–");

const History = ({ ui, settlement }: Shown) => (
  <Card flush title={ui.t("stl.history")}>
    <Table
      caption={ui.t("stl.history")}
      rows={settlement.events.toReversed()}
      empty={<Empty icon="history" title={ui.t("stl.history.empty")} />}
      columns={[
        { label: ui.t("stl.event"), heading: true, cell: ({ type }) => ui.label("stl.event", type) },
        { label: ui.t("stl.seq"), cell: ({ seq }) => <a href={`/operations/ledger/${seq}`}>{`#${ui.number(seq)}`}</a> },
        { label: ui.t("stl.when"), cell: ({ at }) => <Time ui={ui} at={at} both /> },
        { label: ui.t("stl.actor"), cell: ({ data }) => <span class="mono">{textOf(data.actor)}</span> },
        { label: ui.t("stl.reason"), cell: ({ data }) => <span class="mono">{textOf(data.reason)}</span> },
      ]}
    />
  </Card>
);

const Resolve = ({ ui, settlement }: Shown) => {
  const { refId, status } = settlement;
  // What failed already can only have happened after all, and what was not begun can not have been done.
  const outcomes =
    status === "FAILED"
      ? (["COMPLETED"] as const)
      : status === "PENDING"
        ? (["FAILED", "REJECTED"] as const)
        : (["COMPLETED", "REJECTED", "FAILED"] as const);
  return (
    <Dialog id="resolve" ui={ui} title={ui.t("stl.resolve.title")}>
      <ApiForm
        id="resolve-form"
        method="POST"
        path={`${SETTLEMENTS_API}/${refId}/resolve`}
        go="reload"
        toast={ui.t("stl.resolve.done")}
        problems={{ conflict: ui.t("stl.resolve.conflict") }}
      >
        <p class="quiet">{ui.t("stl.resolve.text")}</p>
        <SelectField
          ui={ui}
          name="outcome"
          label={ui.t("stl.resolve.outcome")}
          options={outcomes.map((value) => ({ value, label: ui.t(`stl.status.${value}`) }))}
        />
        <ReasonField ui={ui} label={ui.t("stl.reason")} hint={ui.t("stl.resolve.reasonHint")} />
        {status === "PENDING" ? null : (
          <TextField
            ui={ui}
            name="operatorTransactionId"
            label={ui.t("stl.operatorId")}
            hint={ui.t("stl.resolve.operatorIdHint")}
            pattern="[A-Za-z0-9._:\-]+"
            maxLength={64}
            optional
          />
        )}
        <FormButtons ui={ui} action={ui.t("stl.resolve.action")} />
      </ApiForm>
    </Dialog>
  );
};
