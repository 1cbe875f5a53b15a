/**
 * The connector of an insurer's portal: JSON over HTTPS. Portals differ; this shape is the adapter's own and is changed here,
 * and nowhere else, to what the insurer's agreement says.
 */
import * as z from "zod";
import { formatMoney, parseMoney } from "../../platform/money.ts";
import {
  type EdiClaim,
  type EdiConnector,
  type Finding,
  isSuccess,
  jsonOf,
  type MessageKind,
  type Reply,
  type WireAnswer,
} from "./connector.ts";
import { missing, prepared, readNothing, unreadable } from "./json-messages.ts";

const VERDICTS = { pay: "approved", "pay-in-part": "partial", decline: "denied", ask: "needs_info" } as const;

export const portalAnswerSchema = z.object({
  submission: z.object({
    id: z.string(),
    state: z.enum(["queued", "review", "closed", "returned"]),
    file: z.string().max(40).optional(),
    result: z
      .object({
        verdict: z.enum(["pay", "pay-in-part", "decline", "ask"]),
        payable: z.object({ value: z.string().max(30), currency: z.string() }).optional(),
      })
      .optional(),
    returnCode: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,20}$/)
      .optional(),
  }),
});

export type PortalAnswer = z.output<typeof portalAnswerSchema>;

export const portalSubmission = (claim: EdiClaim) => ({
  submission: {
    id: claim.transactionId,
    category: claim.type === "claim" ? "treatment" : "estimate",
    date: claim.serviceDate,
    insurer: claim.insurerName,
    member: {
      name: `${claim.patient.firstName} ${claim.patient.lastName}`,
      born: claim.patient.birthDate,
      number: claim.coverage.subscriberId ?? claim.patient.healthNumber,
      policy: claim.coverage.policyNumber,
    },
    practitioner: { name: claim.provider.name, licence: claim.provider.licenceNumber },
    diagnoses: claim.diagnoses.map(({ code }) => code),
    items: claim.services.map(({ code, description, quantity, totalMinor }) => ({
      code,
      label: description,
      count: quantity,
      price: { value: formatMoney({ minor: totalMinor, currency: claim.currency }), currency: claim.currency },
    })),
    total: { value: formatMoney({ minor: claim.totalMinor, currency: claim.currency }), currency: claim.currency },
  },
});

function findingOf({ submission }: PortalAnswer): Finding {
  const { state, file, result, returnCode } = submission;
  switch (state) {
    case "queued":
    case "review":
      return { type: "acknowledged", carrierReference: file };
    case "returned":
      return { type: "rejected", code: `portal_${returnCode ?? "unspecified"}` };
    case "closed":
      if (result === undefined) return { type: "unknown", code: "unreadable_answer" };
      return {
        type: "adjudicated",
        decision: VERDICTS[result.verdict],
        benefitMinor:
          result.payable === undefined ? undefined : parseMoney(result.payable.value, result.payable.currency)?.minor,
        carrierReference: file,
      };
  }
}

/** An answer that names another submission is none to this one. */
const read =
  (transactionId: string, kind: MessageKind) =>
  ({ status, text }: WireAnswer): Reply => {
    const answer = isSuccess(status) ? portalAnswerSchema.safeParse(jsonOf(text)) : undefined;
    if (answer?.success !== true || answer.data.submission.id !== transactionId) return unreadable(status, kind);
    return { about: undefined, messageType: answer.data.submission.state, finding: findingOf(answer.data) };
  };

const readStatus =
  (transactionId: string) =>
  (answer: WireAnswer): Reply =>
    answer.status === 404 || answer.status === 410
      ? { about: undefined, messageType: "none", finding: { type: "notFound" } }
      : read(transactionId, "status")(answer);

export const portal: EdiConnector = {
  name: "portal",
  obstacles: (claim) => (claim.services.length >= 1 ? [] : ["codes"]),
  gaps: ({ patient, coverage }) =>
    missing({
      "patient.birthDate": patient.birthDate,
      "coverage.policyNumber": coverage.policyNumber,
      "coverage.subscriberId": coverage.subscriberId ?? patient.healthNumber,
    }),
  submit: (claim) =>
    prepared(
      "submit",
      {
        method: "PUT",
        path: `/submissions/${claim.transactionId}`,
        body: portalSubmission(claim),
        idempotencyKey: claim.transactionId,
      },
      read(claim.transactionId, "submit"),
    ),
  status: ({ transactionId }) =>
    prepared(
      "status",
      { method: "GET", path: `/submissions/${transactionId}`, idempotencyKey: transactionId },
      readStatus(transactionId),
    ),
  acknowledge: ({ transactionId }) =>
    prepared(
      "acknowledge",
      { method: "PUT", path: `/submissions/${transactionId}/receipt`, body: {}, idempotencyKey: transactionId },
      readNothing,
    ),
  test: () => prepared("test", { method: "GET", path: "/submissions", idempotencyKey: "test" }, readNothing),
};
