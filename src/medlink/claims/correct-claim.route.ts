import { z } from "@hono/zod-openapi";
import { formatMoney } from "../../platform/money.ts";
import { isTaken } from "../batch.store.ts";
import { notFound, operation, refuse } from "../operation.edge.ts";
import { findClaim, findCorrection } from "./claims.store.ts";
import { fileClaim } from "./file-claim.edge.ts";
import { claimPatch, claimSchema, patchedDetails, submissionSchema } from "./show-claim.ts";

/** Nothing that is recorded changes: the new claim supersedes the old one once core has taken it. */
export const correctClaim = operation(
  {
    method: "post",
    path: "/api/claims/{claimId}/correct",
    summary: "File a claim that supersedes a submitted one; what is not given stays as it was",
    params: z.object({ claimId: z.string() }),
    body: claimPatch.omit({ status: true }).extend({
      incidentTicket: z
        .string()
        .regex(/^[A-Z0-9-]{1,40}$/, "1 to 40 of A-Z, 0-9 and -")
        .optional(),
    }),
    answers: {
      201: {
        description: "The new claim",
        schema: claimSchema.extend({ itransSubmission: submissionSchema.optional() }),
      },
    },
  },
  async (input) => {
    const { hub, user, params, body } = input;
    const claim = await findClaim(hub.db, hub.fields, user.clinicId, params.claimId);
    if (claim === undefined) return notFound("claim");
    if (claim.requestIdHash === undefined) return refuse("conflict", "This claim is not submitted: edit it instead.");
    const successor = await findCorrection(hub.db, user.clinicId, claim.claimId);
    if (successor !== undefined) return refuse("superseded", `The claim ${successor.claimId} corrects this one.`);
    const { incidentTicket, ...fields } = body;
    try {
      return await fileClaim(
        input,
        {
          patientId: fields.patientId ?? claim.patientId,
          providerId: fields.providerId ?? claim.providerId,
          insurerId: fields.insurerId ?? claim.insurerId,
          type: fields.type ?? claim.type,
          amount: fields.amount ?? formatMoney(claim.amount),
          currency: fields.currency ?? claim.amount.currency,
          ...patchedDetails(claim.details, fields),
        },
        { claimId: claim.claimId, requestIdHash: claim.requestIdHash, incidentTicket },
      );
    } catch (thrown) {
      if (!isTaken(thrown, "claims.corrects_claim_id")) throw thrown;
      return refuse("superseded", "Another claim corrects this one.");
    }
  },
);
