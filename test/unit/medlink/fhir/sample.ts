/** A Claim as a practice's software sends it, with every element that R4 requires. */
export const FHIR_CLAIM = {
  resourceType: "Claim",
  identifier: [{ system: "https://practice.example/claims", value: "INV-1001" }],
  status: "active",
  type: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/claim-type", code: "oral" }] },
  use: "claim",
  patient: { reference: "Patient/pat-demo-1" },
  created: "2026-03-14",
  insurer: { reference: "Organization/ins-demo-1" },
  provider: { reference: "Practitioner/prv-demo-1" },
  priority: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/processpriority", code: "normal" }] },
  diagnosis: [
    {
      sequence: 1,
      diagnosisCodeableConcept: {
        coding: [{ system: "http://hl7.org/fhir/sid/icd-10-ca", code: "K02.1", display: "Caries of dentine" }],
      },
    },
  ],
  insurance: [{ sequence: 1, focal: true, coverage: { reference: "Coverage/9876B1" } }],
  item: [
    {
      sequence: 1,
      productOrService: { coding: [{ code: "01202", display: "Recall examination" }] },
      servicedDate: "2026-03-12",
      quantity: { value: 1 },
      unitPrice: { value: 55.5, currency: "CAD" },
      net: { value: 55.5, currency: "CAD" },
    },
    {
      sequence: 2,
      productOrService: { coding: [{ code: "11101" }], text: "Scaling" },
      servicedDate: "2026-03-13",
      quantity: { value: 2 },
      net: { value: 120, currency: "CAD" },
    },
  ],
  total: { value: 175.5, currency: "CAD" },
} as const;
