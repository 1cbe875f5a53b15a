import type { Money } from "../../../platform/money.ts";
import { CLAIM_STATUSES, CLAIM_TYPES, type ClaimStatus, type ClaimType } from "../../claims/claim.ts";
import type { ClaimTraits } from "../../claims/claim-filter.ts";
import { ClaimBadge, ClaimLink } from "../components/claim.view.tsx";
import { FilterForm, FilterSelect, FilterText, type Option } from "../components/form.view.tsx";
import { Icon } from "../components/icon.view.tsx";
import { type Column, Empty, PageHead, Pager, Table, Time } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

export interface ClaimLine {
  readonly claimId: string;
  readonly type: ClaimType;
  readonly status: ClaimStatus;
  readonly amount: Money;
  /** undefined: erased, or not of this clinic any more. */
  readonly patient: string | undefined;
  readonly insurer: string | undefined;
  readonly createdAt: number;
}

export const claimColumns = (ui: Ui): readonly Column<ClaimLine>[] => [
  {
    label: ui.t("claims.claim"),
    heading: true,
    cell: ({ claimId, type }) => <ClaimLink ui={ui} claimId={claimId} type={type} />,
  },
  {
    label: ui.t("claims.patient"),
    cell: ({ patient }) => patient ?? <span class="quiet">{ui.t("claims.erased")}</span>,
  },
  { label: ui.t("claims.insurer"), cell: ({ insurer }) => insurer ?? "–" },
  { label: ui.t("claims.amount"), align: "right", cell: ({ amount }) => ui.money(amount) },
  { label: ui.t("claims.status"), cell: ({ status, type }) => <ClaimBadge ui={ui} status={status} type={type} /> },
  { label: ui.t("claims.filed"), cell: ({ createdAt }) => <Time ui={ui} at={createdAt} /> },
];

export interface ClaimFilters extends ClaimTraits {
  readonly q?: string | undefined;
  /** Days, `YYYY-MM-DD`, in the viewer's zone; both are within. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface ClaimsViewProps {
  readonly ui: Ui;
  readonly claims: readonly ClaimLine[];
  readonly filters: ClaimFilters;
  readonly insurers: readonly Option[];
  readonly providers: readonly Option[];
  readonly cursor: string | undefined;
  readonly nextCursor: string | undefined;
  readonly mayFileMany: boolean;
}

export const ClaimsView = (props: ClaimsViewProps) => {
  const { ui, claims, filters, insurers, providers, cursor, nextCursor, mayFileMany } = props;
  const filtered = Object.values(filters).some((value) => value !== undefined && value !== "");
  const empty = filtered ? (
    <Empty icon="search" title={ui.t("claims.noMatch.title")} text={ui.t("claims.noMatch.text")}>
      <a class="button" href="/claims">
        {ui.t("claims.clear")}
      </a>
    </Empty>
  ) : (
    <Empty icon="claim" title={ui.t("claims.empty.title")} text={ui.t("claims.empty.text")}>
      <a class="button primary" href="/claims/new">
        {ui.t("claims.new")}
      </a>
    </Empty>
  );
  return (
    <>
      <PageHead ui={ui} title={ui.t("claims.title")} lead={ui.t("claims.lead")}>
        {mayFileMany ? (
          <a class="button" href="/claims/bulk">
            <Icon name="upload" />
            {ui.t("claims.bulk")}
          </a>
        ) : null}
        <a class="button primary" href="/claims/new">
          <Icon name="plus" />
          {ui.t("claims.new")}
        </a>
      </PageHead>
      <FilterForm ui={ui} path="/claims">
        <FilterText name="q" label={ui.t("claims.search")} value={filters.q} placeholder={ui.t("claims.searchHint")} />
        <FilterSelect
          name="status"
          label={ui.t("claims.status")}
          value={filters.status}
          blank={ui.t("claims.anyStatus")}
          options={CLAIM_STATUSES.map((value) => ({ value, label: ui.t(`status.${value}`) }))}
        />
        <FilterSelect
          name="type"
          label={ui.t("claims.type")}
          value={filters.type}
          blank={ui.t("claims.anyType")}
          options={CLAIM_TYPES.map((value) => ({ value, label: ui.t(`type.${value}`) }))}
        />
        <FilterSelect
          name="insurerId"
          label={ui.t("claims.insurer")}
          value={filters.insurerId}
          blank={ui.t("claims.anyInsurer")}
          options={insurers}
        />
        <FilterSelect
          name="providerId"
          label={ui.t("claims.provider")}
          value={filters.providerId}
          blank={ui.t("claims.anyProvider")}
          options={providers}
        />
        <FilterText name="from" type="date" label={ui.t("claims.from")} value={filters.from} />
        <FilterText name="to" type="date" label={ui.t("claims.to")} value={filters.to} />
        {filters.patientId === undefined ? null : <input type="hidden" name="patientId" value={filters.patientId} />}
      </FilterForm>
      <section class="card flush" id="claims" data-live={5_000}>
        <Table caption={ui.t("claims.caption")} columns={claimColumns(ui)} rows={claims} empty={empty} />
        <Pager ui={ui} path="/claims" query={{ ...filters }} cursor={cursor} nextCursor={nextCursor} />
      </section>
    </>
  );
};
