import { formatMoney } from "../../../platform/money.ts";
import { CLAIM_TYPES, type Claim, type ProcedureCode } from "../../claims/claim.ts";
import { ApiForm, type Option, SelectField, Submit, TextArea, TextField } from "../components/form.view.tsx";
import { Icon } from "../components/icon.view.tsx";
import { Card, Empty, Notice, PageHead } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

/** New, an edit of a draft, or a correction of what is in the ledger. */
export type ClaimFormKind = "new" | "edit" | "correct";

export interface ClaimFormProps {
  readonly ui: Ui;
  readonly kind: ClaimFormKind;
  /** What the form begins with; undefined for a new claim. */
  readonly claim: Claim | undefined;
  readonly patient: Option | undefined;
  readonly providers: readonly Option[];
  readonly insurers: readonly Option[];
  readonly autoSubmit: boolean;
}

const CURRENCIES = ["CAD", "USD"] as const;
const DECIMAL = "\\s*[0-9 ]{1,12}([.,][0-9]{1,2})?\\s*";

export const ClaimFormView = (props: ClaimFormProps) => {
  const { ui, kind, claim, patient, providers, insurers } = props;
  const claimId = claim?.claimId ?? "";
  const title =
    kind === "new"
      ? ui.t("claimForm.new")
      : kind === "edit"
        ? ui.t("claimForm.edit", { claimId })
        : ui.t("claimForm.correct", { claimId });
  const trail = [
    { href: "/claims", label: ui.t("claims.title") },
    ...(claim === undefined ? [] : [{ href: `/claims/${claimId}`, label: claimId }]),
  ];
  const head = <PageHead ui={ui} title={title} trail={trail} />;
  if (providers.length === 0 || insurers.length === 0) {
    return (
      <>
        {head}
        <Card>
          <Empty icon="people" title={ui.t("claimForm.noParties.title")} text={ui.t("claimForm.noParties.text")}>
            <a class="button" href="/clinic">
              {ui.t("nav.parties")}
            </a>
          </Empty>
        </Card>
      </>
    );
  }
  return (
    <div class="narrow">
      {head}
      {kind === "correct" ? <Notice tone="info">{ui.t("claimForm.correctLead")}</Notice> : null}
      <ApiForm id="claim-form" {...callOf(props)}>
        <Card title={ui.t("claimForm.who")}>
          <div class="form">
            <PatientField ui={ui} patient={patient} />
            <div class="pair">
              <SelectField
                ui={ui}
                name="providerId"
                label={ui.t("claims.provider")}
                options={providers}
                value={claim?.providerId ?? only(providers)}
                blank={ui.t("claimForm.choose")}
              />
              <SelectField
                ui={ui}
                name="insurerId"
                label={ui.t("claims.insurer")}
                options={insurers}
                value={claim?.insurerId ?? only(insurers)}
                blank={ui.t("claimForm.choose")}
              />
            </div>
            <div class="pair">
              <SelectField
                ui={ui}
                name="type"
                label={ui.t("claims.type")}
                options={CLAIM_TYPES.map((value) => ({ value, label: ui.t(`type.${value}`) }))}
                value={claim?.type ?? "claim"}
              />
              <TextField
                ui={ui}
                name="serviceDate"
                type="date"
                label={ui.t("claim.serviceDate")}
                hint={ui.t("claimForm.serviceDateHint")}
                value={claim?.details.serviceDate}
                optional
                empty={kind === "new" ? "omit" : "null"}
              />
            </div>
          </div>
        </Card>
        <Card title={ui.t("claimForm.what")}>
          <div class="form">
            <Procedures ui={ui} codes={claim?.details.codes ?? []} />
            <div class="pair">
              <TextField
                ui={ui}
                name="amount"
                label={ui.t("claimForm.amount")}
                hint={ui.t("claimForm.amountHint")}
                value={claim === undefined ? undefined : formatMoney(claim.amount)}
                inputmode="decimal"
                kind="decimal"
                pattern={DECIMAL}
                maxLength={16}
              />
              <SelectField
                ui={ui}
                name="currency"
                label={ui.t("claimForm.currency")}
                options={[...new Set([claim?.amount.currency ?? CURRENCIES[0], ...CURRENCIES])].map((value) => ({
                  value,
                  label: value,
                }))}
                value={claim?.amount.currency ?? CURRENCIES[0]}
              />
            </div>
            <TextArea
              ui={ui}
              name="notes"
              label={ui.t("claim.notes")}
              hint={ui.t("claimForm.notesHint")}
              value={claim?.details.notes ?? ""}
              maxLength={10_000}
              optional
              empty="keep"
            />
            {kind === "correct" ? (
              <TextField
                ui={ui}
                name="incidentTicket"
                label={ui.t("claimForm.incident")}
                hint={ui.t("claimForm.incidentHint")}
                pattern="[A-Z0-9\-]{1,40}"
                maxLength={40}
                optional
              />
            ) : null}
          </div>
        </Card>
        <div class="actions end">
          {kind === "edit" ? null : (
            <p class="quiet">{ui.t(props.autoSubmit ? "claimForm.autoOn" : "claimForm.autoOff")}</p>
          )}
          <a class="button" href={claim === undefined ? "/claims" : `/claims/${claimId}`}>
            {ui.t("app.cancel")}
          </a>
          <Submit>{submitLabel(props)}</Submit>
        </div>
      </ApiForm>
    </div>
  );
};

const only = (options: readonly Option[]): string | undefined => (options.length === 1 ? options[0]?.value : undefined);

const submitLabel = ({ ui, kind, autoSubmit }: ClaimFormProps): string => {
  switch (kind) {
    case "new":
      return ui.t(autoSubmit ? "claimForm.file" : "claimForm.fileDraft");
    case "edit":
      return ui.t("claimForm.save");
    case "correct":
      return ui.t("claimForm.saveCorrection");
  }
};

const callOf = ({ ui, kind, claim }: ClaimFormProps) => {
  const path = `/api/claims/${claim?.claimId ?? ""}`;
  const go = "/claims/{claimId}";
  switch (kind) {
    case "new":
      return { method: "POST", path: "/api/claims", go, toast: ui.t("claimForm.filed") } as const;
    case "edit":
      return {
        method: "PATCH",
        path,
        go,
        toast: ui.t("claimForm.saved"),
        problems: { conflict: ui.t("claimForm.notEditable") },
      } as const;
    case "correct":
      return { method: "POST", path: `${path}/correct`, go, toast: ui.t("claimForm.corrected") } as const;
  }
};

/** A combo box over the clinic's patients (browser/claim-form.ts); the id is what is sent. */
const PatientField = ({ ui, patient }: { readonly ui: Ui; readonly patient: Option | undefined }) => (
  <div class="field" data-picker="/api/patients/search">
    <label for="patient-name">{ui.t("claimForm.patient")}</label>
    <div class="with-button">
      <div class="picker">
        <input
          id="patient-name"
          type="text"
          role="combobox"
          aria-expanded="false"
          aria-controls="patient-options"
          aria-autocomplete="list"
          aria-describedby="patient-hint patient-error"
          autocomplete="off"
          maxlength={100}
          value={patient?.label}
        />
        <input type="hidden" name="patientId" value={patient?.value} data-required data-shown-by="patient-name" />
        <div id="patient-options" role="listbox" aria-label={ui.t("claimForm.patient")} hidden></div>
      </div>
      <a class="button" href="/patients/new">
        {ui.t("claimForm.addPatient")}
      </a>
    </div>
    <p class="hint" id="patient-hint">
      {ui.t("claimForm.patientHint")}
    </p>
    <p class="error" id="patient-error" data-error hidden></p>
  </div>
);

const Procedures = ({ ui, codes }: { readonly ui: Ui; readonly codes: readonly ProcedureCode[] }) => (
  <fieldset class="items" data-list="codes">
    <legend>{ui.t("claim.codes")}</legend>
    <div class="rows" data-rows>
      {(codes.length === 0 ? [undefined] : codes).map((code) => (
        <ProcedureRow ui={ui} code={code} />
      ))}
    </div>
    <template data-row>
      <ProcedureRow ui={ui} code={undefined} />
    </template>
    <button type="button" class="plain small" data-add-row>
      <Icon name="plus" size={16} />
      {ui.t("claimForm.addCode")}
    </button>
  </fieldset>
);

const ProcedureRow = ({ ui, code }: { readonly ui: Ui; readonly code: ProcedureCode | undefined }) => {
  const row = code === undefined ? undefined : typeof code === "string" ? { code } : code;
  return (
    <div class="procedure-row" data-item>
      <label>
        <span>{ui.t("claim.code")}</span>
        <input name="code" value={row?.code} maxlength={40} autocomplete="off" />
      </label>
      <label class="wide">
        <span>{ui.t("claim.description")}</span>
        <input
          name="description"
          value={row !== undefined && "description" in row ? row.description : undefined}
          maxlength={500}
          autocomplete="off"
        />
      </label>
      <label>
        <span>{ui.t("claim.quantity")}</span>
        <input
          name="quantity"
          type="number"
          min="1"
          max="10000"
          step="1"
          inputmode="numeric"
          data-kind="number"
          value={row !== undefined && "quantity" in row ? row.quantity : undefined}
        />
      </label>
      <label>
        <span>{ui.t("claim.unitPrice")}</span>
        <input
          name="unitPrice"
          inputmode="decimal"
          data-kind="decimal"
          pattern={DECIMAL}
          maxlength={16}
          autocomplete="off"
          value={row !== undefined && "unitPrice" in row ? row.unitPrice : undefined}
        />
      </label>
      <button type="button" class="ghost square" data-remove-row>
        <Icon name="close" />
        <span class="sr">{ui.t("claimForm.removeCode")}</span>
      </button>
    </div>
  );
};
