/** The people and companies that claims name, as pages show them. */
import { cachedInsurers } from "../../cache/record-cache.edge.ts";
import type { Claim } from "../../claims/claim.ts";
import type { Hub } from "../../hub.edge.ts";
import { findPatients } from "../../records/patients.store.ts";
import { listInsurers, listProviders } from "../../records/records.store.ts";
import type { Option } from "../components/form.view.tsx";
import type { ClaimLine } from "./claims.view.tsx";

/** More of them than any clinic chooses from in a list. */
const CHOICES = 200;

const FIRST_PAGE = { limit: CHOICES, after: undefined, q: undefined } as const;

export async function insurerOptions(hub: Hub, clinicId: string): Promise<readonly Option[]> {
  const { items } = await listInsurers(hub.db, clinicId, FIRST_PAGE);
  return items.map(({ insurerId, name }) => ({ value: insurerId, label: name })).sort(byLabel);
}

export async function providerOptions(hub: Hub, clinicId: string): Promise<readonly Option[]> {
  const { items } = await listProviders(hub.db, clinicId, FIRST_PAGE);
  return items.map(({ providerId, name }) => ({ value: providerId, label: name })).sort(byLabel);
}

const byLabel = (a: Option, b: Option): number => a.label.localeCompare(b.label);

export const fullName = (person: { readonly firstName: string; readonly lastName: string }): string =>
  `${person.firstName} ${person.lastName}`;

/** Claims with the names that belong to them: two reads, however many there are. */
export async function claimLines(hub: Hub, clinicId: string, claims: readonly Claim[]): Promise<readonly ClaimLine[]> {
  const [patients, insurers] = await Promise.all([
    findPatients(hub.db, hub.fields, clinicId, [...new Set(claims.map(({ patientId }) => patientId))]),
    cachedInsurers(
      hub,
      clinicId,
      claims.map(({ insurerId }) => insurerId),
    ),
  ]);
  return claims.map((claim) => {
    const patient = patients.get(claim.patientId);
    return {
      claimId: claim.claimId,
      type: claim.type,
      status: claim.status,
      amount: claim.amount,
      patient: patient === undefined ? undefined : fullName(patient),
      insurer: insurers.get(claim.insurerId)?.name,
      createdAt: claim.createdAt,
    };
  });
}
