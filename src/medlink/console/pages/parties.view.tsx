import type { Clinic, Insurer, Provider } from "../../records/record.ts";
import { RETENTION_YEARS } from "../../records/record.ts";
import { ApiForm, SelectField, Submit, TextField } from "../components/form.view.tsx";
import { Icon } from "../components/icon.view.tsx";
import { Card, Code, Dialog, Empty, PageHead, Table } from "../components/parts.view.tsx";
import { LOCALES } from "../i18n/locale.ts";
import type { Ui } from "../i18n/ui.ts";

export interface PartiesViewProps {
  readonly ui: Ui;
  readonly providers: readonly Provider[];
  readonly insurers: readonly Insurer[];
  /** undefined: the viewer may not change it. */
  readonly clinic: Clinic | undefined;
}

export const PartiesView = ({ ui, providers, insurers, clinic }: PartiesViewProps) => (
  <>
    <PageHead ui={ui} title={ui.t("parties.title")} lead={ui.t("parties.lead")} />
    <div class="grid">
      <section class="card flush">
        <div class="card-head">
          <h2>{ui.t("parties.providers")}</h2>
          <button type="button" class="plain small" data-open="add-provider">
            <Icon name="plus" size={16} />
            {ui.t("parties.addProvider")}
          </button>
        </div>
        <Table
          caption={ui.t("parties.providers")}
          rows={providers}
          columns={[
            { label: ui.t("parties.name"), heading: true, cell: ({ name }) => name },
            { label: ui.t("parties.licence"), cell: ({ licenceNumber }) => licenceNumber ?? "–" },
          ]}
          empty={<Empty icon="people" title={ui.t("parties.noProviders")} />}
        />
      </section>
      <section class="card flush">
        <div class="card-head">
          <h2>{ui.t("parties.insurers")}</h2>
          <button type="button" class="plain small" data-open="add-insurer">
            <Icon name="plus" size={16} />
            {ui.t("parties.addInsurer")}
          </button>
        </div>
        <Table
          caption={ui.t("parties.insurers")}
          rows={insurers}
          columns={[
            { label: ui.t("parties.name"), heading: true, cell: ({ name }) => name },
            {
              label: ui.t("parties.address"),
              cell: ({ insurerAddress }) => <Code ui={ui} value={insurerAddress} />,
            },
          ]}
          empty={<Empty icon="shield" title={ui.t("parties.noInsurers")} />}
        />
      </section>
    </div>
    {clinic === undefined ? null : (
      <Card title={ui.t("clinic.title")}>
        <ApiForm id="clinic-form" method="PATCH" path="/api/clinic" toast={ui.t("clinic.saved")} go="reload">
          <div class="pair">
            <TextField ui={ui} name="name" label={ui.t("clinic.name")} value={clinic.name} maxLength={200} />
            <TextField
              ui={ui}
              name="retentionYears"
              type="number"
              kind="number"
              label={ui.t("clinic.retention")}
              hint={ui.t("clinic.retentionHint")}
              value={String(clinic.retentionYears)}
              min={String(RETENTION_YEARS.min)}
              max={String(RETENTION_YEARS.max)}
            />
            <SelectField
              ui={ui}
              name="locale"
              label={ui.t("clinic.locale")}
              value={clinic.locale}
              options={LOCALES.map((value) => ({ value, label: ui.t(`app.language.${value}`) }))}
            />
          </div>
          <div class="actions end">
            <Submit>{ui.t("app.save")}</Submit>
          </div>
        </ApiForm>
      </Card>
    )}
    <Dialog id="add-provider" ui={ui} title={ui.t("parties.addProvider")}>
      <ApiForm id="provider-form" method="POST" path="/api/providers" go="reload" toast={ui.t("parties.added")}>
        <TextField ui={ui} id="provider-name" name="name" label={ui.t("parties.name")} maxLength={200} />
        <TextField ui={ui} name="licenceNumber" label={ui.t("parties.licence")} maxLength={40} optional />
        <div class="actions end">
          <Submit>{ui.t("app.save")}</Submit>
        </div>
      </ApiForm>
    </Dialog>
    <Dialog id="add-insurer" ui={ui} title={ui.t("parties.addInsurer")}>
      <ApiForm id="insurer-form" method="POST" path="/api/insurers" go="reload" toast={ui.t("parties.added")}>
        <TextField ui={ui} id="insurer-name" name="name" label={ui.t("parties.name")} maxLength={200} />
        <TextField
          ui={ui}
          name="insurerAddress"
          label={ui.t("parties.address")}
          hint={ui.t("parties.addressHint")}
          pattern="0x[0-9a-fA-F]{40}"
          maxLength={42}
        />
        <div class="actions end">
          <Submit>{ui.t("app.save")}</Submit>
        </div>
      </ApiForm>
    </Dialog>
  </>
);
