import * as z from "zod";
import { viewed } from "../../audit/audited.edge.ts";
import { findLiveJob } from "../../auto-submit/jobs.store.ts";
import { isAutoSubmitOn } from "../../auto-submit/submit.edge.ts";
import { isEditable } from "../../claims/claim-state.ts";
import { findClaim, findCorrection } from "../../claims/claims.store.ts";
import type { Hub } from "../../hub.edge.ts";
import { findPatient } from "../../records/patients.store.ts";
import type { Option } from "../components/form.view.tsx";
import { page } from "../page.edge.tsx";
import { claimParams } from "./claim.page.tsx";
import { type ClaimFormKind, ClaimFormView } from "./claim-form.view.tsx";
import { fullName, insurerOptions, providerOptions } from "./parties.edge.ts";

export const newClaimPage = page(
  { path: "/claims/new", params: z.object({ patientId: z.string().max(64).optional().catch(undefined) }) },
  async ({ hub, ui, user, params }) => {
    const [choices, patient] = await Promise.all([
      choicesOf(hub, user.clinicId),
      params.patientId === undefined ? undefined : patientOption(hub, user.clinicId, params.patientId),
    ]);
    return {
      type: "page",
      title: ui.t("claimForm.new"),
      scripts: ["claim-form"],
      body: <ClaimFormView ui={ui} kind="new" claim={undefined} patient={patient} {...choices} />,
    };
  },
);

const formOf = (path: string, kind: Exclude<ClaimFormKind, "new">) =>
  page({ path, params: claimParams }, async (input) => {
    const { hub, ui, user, params } = input;
    const { clinicId } = user;
    const claim = await findClaim(hub.db, hub.fields, clinicId, params.claimId);
    if (claim === undefined) return { type: "error", status: 404 };
    const [live, successor] = await Promise.all([
      findLiveJob(hub.db, clinicId, claim.claimId),
      findCorrection(hub.db, clinicId, claim.claimId),
    ]);
    const open =
      kind === "edit"
        ? isEditable(claim, live !== undefined)
        : claim.requestIdHash !== undefined && successor === undefined;
    if (!open) return { type: "redirect", to: `/claims/${claim.claimId}` };
    const [choices, patient] = await Promise.all([
      choicesOf(hub, clinicId),
      patientOption(hub, clinicId, claim.patientId),
      viewed(input, "claim.view", claim.claimId),
    ]);
    return {
      type: "page",
      title: ui.t(`claimForm.${kind}`, { claimId: claim.claimId }),
      scripts: ["claim-form"],
      body: <ClaimFormView ui={ui} kind={kind} claim={claim} patient={patient} {...choices} />,
    };
  });

export const editClaimPage = formOf("/claims/{claimId}/edit", "edit");
export const correctClaimPage = formOf("/claims/{claimId}/correct", "correct");

async function choicesOf(hub: Hub, clinicId: string) {
  const [providers, insurers, autoSubmit] = await Promise.all([
    providerOptions(hub, clinicId),
    insurerOptions(hub, clinicId),
    isAutoSubmitOn(hub, clinicId),
  ]);
  return { providers, insurers, autoSubmit };
}

async function patientOption(hub: Hub, clinicId: string, patientId: string): Promise<Option | undefined> {
  const patient = await findPatient(hub.db, hub.fields, clinicId, patientId);
  return patient === undefined ? undefined : { value: patient.patientId, label: fullName(patient) };
}
