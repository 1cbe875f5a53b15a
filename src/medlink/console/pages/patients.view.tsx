import type { Patient } from "../../records/record.ts";
import { ApiForm, FormButtons, Submit, TextArea, TextField } from "../components/form.view.tsx";
import { Icon } from "../components/icon.view.tsx";
import { Card, Dialog, Empty, Facts, Notice, PageHead, Pager, Table, Time } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";
import { type ClaimLine, claimColumns } from "./claims.view.tsx";
import { EraseForm } from "./erase.view.tsx";

export interface PatientsViewProps {
  readonly ui: Ui;
  readonly patients: readonly Patient[];
  /** What was searched for; it is never part of an address. */
  readonly search: { readonly q: string | undefined; readonly healthNumber: string | undefined } | undefined;
  readonly cursor: string | undefined;
  readonly nextCursor: string | undefined;
}

export const PatientsView = ({ ui, patients, search, cursor, nextCursor }: PatientsViewProps) => (
  <>
    <PageHead ui={ui} title={ui.t("patients.title")} lead={ui.t("patients.lead")}>
      <a class="button primary" href="/patients/new">
        <Icon name="plus" />
        {ui.t("patients.new")}
      </a>
    </PageHead>
    <search>
      <form class="filters" method="post" action="/patients">
        <label class="filter grow">
          <span>{ui.t("patients.search")}</span>
          <input
            name="q"
            type="search"
            value={search?.q}
            maxlength={200}
            placeholder={ui.t("patients.searchHint")}
            autocomplete="off"
          />
        </label>
        <label class="filter">
          <span>{ui.t("patients.healthNumber")}</span>
          <input name="healthNumber" type="search" value={search?.healthNumber} maxlength={40} autocomplete="off" />
        </label>
        <button type="submit" class="plain">
          <Icon name="search" />
          {ui.t("app.search")}
        </button>
        {search === undefined ? null : (
          <a class="button" href="/patients">
            {ui.t("patients.showAll")}
          </a>
        )}
      </form>
    </search>
    {search === undefined || patients.length === 0 ? null : (
      <p class="quiet count">{ui.count("patients.found", patients.length)}</p>
    )}
    <section class="card flush">
      <Table
        caption={ui.t("patients.caption")}
        rows={patients}
        columns={[
          {
            label: ui.t("patients.name"),
            heading: true,
            cell: ({ patientId, firstName, lastName }) => (
              <a href={`/patients/${patientId}`}>
                {lastName}, {firstName}
              </a>
            ),
          },
          {
            label: ui.t("patients.birthDate"),
            cell: ({ birthDate }) => (birthDate === undefined ? "–" : ui.day(birthDate)),
          },
          { label: ui.t("patients.healthNumber"), cell: ({ healthNumber }) => healthNumber ?? "–" },
          { label: ui.t("patients.since"), cell: ({ createdAt }) => <Time ui={ui} at={createdAt} /> },
        ]}
        empty={
          search === undefined ? (
            <Empty icon="people" title={ui.t("patients.empty.title")} text={ui.t("patients.empty.text")}>
              <a class="button primary" href="/patients/new">
                {ui.t("patients.new")}
              </a>
            </Empty>
          ) : (
            <Empty icon="search" title={ui.t("patients.noMatch.title")} text={ui.t("patients.noMatch.text")} />
          )
        }
      />
      {search === undefined ? (
        <Pager ui={ui} path="/patients" query={{}} cursor={cursor} nextCursor={nextCursor} />
      ) : null}
    </section>
  </>
);

const PatientFields = ({ ui, patient }: { readonly ui: Ui; readonly patient: Patient | undefined }) => (
  <>
    <div class="pair">
      <TextField
        ui={ui}
        name="firstName"
        label={ui.t("patients.firstName")}
        value={patient?.firstName}
        maxLength={200}
      />
      <TextField ui={ui} name="lastName" label={ui.t("patients.lastName")} value={patient?.lastName} maxLength={200} />
    </div>
    <div class="pair">
      <TextField
        ui={ui}
        name="birthDate"
        type="date"
        label={ui.t("patients.birthDate")}
        value={patient?.birthDate}
        optional
        {...(patient === undefined ? {} : { empty: "null" as const })}
      />
      <TextField
        ui={ui}
        name="healthNumber"
        label={ui.t("patients.healthNumber")}
        value={patient?.healthNumber}
        maxLength={40}
        optional
        {...(patient === undefined ? {} : { empty: "null" as const })}
      />
    </div>
    <TextArea
      ui={ui}
      name="notes"
      label={ui.t("patients.notes")}
      value={patient?.notes ?? ""}
      maxLength={10_000}
      optional
      {...(patient === undefined ? {} : { empty: "null" as const })}
    />
  </>
);

export const NewPatientView = ({ ui }: { readonly ui: Ui }) => (
  <div class="narrow">
    <PageHead ui={ui} title={ui.t("patient.new")} trail={[{ href: "/patients", label: ui.t("patients.title") }]} />
    <Card>
      <ApiForm
        id="patient-form"
        method="POST"
        path="/api/patients"
        go="/patients/{patientId}"
        toast={ui.t("patient.added")}
        problems={{ conflict: ui.t("patient.taken") }}
      >
        <PatientFields ui={ui} patient={undefined} />
        <div class="actions end">
          <a class="button" href="/patients">
            {ui.t("app.cancel")}
          </a>
          <Submit>{ui.t("app.save")}</Submit>
        </div>
      </ApiForm>
    </Card>
  </div>
);

export interface PatientViewProps {
  readonly ui: Ui;
  readonly patient: Patient;
  readonly claims: readonly ClaimLine[];
  readonly moreClaims: boolean;
  /** Epoch milliseconds; undefined: nobody asked for an erasure. */
  readonly erasingSince: number | undefined;
  readonly mayErase: boolean;
}

export const PatientView = ({ ui, patient, claims, moreClaims, erasingSince, mayErase }: PatientViewProps) => (
  <>
    <PageHead
      ui={ui}
      title={`${patient.firstName} ${patient.lastName}`}
      trail={[{ href: "/patients", label: ui.t("patients.title") }]}
    >
      {erasingSince === undefined ? (
        <>
          <button type="button" class="plain" data-open="edit-patient">
            <Icon name="edit" />
            {ui.t("patient.edit")}
          </button>
          <a class="button primary" href={`/claims/new?patientId=${patient.patientId}`}>
            <Icon name="plus" />
            {ui.t("patient.newClaim")}
          </a>
        </>
      ) : null}
    </PageHead>
    {erasingSince === undefined ? null : (
      <div class="notices">
        <Notice tone="warn" title={ui.t("patient.erasing")}>
          {ui.t("patient.erasingText")} <Time ui={ui} at={erasingSince} both />
        </Notice>
      </div>
    )}
    <div class="grid">
      <Card title={ui.t("patient.facts")}>
        <Facts
          rows={[
            [ui.t("patients.birthDate"), patient.birthDate === undefined ? "–" : ui.day(patient.birthDate)],
            [ui.t("patients.healthNumber"), patient.healthNumber ?? "–"],
            [ui.t("patients.since"), <Time ui={ui} at={patient.createdAt} both />],
            ...(patient.notes === undefined || patient.notes === ""
              ? []
              : [[ui.t("patients.notes"), <p class="pre">{patient.notes}</p>] as const]),
          ]}
        />
      </Card>
      {mayErase ? (
        <Card title={ui.t("patient.privacy")} lead={ui.t("patient.privacyLead")}>
          <div class="actions">
            <a class="button" href={`/api/patients/${patient.patientId}/export`} download>
              <Icon name="download" />
              {ui.t("patient.export")}
            </a>
            {erasingSince === undefined ? (
              <button type="button" class="plain" data-open="erase-patient">
                <Icon name="trash" />
                {ui.t("patient.erase")}
              </button>
            ) : null}
          </div>
        </Card>
      ) : null}
    </div>
    <section class="card flush">
      <div class="card-head">
        <h2>{ui.t("patient.claims")}</h2>
        {moreClaims ? <a href={`/claims?patientId=${patient.patientId}`}>{ui.t("dashboard.latestAll")}</a> : null}
      </div>
      <Table
        caption={ui.t("patient.claims")}
        columns={claimColumns(ui)}
        rows={claims}
        empty={<Empty icon="claim" title={ui.t("patient.noClaims")} />}
      />
    </section>
    <Dialog id="edit-patient" ui={ui} title={ui.t("patient.edit")}>
      <ApiForm
        id="patient-form"
        method="PATCH"
        path={`/api/patients/${patient.patientId}`}
        go="reload"
        toast={ui.t("patient.saved")}
        problems={{ conflict: ui.t("patient.taken") }}
      >
        <PatientFields ui={ui} patient={patient} />
        <FormButtons ui={ui} action={ui.t("app.save")} />
      </ApiForm>
    </Dialog>
    {mayErase ? <EraseForm ui={ui} patientId={patient.patientId} /> : null}
  </>
);
