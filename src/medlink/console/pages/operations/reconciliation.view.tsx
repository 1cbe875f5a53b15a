import { type Asked, askedValue } from "../../../operations/asked.ts";
import { ApiForm, FilterForm, FilterSelect, FilterText, FormButtons, TextField } from "../../components/form.view.tsx";
import { Icon } from "../../components/icon.view.tsx";
import {
  Action,
  Badge,
  Card,
  Dialog,
  Empty,
  Live,
  Notice,
  PageHead,
  Pager,
  Stat,
  Table,
  Tabs,
  Time,
  type Tone,
} from "../../components/parts.view.tsx";
import { DAY_MS } from "../../i18n/day.ts";
import type { Ui } from "../../i18n/ui.ts";
import { Away } from "./away.view.tsx";
import { RECONCILIATION_API, RECONCILIATION_PATH } from "./settlement-paths.ts";
import { ITEM_STATES, type Item, type Items, KINDS, type Run, type Runs, type Side } from "./settlement-shapes.ts";
import { SettlementLink, shortRef } from "./settlements.view.tsx";

const BUSY_MS = 2_000;
const CALM_MS = 15_000;

/** Of one page, the list that is asked for. */
export type ReconciliationLists =
  | {
      readonly list: "items";
      readonly items: Asked<Items>;
      readonly filters: ItemFilters;
      readonly cursor: string | undefined;
    }
  | { readonly list: "runs"; readonly runs: Asked<Runs>; readonly cursor: string | undefined };

export interface ItemFilters {
  readonly state: Item["state"] | "all";
  readonly kind?: Item["kind"] | undefined;
  /** Days as items have them, UTC; both are within. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface ReconciliationProps {
  readonly ui: Ui;
  /** The newest run alone. */
  readonly newest: Asked<Runs>;
  readonly lists: ReconciliationLists;
  /** Who looks. */
  readonly me: string;
}

export const ReconciliationView = (props: ReconciliationProps) => {
  const { ui, newest, lists } = props;
  const known = askedValue(newest);
  const isRunning = known?.runs[0]?.state === "running";
  return (
    <>
      <PageHead ui={ui} title={ui.t("nav.reconciliation")} lead={ui.t("rec.lead")}>
        {known === undefined ? null : (
          <button type="button" class="primary" data-open="run">
            <Icon name="play" />
            {ui.t("rec.run")}
          </button>
        )}
      </PageHead>
      {known === undefined ? (
        <Away ui={ui} asked={newest} />
      ) : (
        <>
          <RunNow ui={ui} />
          <Live id="reconciliation-status" everyMs={isRunning ? BUSY_MS : CALM_MS}>
            <Figures ui={ui} known={known} />
          </Live>
          <section id="lists">
            <h2 class="sr">{ui.t("rec.lists")}</h2>
            <Tabs
              label={ui.t("rec.lists")}
              items={[
                {
                  href: `${RECONCILIATION_PATH}#lists`,
                  label: `${ui.t("rec.items")} (${ui.number(known.openItems)})`,
                  current: lists.list === "items",
                },
                {
                  href: `${RECONCILIATION_PATH}?list=runs#lists`,
                  label: ui.t("rec.runs"),
                  current: lists.list === "runs",
                },
              ]}
            />
            {lists.list === "items" ? (
              <ItemList ui={ui} me={props.me} {...lists} />
            ) : (
              <Live id="runs" everyMs={isRunning ? BUSY_MS : CALM_MS}>
                <RunList ui={ui} {...lists} />
              </Live>
            )}
          </section>
        </>
      )}
    </>
  );
};

/** Of the last whole day, as the daily run has it. */
const yesterday = (ui: Ui): string => new Date(ui.now - DAY_MS).toISOString().slice(0, 10);

const RunNow = ({ ui }: { readonly ui: Ui }) => {
  const today = new Date(ui.now).toISOString().slice(0, 10);
  return (
    <Dialog id="run" ui={ui} title={ui.t("rec.run.title")}>
      <ApiForm
        id="run-form"
        method="POST"
        path={`${RECONCILIATION_API}/runs`}
        go={`${RECONCILIATION_PATH}?list=runs`}
        toast={ui.t("rec.run.done")}
        problems={{ unavailable: ui.t("rec.run.unavailable") }}
      >
        <p class="quiet">{ui.t("rec.run.text")}</p>
        <div class="grid">
          <TextField
            ui={ui}
            name="from"
            type="date"
            label={ui.t("rec.run.from")}
            value={yesterday(ui)}
            max={today}
            id="run-from"
          />
          <TextField
            ui={ui}
            name="to"
            type="date"
            label={ui.t("rec.run.to")}
            value={yesterday(ui)}
            max={today}
            id="run-to"
          />
        </div>
        <FormButtons ui={ui} action={ui.t("rec.run.action")} />
      </ApiForm>
    </Dialog>
  );
};

const RUN_TONES: Readonly<Record<Run["state"], Tone>> = { running: "info", completed: "good", failed: "bad" };

const RunBadge = ({ ui, state }: { readonly ui: Ui; readonly state: Run["state"] }) => (
  <Badge tone={RUN_TONES[state]}>{ui.t(`rec.run.${state}`)}</Badge>
);

const daysOf = (ui: Ui, { from, to }: Pick<Run, "from" | "to">): string =>
  from === to ? ui.day(from) : `${ui.day(from)} – ${ui.day(to)}`;

const Figures = ({ ui, known }: { readonly ui: Ui; readonly known: Runs }) => {
  const [run] = known.runs;
  return (
    <>
      {run?.state === "failed" ? (
        <div class="notices">
          <Notice tone="bad" title={ui.t("rec.run.failedTitle")}>
            <p>{ui.t("rec.run.failedText")}</p>
            <Continue ui={ui} run={run} />
          </Notice>
        </div>
      ) : null}
      {run === undefined ? (
        <div class="notices">
          <Notice tone="info" title={ui.t("rec.never")}>
            {ui.t("rec.neverText")}
          </Notice>
        </div>
      ) : null}
      <div class="stats">
        <Stat
          label={ui.t("rec.open")}
          value={ui.number(known.openItems)}
          note={ui.t("rec.openNote")}
          tone={known.openItems > 0 ? "warn" : "good"}
          href={`${RECONCILIATION_PATH}#lists`}
        />
        {run === undefined ? null : (
          <>
            <Stat
              label={ui.t("rec.last")}
              value={run.state === "running" ? ui.percent(run.progress) : <RunBadge ui={ui} state={run.state} />}
              note={
                <>
                  {daysOf(ui, run)}, <Time ui={ui} at={run.startedAt} />
                </>
              }
              href={`${RECONCILIATION_PATH}?list=runs#lists`}
            />
            <Stat
              label={ui.t("rec.agreed")}
              value={ui.number(run.agreed)}
              note={`${ui.t("rec.inFlight")}: ${ui.number(run.inFlight)}`}
            />
            <Stat
              label={ui.t("rec.mismatches")}
              value={ui.number(run.mismatches)}
              note={`${ui.t("rec.asked")}: ${ui.number(run.asked)}`}
              tone={run.mismatches > 0 ? "warn" : "neutral"}
            />
          </>
        )}
      </div>
    </>
  );
};

const Continue = ({ ui, run }: { readonly ui: Ui; readonly run: Run }) => (
  <Action
    small
    icon="play"
    call={{ method: "POST", path: `${RECONCILIATION_API}/runs/${run.runId}/continue` }}
    go="reload"
    toast={ui.t("rec.run.continued")}
  >
    {ui.t("rec.run.continue")}
  </Action>
);

const RunList = ({ ui, runs: asked, cursor }: { readonly ui: Ui } & Extract<ReconciliationLists, { list: "runs" }>) => {
  const found = askedValue(asked);
  if (found === undefined) return <Away ui={ui} asked={asked} />;
  return (
    <Card flush>
      <Table
        caption={ui.t("rec.runs")}
        rows={found.runs}
        empty={<Empty icon="history" title={ui.t("rec.noRuns")} text={ui.t("rec.neverText")} />}
        columns={[
          {
            label: ui.t("rec.run.days"),
            heading: true,
            cell: (run) => (
              <>
                {daysOf(ui, run)} <small class="quiet">{ui.t(`rec.run.${run.kind}`)}</small>
              </>
            ),
          },
          {
            label: ui.t("rec.state"),
            cell: (run) =>
              run.state === "completed" ? (
                <RunBadge ui={ui} state={run.state} />
              ) : (
                <span class="run-state">
                  <RunBadge ui={ui} state={run.state} />
                  <progress value={run.progress} max={1} aria-label={ui.t("rec.run.progress")} />
                  <Continue ui={ui} run={run} />
                </span>
              ),
          },
          { label: ui.t("rec.ours"), align: "right", cell: ({ ours }) => ui.number(ours) },
          { label: ui.t("rec.theirs"), align: "right", cell: ({ theirs }) => ui.number(theirs) },
          { label: ui.t("rec.agreed"), align: "right", cell: ({ agreed }) => ui.number(agreed) },
          { label: ui.t("rec.inFlight"), align: "right", cell: ({ inFlight }) => ui.number(inFlight) },
          {
            label: ui.t("rec.mismatches"),
            align: "right",
            cell: ({ mismatches, from, to }) =>
              mismatches === 0 ? (
                ui.number(0)
              ) : (
                <a href={`${RECONCILIATION_PATH}?state=all&from=${from}&to=${to}#lists`}>{ui.number(mismatches)}</a>
              ),
          },
          { label: ui.t("rec.run.started"), cell: ({ startedAt }) => <Time ui={ui} at={startedAt} /> },
          {
            label: ui.t("rec.run.csv"),
            align: "right",
            cell: ({ runId, state }) =>
              state === "running" ? (
                "–"
              ) : (
                <a class="button small" href={`${RECONCILIATION_API}/runs/${runId}/report.csv`} download>
                  <Icon name="download" size={14} />
                  <span aria-hidden="true">{ui.t("rec.run.csv")}</span>
                  <span class="sr">{ui.t("rec.run.csvOf", { run: runId })}</span>
                </a>
              ),
          },
        ]}
      />
      <Pager
        ui={ui}
        path={RECONCILIATION_PATH}
        query={{ list: "runs" }}
        cursor={cursor}
        nextCursor={found.next ?? undefined}
      />
    </Card>
  );
};

export const ItemBadge = ({ ui, state }: { readonly ui: Ui; readonly state: Item["state"] }) => (
  <Badge tone={state === "open" ? "warn" : "good"}>{ui.t(`rec.state.${state}`)}</Badge>
);

export const ownerOf = (ui: Ui, owner: string | null, me: string): string =>
  owner === null ? ui.t("rec.owner.none") : owner === me ? ui.t("rec.owner.me") : owner;

/** Only of the differing field, where one field differs; else what it is about as a whole. */
const shortSide = (ui: Ui, { kind }: Item, side: Side | null): string => {
  if (side === null) return ui.t("rec.item.absent");
  switch (kind) {
    case "type":
      return ui.label("stl.type", side.type);
    case "status":
      return ui.label("stl.status", side.status);
    case "currency":
      return side.currency;
    case "amount":
    case "missing_at_operator":
    case "missing_here":
      return ui.money({ minor: side.amountCents, currency: side.currency });
  }
};

const ItemList = ({
  ui,
  me,
  items: asked,
  filters,
  cursor,
}: { readonly ui: Ui; readonly me: string } & Extract<ReconciliationLists, { list: "items" }>) => {
  const found = askedValue(asked);
  const { state, ...narrower } = filters;
  const filtered = state !== "open" || Object.values(narrower).some((value) => value !== undefined);
  return (
    <>
      <FilterForm ui={ui} path={RECONCILIATION_PATH}>
        <FilterSelect
          name="state"
          label={ui.t("rec.state")}
          value={state}
          options={[
            ...ITEM_STATES.map((value) => ({ value, label: ui.t(`rec.state.${value}`) })),
            { value: "all", label: ui.t("app.all") },
          ]}
        />
        <FilterSelect
          name="kind"
          label={ui.t("rec.kind")}
          value={filters.kind}
          blank={ui.t("app.all")}
          options={KINDS.map((value) => ({ value, label: ui.t(`rec.kind.${value}`) }))}
        />
        <FilterText name="from" type="date" label={ui.t("rec.run.from")} value={filters.from} />
        <FilterText name="to" type="date" label={ui.t("rec.run.to")} value={filters.to} />
      </FilterForm>
      {found === undefined ? (
        <Away ui={ui} asked={asked} />
      ) : (
        <Card flush>
          <Table
            caption={ui.t("rec.items")}
            rows={found.items}
            empty={
              filtered ? (
                <Empty icon="search" title={ui.t("rec.noMatch")}>
                  <a class="button" href={RECONCILIATION_PATH}>
                    {ui.t("app.clear")}
                  </a>
                </Empty>
              ) : (
                <Empty icon="check" title={ui.t("rec.noItems")} text={ui.t("rec.noItemsText")} />
              )
            }
            columns={[
              {
                label: ui.t("rec.kind"),
                heading: true,
                cell: ({ itemId, kind }) => (
                  <a href={`${RECONCILIATION_PATH}/items/${itemId}`}>{`#${itemId} ${ui.t(`rec.kind.${kind}`)}`}</a>
                ),
              },
              {
                label: ui.t("stl.name"),
                cell: ({ refId, ours }) =>
                  ours === null ? <span class="mono">{shortRef(refId)}</span> : <SettlementLink refId={refId} />,
              },
              { label: ui.t("rec.day"), cell: ({ day }) => ui.day(day) },
              { label: ui.t("rec.ours"), align: "right", cell: (item) => shortSide(ui, item, item.ours) },
              { label: ui.t("rec.theirs"), align: "right", cell: (item) => shortSide(ui, item, item.theirs) },
              { label: ui.t("rec.owner"), cell: ({ owner }) => ownerOf(ui, owner, me) },
              {
                label: ui.t("rec.state"),
                cell: ({ state: of, resolution }) =>
                  of === "open" || resolution === null ? (
                    <ItemBadge ui={ui} state={of} />
                  ) : (
                    <Badge tone="good">{ui.label("rec.resolution", resolution)}</Badge>
                  ),
              },
              { label: ui.t("rec.found"), cell: ({ foundAt }) => <Time ui={ui} at={foundAt} /> },
            ]}
          />
          <Pager
            ui={ui}
            path={RECONCILIATION_PATH}
            query={{ ...filters }}
            cursor={cursor}
            nextCursor={found.nextBefore === null ? undefined : String(found.nextBefore)}
          />
        </Card>
      )}
    </>
  );
};
