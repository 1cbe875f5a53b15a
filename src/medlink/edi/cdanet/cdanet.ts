/** The connector of CDAnet: dental claims and predeterminations as messages of version 4. */
import type {
  Coverage,
  EdiClaim,
  EdiConnector,
  EdiReference,
  Finding,
  MessageKind,
  Prepared,
  Reply,
  WireAnswer,
} from "../connector.ts";
import { findingOfStatus, isSuccess } from "../connector.ts";
import { type CdanetMessage, centsOf, decode, encode, type Row } from "./codec.ts";

export interface CdanetOffice {
  /** What the network tells its members to begin each message with. */
  readonly prefix: string;
  /** The practice software's mark, 3 characters. */
  readonly softwareId: string;
  readonly officeNumber: string;
}

export const CDANET_CONTENT_TYPE = "text/plain; charset=iso-8859-1";

/** F06 has one digit, and carriers take no more. */
const MAX_PROCEDURES = 7;
const MAX_FEE_CENTS = 999_999;
const MAX_PROVIDER_NUMBER = 9;

const RELATIONSHIPS = { self: "1", spouse: "2", child: "3", "common-law": "4", other: "5" } as const;
const NO_ENCRYPTION = "1";
const NO_EXCEPTION = "4";
const NOT_APPLICABLE = "X";

const digits = (date: string | undefined): string => (date ?? "").replaceAll("-", "");
const procedureCode = (code: string): string => (/^\d+$/.test(code) ? code.padStart(5, "0") : code);

function obstacles(claim: EdiClaim): readonly string[] {
  const { services, provider } = claim;
  const codesFit =
    services.length >= 1 &&
    services.length <= MAX_PROCEDURES &&
    services.every(({ code }) => /^[A-Za-z0-9]{1,5}$/.test(code));
  return [
    ...(claim.currency === "CAD" ? [] : ["currency"]),
    ...(codesFit ? [] : ["codes"]),
    ...(services.every(({ totalMinor }) => totalMinor <= MAX_FEE_CENTS) ? [] : ["amount"]),
    ...((provider.licenceNumber ?? "").length <= MAX_PROVIDER_NUMBER ? [] : ["provider.licenceNumber"]),
  ];
}

function gaps(claim: EdiClaim, office: CdanetOffice): readonly string[] {
  const { coverage, patient, provider } = claim;
  const wanted = {
    "provider.licenceNumber": provider.licenceNumber,
    "patient.birthDate": patient.birthDate,
    "coverage.carrierId": coverage.carrierId,
    "coverage.policyNumber": coverage.policyNumber,
    "coverage.subscriberId": coverage.subscriberId,
    "coverage.relationship": coverage.relationship,
    "coverage.patientSex": coverage.patientSex,
    "coverage.address": coverage.address?.line1,
    EDI_CDANET_OFFICE_NUMBER: office.officeNumber,
  };
  return Object.entries(wanted)
    .filter(([, value]) => value === undefined || value === "")
    .map(([name]) => name);
}

const header = (office: CdanetOffice, reference: number): Row => ({
  A01: office.prefix,
  A02: String(reference),
  A06: office.softwareId,
  A10: NO_ENCRYPTION,
  A09: String(reference % 100_000),
});

function insured({ patient, coverage }: EdiClaim): Row {
  const subscriber = coverage.subscriber ?? patient;
  const { address } = coverage;
  return {
    C01: coverage.policyNumber ?? "",
    C11: coverage.divisionNumber ?? "",
    C02: coverage.subscriberId ?? "",
    C17: coverage.dependantCode ?? "",
    C03: RELATIONSHIPS[relationshipOf(coverage)],
    C04: coverage.patientSex ?? "",
    C05: digits(patient.birthDate),
    C06: patient.lastName,
    C07: patient.firstName,
    C09: NO_EXCEPTION,
    D01: digits(subscriber.birthDate),
    D02: subscriber.lastName,
    D03: subscriber.firstName,
    D05: address?.line1 ?? "",
    D06: address?.line2 ?? "",
    D07: address?.city ?? "",
    D08: address?.province ?? "",
    D09: (address?.postalCode ?? "").replace(/[\s-]/g, ""),
    D10: coverage.language === "fr" ? "F" : "E",
    E18: "N",
  };
}

const relationshipOf = (coverage: Coverage): keyof typeof RELATIONSHIPS =>
  coverage.relationship ?? (coverage.subscriber === undefined ? "self" : "other");

/** Transaction 01 for a claim, 03 for a pre-authorization. */
export function claimMessage(claim: EdiClaim, office: CdanetOffice): CdanetMessage {
  const { provider, coverage } = claim;
  const number = provider.licenceNumber ?? "";
  const isClaim = claim.type === "claim";
  return {
    code: isClaim ? "01" : "03",
    fields: {
      ...header(office, claim.reference),
      A05: coverage.carrierId ?? "",
      B01: number,
      B02: office.officeNumber,
      B03: number,
      B04: office.officeNumber,
      ...insured(claim),
      F15: NOT_APPLICABLE,
      F18: NOT_APPLICABLE,
      F05: "N",
      ...(isClaim ? { F01: coverage.payee === "provider" ? "4" : "1" } : { G46: "1", G47: "1" }),
    },
    groups: {
      F06: claim.services.map(({ code, totalMinor }, index) => ({
        F07: String(index + 1),
        F08: procedureCode(code),
        ...(isClaim ? { F09: digits(claim.serviceDate) } : {}),
        F12: String(totalMinor),
        F16: NOT_APPLICABLE,
      })),
    },
  };
}

/** A decision of zero is a denial; less than what was claimed, a part. */
function decisionOf(benefit: number, total: number | undefined): "approved" | "partial" | "denied" {
  if (benefit === 0) return "denied";
  return total !== undefined && benefit < total ? "partial" : "approved";
}

function findingOf({ code, fields, groups }: CdanetMessage): Finding {
  const carrierReference = fields.G01 === "" ? undefined : fields.G01;
  switch (code) {
    case "11":
    case "13":
      if (fields.G05 === "R") {
        return { type: "rejected", code: `cdanet_${groups.G06?.[0]?.G08 ?? "000"}` };
      }
      // The carrier takes this claim on paper alone.
      if (fields.G05 === "M") return { type: "rejected", code: "paper_required" };
      return { type: "acknowledged", carrierReference };
    case "21":
    case "23": {
      const benefitMinor = centsOf(fields.G28) ?? 0;
      const decision = decisionOf(benefitMinor, centsOf(fields.G04));
      return { type: "adjudicated", decision, benefitMinor, carrierReference };
    }
    case "14":
      return { type: "nothing" };
    case "01":
    case "03":
    case "04":
      return { type: "unknown", code: "unexpected_message" };
  }
}

/** An answer names the office sequence number it is about: the mailbox gives whatever waits first. */
const read =
  (kind: MessageKind) =>
  ({ status, text }: WireAnswer): Reply => {
    if (!isSuccess(status)) return { about: undefined, messageType: "none", finding: findingOfStatus(status, kind) };
    const decoded = decode(text);
    if (!decoded.ok) {
      return { about: undefined, messageType: "none", finding: { type: "unknown", code: "unreadable_answer" } };
    }
    const { message } = decoded;
    const finding = findingOf(message);
    const about = finding.type === "nothing" ? undefined : Number(message.fields.A02);
    return { about, messageType: message.code, finding };
  };

function prepare(kind: "submit" | "status" | "test", message: CdanetMessage, idempotencyKey: string): Prepared {
  const encoded = encode(message);
  if (!encoded.ok) return { ok: false, code: `field_${encoded.fault.field}_${encoded.fault.rule}` };
  return {
    ok: true,
    outgoing: {
      kind,
      messageType: message.code,
      message: {
        method: "POST",
        path: "",
        contentType: CDANET_CONTENT_TYPE,
        charset: "iso-8859-1",
        body: encoded.text,
        idempotencyKey,
      },
      read: read(kind),
    },
  };
}

/** Transaction 04. */
const mailboxMessage = (office: CdanetOffice, { reference, licenceNumber = "" }: EdiReference): CdanetMessage => ({
  code: "04",
  fields: { ...header(office, reference), B01: licenceNumber, B02: office.officeNumber, B03: licenceNumber },
  groups: {},
});

export const makeCdanet = (office: CdanetOffice): EdiConnector => ({
  name: "cdanet",
  obstacles,
  gaps: (claim) => gaps(claim, office),
  submit: (claim) => prepare("submit", claimMessage(claim, office), claim.transactionId),
  status: (reference) => prepare("status", mailboxMessage(office, reference), reference.transactionId),
  // Taking an answer out of the mailbox is what confirms it.
  acknowledge: undefined,
  test: () =>
    prepare("test", mailboxMessage(office, { transactionId: "test", reference: 0, licenceNumber: undefined }), "test"),
});
