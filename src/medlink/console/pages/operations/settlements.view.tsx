import { type Asked, askedValue } from "../../../operations/asked.ts";
import { FilterForm, FilterSelect, FilterText } from "../../components/form.view.tsx";
import {
  Badge,
  Card,
  type Column,
  Empty,
  Live,
  Notice,
  PageHead,
  Pager,
  Table,
  Time,
  type Tone,
} from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { Away } from "./away.view.tsx";
import { SETTLEMENTS_PATH } from "./settlement-paths.ts";
import { type SettlementLine, type Settlements, STATUSES, TYPES } from "./settlement-shapes.ts";

const EVERY_MS = 10_000;

/** A settlement that has not ended after this long is looked at by people too. */
export const STUCK_AFTER_MS = 5 * 60_000;

export const STATUS_TONES: Readonly<Record<SettlementLine["status"], Tone>> = {
  PENDING: "info",
  PROCESSING: "info",
  COMPLETED: "good",
  REJECTED: "warn",
  FAILED: "bad",
};

export const SettlementBadge = ({ ui, status }: { readonly ui: Ui; readonly status: SettlementLine["status"] }) => (
  <Badge tone={STATUS_TONES[status]}>{ui.t(`stl.status.${status}`)}</Badge>
);

/** The beginning of a refId, as people read it out. */
export const shortRef = (refId: string): string => (refId.length > 16 ? `${refId.slice(0, 14)}…` : refId);

export const SettlementLink = ({ refId }: { readonly refId: string }) => (
  <a href={`${SETTLEMENTS_PATH}/${refId}`} title={refId}>
    <span class="mono">{shortRef(refId)}</span>
  </a>
);

export interface SettlementFilters {
  readonly status?: SettlementLine["status"] | undefined;
  readonly type?: SettlementLine["type"] | undefined;
  readonly currency?: string | undefined;
  /** Days, `YYYY-MM-DD`, in the viewer's zone; both are within. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface Stuck {
  /** Oldest first. */
  readonly settlements: readonly SettlementLine[];
  /** There are more than these. */
  readonly more: boolean;
}

export interface SettlementsProps {
  readonly ui: Ui;
  readonly stuck: Asked<Stuck>;
  readonly settlements: Asked<Settlements>;
  readonly filters: SettlementFilters;
  readonly cursor: string | undefined;
}

export const SettlementsView = (props: SettlementsProps) => {
  const { ui, stuck, settlements, filters } = props;
  const found = askedValue(settlements);
  return (
    <>
      <PageHead ui={ui} title={ui.t("nav.settlements")} lead={ui.t("stl.lead")} />
      {found === undefined ? (
        <Away ui={ui} asked={settlements} />
      ) : (
        <>
          <Live id="stuck" everyMs={EVERY_MS}>
            <StuckOnes ui={ui} stuck={stuck} />
          </Live>
          <section class="spaced">
            <h2 class="section">{ui.t("stl.list")}</h2>
            <Filters ui={ui} filters={filters} />
            <Live id="settlements" everyMs={EVERY_MS}>
              <List {...props} found={found} />
            </Live>
          </section>
        </>
      )}
    </>
  );
};

const StuckOnes = ({ ui, stuck: asked }: Pick<SettlementsProps, "ui" | "stuck">) => {
  const stuck = askedValue(asked);
  if (stuck === undefined) return <Away ui={ui} asked={asked} />;
  const { settlements, more } = stuck;
  if (settlements.length === 0) {
    return (
      <Notice tone="good" title={ui.t("stl.stuck.none")}>
        <span class="quiet">{ui.t("stl.stuck.noneText")}</span>
      </Notice>
    );
  }
  return (
    <div class="stack">
      <Notice
        tone="warn"
        title={
          more
            ? ui.t("stl.stuck.more", { count: ui.number(settlements.length) })
            : ui.count("stl.stuck", settlements.length)
        }
      >
        <span class="quiet">{ui.t("stl.stuck.lead")}</span>
      </Notice>
      <Card flush>
        <Table caption={ui.t("stl.stuck.caption")} rows={settlements} empty={null} columns={columnsOf(ui)} />
      </Card>
    </div>
  );
};

const columnsOf = (ui: Ui): readonly Column<SettlementLine>[] => [
  { label: ui.t("stl.name"), heading: true, cell: ({ refId }) => <SettlementLink refId={refId} /> },
  { label: ui.t("stl.type"), cell: ({ type }) => ui.t(`stl.type.${type}`) },
  {
    label: ui.t("stl.amount"),
    align: "right",
    cell: ({ amountCents, currency }) => ui.money({ minor: amountCents, currency }),
  },
  { label: ui.t("stl.status"), cell: ({ status }) => <SettlementBadge ui={ui} status={status} /> },
  { label: ui.t("stl.reason"), cell: ({ reason }) => (reason === null ? "–" : <span class="mono">{reason}</span>) },
  { label: ui.t("stl.created"), cell: ({ createdAt }) => <Time ui={ui} at={createdAt} /> },
  { label: ui.t("stl.updated"), cell: ({ updatedAt }) => <Time ui={ui} at={updatedAt} /> },
];

const Filters = ({ ui, filters }: Pick<SettlementsProps, "ui" | "filters">) => (
  <FilterForm ui={ui} path={SETTLEMENTS_PATH}>
    <FilterSelect
      name="status"
      label={ui.t("stl.status")}
      value={filters.status}
      blank={ui.t("app.all")}
      options={STATUSES.map((value) => ({ value, label: ui.t(`stl.status.${value}`) }))}
    />
    <FilterSelect
      name="type"
      label={ui.t("stl.type")}
      value={filters.type}
      blank={ui.t("app.all")}
      options={TYPES.map((value) => ({ value, label: ui.t(`stl.type.${value}`) }))}
    />
    <FilterText
      name="currency"
      label={ui.t("stl.currency")}
      value={filters.currency}
      placeholder={ui.t("stl.currencyHint")}
    />
    <FilterText name="from" type="date" label={ui.t("stl.from")} value={filters.from} />
    <FilterText name="to" type="date" label={ui.t("stl.to")} value={filters.to} />
  </FilterForm>
);

const List = ({ ui, found, filters, cursor }: SettlementsProps & { readonly found: Settlements }) => {
  const filtered = Object.values(filters).some((value) => value !== undefined) || cursor !== undefined;
  return (
    <Card flush>
      <Table
        caption={ui.t("stl.list")}
        rows={found.settlements}
        empty={
          filtered ? (
            <Empty icon="search" title={ui.t("stl.noMatch")}>
              <a class="button" href={SETTLEMENTS_PATH}>
                {ui.t("app.clear")}
              </a>
            </Empty>
          ) : (
            <Empty icon="money" title={ui.t("stl.empty")} text={ui.t("stl.emptyText")} />
          )
        }
        columns={columnsOf(ui)}
      />
      <Pager
        ui={ui}
        path={SETTLEMENTS_PATH}
        query={{ ...filters }}
        cursor={cursor}
        nextCursor={found.nextCursor === null ? undefined : String(found.nextCursor)}
      />
    </Card>
  );
};
