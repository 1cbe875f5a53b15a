import type { Remittance } from "../../remittances/remittance.ts";
import { ClaimLink } from "../components/claim.view.tsx";
import {
  ApiForm,
  FilterForm,
  FilterSelect,
  type Option,
  SelectField,
  Submit,
  TextField,
} from "../components/form.view.tsx";
import { Icon } from "../components/icon.view.tsx";
import { Card, Empty, Facts, PageHead, Pager, Table, Time } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

export interface RemittancesViewProps {
  readonly ui: Ui;
  readonly remittances: readonly Omit<Remittance, "lines">[];
  readonly insurers: readonly Option[];
  readonly insurerId: string | undefined;
  readonly cursor: string | undefined;
  readonly nextCursor: string | undefined;
}

const nameOf = (insurers: readonly Option[], id: string): string =>
  insurers.find(({ value }) => value === id)?.label ?? id;

export const RemittancesView = ({ ui, remittances, insurers, insurerId, cursor, nextCursor }: RemittancesViewProps) => (
  <>
    <PageHead ui={ui} title={ui.t("remittances.title")} lead={ui.t("remittances.lead")}>
      <a class="button primary" href="/remittances/new">
        <Icon name="plus" />
        {ui.t("remittances.new")}
      </a>
    </PageHead>
    <FilterForm ui={ui} path="/remittances">
      <FilterSelect
        name="insurerId"
        label={ui.t("claims.insurer")}
        value={insurerId}
        blank={ui.t("claims.anyInsurer")}
        options={insurers}
      />
    </FilterForm>
    <section class="card flush">
      <Table
        caption={ui.t("remittances.caption")}
        rows={remittances}
        columns={[
          {
            label: ui.t("remittances.reference"),
            heading: true,
            cell: ({ remittanceId, reference }) => <a href={`/remittances/${remittanceId}`}>{reference}</a>,
          },
          { label: ui.t("claims.insurer"), cell: (one) => nameOf(insurers, one.insurerId) },
          { label: ui.t("remittances.paidOn"), cell: ({ paidOn }) => ui.day(paidOn) },
          { label: ui.t("remittances.total"), align: "right", cell: ({ total }) => ui.money(total) },
          { label: ui.t("remittances.recorded"), cell: ({ createdAt }) => <Time ui={ui} at={createdAt} /> },
        ]}
        empty={
          insurerId === undefined ? (
            <Empty icon="money" title={ui.t("remittances.empty.title")} text={ui.t("remittances.empty.text")}>
              <a class="button primary" href="/remittances/new">
                {ui.t("remittances.new")}
              </a>
            </Empty>
          ) : (
            <Empty icon="search" title={ui.t("remittances.noMatch.text")}>
              <a class="button" href="/remittances">
                {ui.t("claims.clear")}
              </a>
            </Empty>
          )
        }
      />
      <Pager ui={ui} path="/remittances" query={{ insurerId }} cursor={cursor} nextCursor={nextCursor} />
    </section>
  </>
);

export const RemittanceView = ({
  ui,
  remittance,
  insurer,
}: {
  readonly ui: Ui;
  readonly remittance: Remittance;
  readonly insurer: string | undefined;
}) => {
  const { total, lines, reference, paidOn, createdAt } = remittance;
  return (
    <>
      <PageHead
        ui={ui}
        title={ui.t("remittance.title", { reference })}
        trail={[{ href: "/remittances", label: ui.t("remittances.title") }]}
      />
      <div class="grid">
        <Card>
          <Facts
            rows={[
              [ui.t("claims.insurer"), insurer ?? "–"],
              [ui.t("remittances.paidOn"), ui.day(paidOn)],
              [ui.t("remittances.total"), <strong class="numeric">{ui.money(total)}</strong>],
              [ui.t("remittances.recorded"), <Time ui={ui} at={createdAt} both />],
            ]}
          />
        </Card>
        <section class="card flush">
          <div class="card-head">
            <h2>{ui.t("remittance.lines")}</h2>
          </div>
          <Table
            caption={ui.t("remittance.lines")}
            rows={lines}
            columns={[
              {
                label: ui.t("claims.claim"),
                heading: true,
                cell: ({ claimId }) => <ClaimLink ui={ui} claimId={claimId} />,
              },
              {
                label: ui.t("remittance.paid"),
                align: "right",
                cell: ({ paidMinor }) => ui.money({ minor: paidMinor, currency: total.currency }),
              },
            ]}
            empty={null}
          />
        </section>
      </div>
    </>
  );
};

const DECIMAL = "\\s*[0-9 ]{1,12}([.,][0-9]{1,2})?\\s*";

/** @param props.today `YYYY-MM-DD`, in the viewer's zone. */
export const NewRemittanceView = ({
  ui,
  insurers,
  today,
}: {
  readonly ui: Ui;
  readonly insurers: readonly Option[];
  readonly today: string;
}) => (
  <div class="narrow">
    <PageHead
      ui={ui}
      title={ui.t("remittances.new")}
      trail={[{ href: "/remittances", label: ui.t("remittances.title") }]}
    />
    <ApiForm
      id="remittance-form"
      method="POST"
      path="/api/remittances"
      go="/remittances/{remittanceId}"
      toast={ui.t("remittance.saved")}
      problems={{
        invalid_amount: ui.t("remittance.wrongSum"),
        invalid_body: ui.t("remittance.wrongLine"),
        conflict: ui.t("remittance.known"),
      }}
    >
      <Card>
        <div class="form">
          <div class="pair">
            <SelectField
              ui={ui}
              name="insurerId"
              label={ui.t("claims.insurer")}
              options={insurers}
              blank={ui.t("claimForm.choose")}
              value={insurers.length === 1 ? insurers[0]?.value : undefined}
            />
            <TextField
              ui={ui}
              name="reference"
              label={ui.t("remittances.reference")}
              pattern="[A-Za-z0-9][A-Za-z0-9._\/\-]{0,63}"
              maxLength={64}
            />
          </div>
          <div class="pair">
            <TextField ui={ui} name="paidOn" type="date" label={ui.t("remittances.paidOn")} value={today} />
            <TextField
              ui={ui}
              name="total"
              label={ui.t("remittances.total")}
              hint={ui.t("remittance.linesHint")}
              kind="decimal"
              inputmode="decimal"
              pattern={DECIMAL}
              maxLength={16}
            />
          </div>
          <fieldset class="items" data-list="lines">
            <legend>{ui.t("remittance.lines")}</legend>
            <div class="rows" data-rows>
              <LineRow ui={ui} />
            </div>
            <template data-row>
              <LineRow ui={ui} />
            </template>
            <button type="button" class="plain small" data-add-row>
              <Icon name="plus" size={16} />
              {ui.t("remittance.addLine")}
            </button>
          </fieldset>
        </div>
      </Card>
      <div class="actions end">
        <a class="button" href="/remittances">
          {ui.t("app.cancel")}
        </a>
        <Submit>{ui.t("remittance.save")}</Submit>
      </div>
    </ApiForm>
  </div>
);

const LineRow = ({ ui }: { readonly ui: Ui }) => (
  <div class="line-row" data-item>
    <label>
      <span>{ui.t("remittance.line")}</span>
      <input name="claimId" maxlength={64} autocomplete="off" placeholder={ui.t("claims.searchHint")} />
    </label>
    <label>
      <span>{ui.t("remittance.paid")}</span>
      <input name="paid" inputmode="decimal" data-kind="decimal" pattern={DECIMAL} maxlength={16} autocomplete="off" />
    </label>
    <button type="button" class="ghost square" data-remove-row>
      <Icon name="close" />
      <span class="sr">{ui.t("remittance.removeLine")}</span>
    </button>
  </div>
);
