import { ERASURE_REASONS } from "../../../workflow/erasure.ts";
import { ApiForm, FormButtons, SelectField } from "../components/form.view.tsx";
import { Dialog, Notice } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

/** Asks for the reason before a patient's personal data is destroyed. */
export const EraseForm = ({ ui, patientId }: { readonly ui: Ui; readonly patientId: string }) => (
  <Dialog id="erase-patient" ui={ui} title={ui.t("patient.eraseTitle")}>
    <ApiForm
      id="erase-form"
      method="DELETE"
      path={`/api/patients/${patientId}/personal-data`}
      go="/patients"
      toast={ui.t("patient.eraseDone")}
    >
      <Notice tone="bad">{ui.t("patient.eraseText")}</Notice>
      <SelectField
        ui={ui}
        name="reason"
        label={ui.t("patient.eraseReason")}
        blank={ui.t("claimForm.choose")}
        options={ERASURE_REASONS.map((value) => ({ value, label: ui.label("erasure", value) }))}
      />
      <FormButtons ui={ui} action={ui.t("patient.erase")} danger />
    </ApiForm>
  </Dialog>
);
