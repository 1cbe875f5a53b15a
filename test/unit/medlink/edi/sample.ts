import type { EdiClaim } from "../../../../src/medlink/edi/connector.ts";

export const SAMPLE: EdiClaim = {
  transactionId: "edi_sample",
  reference: 42,
  type: "claim",
  serviceDate: "2026-03-14",
  currency: "CAD",
  totalMinor: 17_550,
  services: [
    { code: "01202", description: "Recall examination", quantity: 1, totalMinor: 5_550 },
    { code: "11101", description: "Scaling", quantity: 2, totalMinor: 12_000 },
  ],
  diagnoses: [{ system: "http://hl7.org/fhir/sid/icd-10-ca", code: "K02.1" }],
  patient: { firstName: "Zoé", lastName: "Bélanger", birthDate: "1984-03-12", healthNumber: "9990 001 111" },
  provider: { name: "Dr. Demo", licenceNumber: "123456789" },
  insurerName: "Demo Mutual",
  coverage: {
    carrierId: "666666",
    policyNumber: "PLAN77",
    divisionNumber: "002",
    subscriberId: "000111222",
    relationship: "self",
    patientSex: "F",
    address: { line1: "12 rue des Érables", city: "Montréal", province: "QC", postalCode: "H2X 1Y4" },
    language: "fr",
  },
};
