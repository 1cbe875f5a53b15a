/** Sending a claim or pre-authorization through the bridge: the same but for its kind. */
import { z } from "@hono/zod-openapi";
import type { User } from "../accounts/user.ts";
import { findLiveJob } from "../auto-submit/jobs.store.ts";
import { readSubmission } from "../auto-submit/submission.ts";
import type { ClaimType } from "../claims/claim.ts";
import { isSubmittable, statusAfterSubmission } from "../claims/claim-state.ts";
import { claimStateUpdate, findClaim, isForeignClaim, timelineInsert } from "../claims/claims.store.ts";
import { batchWithEvents } from "../claims/write-events.edge.ts";
import type { Hub } from "../hub.edge.ts";
import { type Answer, refuse } from "../operation.edge.ts";
import { bridgeRequestInsert, ownerOfWorkflowRequest } from "./bridge.store.ts";
import { passOn } from "./forward.edge.ts";

export const workflowBody = z.object({
  insurerAddress: z.string().min(1).max(64),
  offchainPayload: z.record(z.string(), z.unknown()),
  externalRequestId: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,128}$/)
    .optional(),
});

interface Input {
  readonly hub: Hub;
  readonly user: User;
  readonly correlationId: string;
  readonly body: z.output<typeof workflowBody>;
}

/** A missing `type` is put in before signing: what is signed is what is sent. */
export async function createWorkflow({ hub, user, correlationId, body }: Input, type: ClaimType): Promise<Answer> {
  const { insurerAddress, externalRequestId } = body;
  const { clinicId, userId } = user;
  if (externalRequestId !== undefined) {
    // One set of keys serves every clinic at core, so the ids of one clinic are kept from the others here.
    const [foreign, owner, job] = await Promise.all([
      isForeignClaim(hub.db, clinicId, externalRequestId),
      ownerOfWorkflowRequest(hub.db, externalRequestId),
      findLiveJob(hub.db, clinicId, externalRequestId),
    ]);
    if (foreign || (owner !== undefined && owner !== clinicId)) return refuse("conflict", "This request id is taken.");
    if (job !== undefined) return refuse("conflict", "This claim is on its way by auto-submit.");
  }
  const answer = await hub.core.call({
    method: "POST",
    path: type === "claim" ? "/workflow/claims" : "/workflow/preauths",
    surface: "workflow",
    body: {
      insurerAddress,
      ...hub.core.sign({ type, ...body.offchainPayload }),
      ...(externalRequestId === undefined ? {} : { externalRequestId }),
    },
    correlationId,
  });
  const outcome = answer.type === "answered" ? readSubmission(answer) : undefined;
  if (outcome?.type === "accepted") {
    const { requestId, requestIdHash } = outcome;
    const at = hub.now();
    const claim = await findClaim(hub.db, hub.fields, clinicId, requestId);
    const bridged = {
      coreId: requestId,
      clinicId,
      kind: "workflow",
      requestIdHash,
      createdBy: userId,
      createdAt: at,
    } as const;
    await batchWithEvents(
      hub,
      claim === undefined || !isSubmittable(claim)
        ? [bridgeRequestInsert(hub.db, bridged)]
        : [
            claimStateUpdate(hub.db, {
              ...claim,
              status: statusAfterSubmission(claim),
              requestId,
              requestIdHash,
              version: claim.version + 1,
              updatedAt: at,
            }),
            timelineInsert(hub.db, {
              claimId: claim.claimId,
              clinicId,
              kind: "submissionAccepted",
              status: statusAfterSubmission(claim),
              actor: userId,
              at,
            }),
          ],
    );
  }
  return passOn(answer, correlationId);
}
