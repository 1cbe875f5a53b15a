/** The hub's claims as FHIR R4: the Claim, and the ClaimResponse that says what became of it. */
import { formatMoney, parseMoney } from "../../platform/money.ts";
import type { Claim, ClaimStatus } from "../claims/claim.ts";
import { referenceTo, toFhirId } from "./ids.ts";
import { CLAIM_TYPE_SYSTEM } from "./r4.ts";

const iso = (epochMs: number): string => new Date(epochMs).toISOString();

const coded = (system: string, code: string) => ({ coding: [{ system, code }] });

const fhirMoney = (minor: number, currency: string) => ({ value: Number(formatMoney({ minor, currency })), currency });

/** The sample list of the Canadian procedure codes (USC&LS) that HL7 publishes with R4. */
const PROCEDURE_SYSTEM = "http://terminology.hl7.org/CodeSystem/ex-USCLS";
const PRIORITY_SYSTEM = "http://terminology.hl7.org/CodeSystem/processpriority";
const PAYMENT_TYPE_SYSTEM = "http://terminology.hl7.org/CodeSystem/ex-paymenttype";
const ADJUDICATION_SYSTEM = "http://terminology.hl7.org/CodeSystem/adjudication";
/** Names iTrans's request hash, by which an insurer knows a claim. */
const REQUEST_SYSTEM = "urn:itrans:request";

/** Coverages are not kept here: HL7's way to say that something exists and is not known. */
const UNKNOWN = {
  extension: [{ url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: "unknown" }],
};

const metaOf = (claim: Claim) => ({ versionId: String(claim.version), lastUpdated: iso(claim.updatedAt) });

const typeOf = (claim: Claim) => coded(CLAIM_TYPE_SYSTEM, claim.details.category ?? "oral");

const useOf = (claim: Claim): string => (claim.type === "claim" ? "claim" : "preauthorization");

export function showClaimResource(claim: Claim) {
  const { details, amount, requestIdHash } = claim;
  const identifiers = [
    ...(details.identifiers ?? []),
    ...(requestIdHash === undefined ? [] : [{ system: REQUEST_SYSTEM, value: requestIdHash }]),
  ];
  return {
    resourceType: "Claim",
    id: toFhirId(claim.claimId),
    meta: metaOf(claim),
    ...(identifiers.length === 0 ? {} : { identifier: identifiers }),
    status: claim.status === "draft" ? "draft" : "active",
    type: typeOf(claim),
    use: useOf(claim),
    patient: referenceTo("Patient", claim.patientId),
    created: iso(claim.createdAt),
    insurer: referenceTo("Organization", claim.insurerId),
    provider: referenceTo("Practitioner", claim.providerId),
    priority: coded(PRIORITY_SYSTEM, "normal"),
    ...(details.diagnoses === undefined || details.diagnoses.length === 0
      ? {}
      : {
          diagnosis: details.diagnoses.map((diagnosis, index) => ({
            sequence: index + 1,
            diagnosisCodeableConcept: { coding: [diagnosis] },
          })),
        }),
    insurance: [{ sequence: 1, focal: true, coverage: UNKNOWN }],
    ...(details.codes.length === 0 ? {} : { item: details.codes.map((code, index) => itemOf(claim, code, index)) }),
    total: fhirMoney(amount.minor, amount.currency),
  };
}

function itemOf({ amount: { currency }, details }: Claim, entry: Claim["details"]["codes"][number], index: number) {
  const { code, description, quantity = 1, unitPrice } = typeof entry === "string" ? { code: entry } : entry;
  const unitMinor = unitPrice === undefined ? undefined : parseMoney(unitPrice, currency)?.minor;
  return {
    sequence: index + 1,
    productOrService: {
      coding: [{ system: PROCEDURE_SYSTEM, code, ...(description === undefined ? {} : { display: description }) }],
    },
    ...(details.serviceDate === undefined ? {} : { servicedDate: details.serviceDate }),
    quantity: { value: quantity },
    ...(unitMinor === undefined
      ? {}
      : { unitPrice: fhirMoney(unitMinor, currency), net: fhirMoney(unitMinor * quantity, currency) }),
  };
}

interface Result {
  /** Of http://hl7.org/fhir/remittance-outcome. */
  readonly outcome: "queued" | "complete" | "error" | "partial";
  readonly disposition: string;
}

/** @returns undefined while nobody has been asked for a response. */
function resultOf(status: ClaimStatus, inLedger: boolean): Result | undefined {
  switch (status) {
    case "draft":
      return undefined;
    case "submitted":
      return { outcome: "queued", disposition: "Submitted to the insurer." };
    case "pending":
      return inLedger
        ? { outcome: "queued", disposition: "Acknowledged by the insurer." }
        : { outcome: "error", disposition: "Not submitted: a person must look at it." };
    case "infoRequested":
      return { outcome: "partial", disposition: "The insurer asks for more information." };
    case "paid":
      return { outcome: "complete", disposition: "Approved." };
    case "denied":
      return { outcome: "complete", disposition: "Denied." };
  }
}

/** @returns undefined when there is no response to this claim yet. */
export function showClaimResponse(claim: Claim) {
  const result = resultOf(claim.status, claim.requestId !== undefined);
  if (result === undefined) return undefined;
  const { currency, minor } = claim.amount;
  const isDecided = claim.status === "paid" || claim.status === "denied";
  const benefit = fhirMoney(claim.status === "paid" ? minor : 0, currency);
  const isPaidClaim = claim.status === "paid" && claim.type === "claim";
  const isApprovedPreauth = claim.status === "paid" && claim.type === "preauth";
  return {
    resourceType: "ClaimResponse",
    // One response a claim: it has the claim's id.
    id: toFhirId(claim.claimId),
    meta: metaOf(claim),
    status: "active",
    type: typeOf(claim),
    use: useOf(claim),
    patient: referenceTo("Patient", claim.patientId),
    created: iso(claim.lastEvent === undefined ? claim.updatedAt : claim.lastEvent.occurredAt * 1_000),
    insurer: referenceTo("Organization", claim.insurerId),
    requestor: referenceTo("Practitioner", claim.providerId),
    request: referenceTo("Claim", claim.claimId),
    outcome: result.outcome,
    disposition: result.disposition,
    ...(isApprovedPreauth && claim.requestIdHash !== undefined ? { preAuthRef: claim.requestIdHash } : {}),
    ...(isDecided
      ? {
          total: [
            { category: coded(ADJUDICATION_SYSTEM, "submitted"), amount: fhirMoney(minor, currency) },
            { category: coded(ADJUDICATION_SYSTEM, "benefit"), amount: benefit },
          ],
        }
      : {}),
    ...(isPaidClaim ? { payment: { type: coded(PAYMENT_TYPE_SYSTEM, "complete"), amount: benefit } } : {}),
    ...(claim.status === "infoRequested"
      ? { processNote: [{ number: 1, type: "display", text: result.disposition }] }
      : {}),
  };
}
