/**
 * The connector of eClaims: JSON over HTTPS. The network publishes no open specification; this shape is the adapter's own and
 * is changed here, and nowhere else, to what the network's agreement says.
 */
import * as z from "zod";
import { formatMoney, isCurrency, parseMoney } from "../../platform/money.ts";
import {
  type EdiClaim,
  type EdiConnector,
  type EdiReference,
  type Finding,
  isSuccess,
  jsonOf,
  type MessageKind,
  type Reply,
  type WireAnswer,
} from "./connector.ts";
import { missing, prepared, readNothing, unreadable } from "./json-messages.ts";

const DECISIONS = {
  APPROVED: "approved",
  PARTIAL: "partial",
  DENIED: "denied",
  INFORMATION_REQUIRED: "needs_info",
} as const;

export const eclaimsAnswerSchema = z.object({
  transactionId: z.string(),
  status: z.enum(["RECEIVED", "IN_PROCESS", "ADJUDICATED", "REJECTED"]),
  claimNumber: z.string().max(40).optional(),
  decision: z.enum(["APPROVED", "PARTIAL", "DENIED", "INFORMATION_REQUIRED"]).optional(),
  /** Major units. */
  paid: z.string().max(30).optional(),
  currency: z.string().refine(isCurrency).optional(),
  reasonCode: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,20}$/)
    .optional(),
});

export type EclaimsAnswer = z.output<typeof eclaimsAnswerSchema>;

export const eclaimsSubmission = (claim: EdiClaim) => ({
  transactionId: claim.transactionId,
  kind: claim.type === "claim" ? "CLAIM" : "PREDETERMINATION",
  serviceDate: claim.serviceDate,
  patient: {
    firstName: claim.patient.firstName,
    lastName: claim.patient.lastName,
    birthDate: claim.patient.birthDate,
    memberId: claim.coverage.subscriberId ?? claim.patient.healthNumber,
    relationship: claim.coverage.relationship ?? "self",
  },
  provider: { name: claim.provider.name, licenceNumber: claim.provider.licenceNumber },
  payer: { name: claim.insurerName, carrierId: claim.coverage.carrierId, policy: claim.coverage.policyNumber },
  currency: claim.currency,
  total: formatMoney({ minor: claim.totalMinor, currency: claim.currency }),
  lines: claim.services.map(({ code, description, quantity, totalMinor }, index) => ({
    line: index + 1,
    code,
    description,
    quantity,
    amount: formatMoney({ minor: totalMinor, currency: claim.currency }),
  })),
  diagnoses: claim.diagnoses.map(({ code }) => code),
});

export type EclaimsSubmission = ReturnType<typeof eclaimsSubmission>;

function findingOf({ status, claimNumber, decision, paid, currency = "CAD", reasonCode }: EclaimsAnswer): Finding {
  switch (status) {
    case "RECEIVED":
    case "IN_PROCESS":
      return { type: "acknowledged", carrierReference: claimNumber };
    case "REJECTED":
      return { type: "rejected", code: `eclaims_${reasonCode ?? "unspecified"}` };
    case "ADJUDICATED":
      if (decision === undefined) return { type: "unknown", code: "unreadable_answer" };
      return {
        type: "adjudicated",
        decision: DECISIONS[decision],
        benefitMinor: paid === undefined ? undefined : parseMoney(paid, currency)?.minor,
        carrierReference: claimNumber,
      };
  }
}

/** An answer that names another transaction is none to this one. */
const read =
  (transactionId: string, kind: MessageKind) =>
  ({ status, text }: WireAnswer): Reply => {
    const answer = isSuccess(status) ? eclaimsAnswerSchema.safeParse(jsonOf(text)) : undefined;
    if (answer?.success !== true || answer.data.transactionId !== transactionId) return unreadable(status, kind);
    return { about: undefined, messageType: answer.data.status.toLowerCase(), finding: findingOf(answer.data) };
  };

const readStatus =
  (transactionId: string) =>
  (answer: WireAnswer): Reply =>
    answer.status === 404
      ? { about: undefined, messageType: "none", finding: { type: "notFound" } }
      : read(transactionId, "status")(answer);

export const eclaims: EdiConnector = {
  name: "eclaims",
  obstacles: (claim) => (claim.services.length >= 1 ? [] : ["codes"]),
  gaps: ({ provider, patient, coverage }) =>
    missing({
      "provider.licenceNumber": provider.licenceNumber,
      "patient.birthDate": patient.birthDate,
      "coverage.carrierId": coverage.carrierId,
      "coverage.policyNumber": coverage.policyNumber,
      "coverage.subscriberId": coverage.subscriberId ?? patient.healthNumber,
    }),
  submit: (claim) =>
    prepared(
      "submit",
      { method: "POST", path: "/v1/claims", body: eclaimsSubmission(claim), idempotencyKey: claim.transactionId },
      read(claim.transactionId, "submit"),
    ),
  status: ({ transactionId }: EdiReference) =>
    prepared(
      "status",
      { method: "GET", path: `/v1/claims/${transactionId}`, idempotencyKey: transactionId },
      readStatus(transactionId),
    ),
  acknowledge: ({ transactionId }) =>
    prepared(
      "acknowledge",
      { method: "POST", path: `/v1/claims/${transactionId}/acknowledgement`, body: {}, idempotencyKey: transactionId },
      readNothing,
    ),
  test: () => prepared("test", { method: "GET", path: "/v1/ping", idempotencyKey: "test" }, readNothing),
};
