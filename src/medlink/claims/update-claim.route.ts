import { z } from "@hono/zod-openapi";
import { formatMoney } from "../../platform/money.ts";
import { auditInsert } from "../audit/audit.store.ts";
import { findLiveJob } from "../auto-submit/jobs.store.ts";
import { isVersionMoved } from "../batch.store.ts";
import { notFound, ok, operation, refuse } from "../operation.edge.ts";
import { missingParties } from "../records/records.store.ts";
import type { Claim } from "./claim.ts";
import { isEditable, personMayMove } from "./claim-state.ts";
import { claimFieldsUpdate, findClaim, timelineInsert } from "./claims.store.ts";
import { noSuchAmount, noSuchRecords } from "./file-claim.edge.ts";
import { claimPatch, claimSchema, patchedDetails, readAmount, showClaim } from "./show-claim.ts";
import { batchWithEvents } from "./write-events.edge.ts";

export const updateClaim = operation(
  {
    method: "patch",
    path: "/api/claims/{claimId}",
    summary: "Edit a claim that is not submitted, or move it where a person may",
    params: z.object({ claimId: z.string() }),
    body: claimPatch,
    answers: { 200: { description: "The claim", schema: claimSchema } },
  },
  async ({ hub, user, params, body, correlationId }) => {
    const { clinicId, userId } = user;
    const claim = await findClaim(hub.db, hub.fields, clinicId, params.claimId);
    if (claim === undefined) return notFound("claim");
    const { status = claim.status, ...fields } = body;
    const hasLiveJob = (await findLiveJob(hub.db, clinicId, claim.claimId)) !== undefined;
    const edits = Object.keys(fields).length > 0;
    if (edits && !isEditable(claim, hasLiveJob)) {
      return refuse("conflict", "A claim that is submitted, or on its way, cannot be edited.");
    }
    if (!personMayMove(claim, status, hasLiveJob)) {
      return refuse("conflict", `A person cannot move this claim from ${claim.status} to ${status}.`);
    }
    const currency = fields.currency ?? claim.amount.currency;
    const details = patchedDetails(claim.details, fields);
    const money = readAmount(fields.amount ?? formatMoney(claim.amount), currency, details.codes);
    if (!money.ok) return noSuchAmount(money.path);
    const now = hub.now();
    const next: Claim = {
      ...claim,
      patientId: fields.patientId ?? claim.patientId,
      providerId: fields.providerId ?? claim.providerId,
      insurerId: fields.insurerId ?? claim.insurerId,
      type: fields.type ?? claim.type,
      status,
      amount: money.amount,
      details,
      version: claim.version + 1,
      updatedAt: now,
    };
    const missing = await missingParties(hub.db, clinicId, next);
    if (missing.length > 0) return noSuchRecords(missing);
    const entry = { claimId: claim.claimId, clinicId, status, actor: userId, at: now };
    try {
      await batchWithEvents(hub, [
        await claimFieldsUpdate(hub.db, hub.fields, next),
        ...(edits ? [timelineInsert(hub.db, { ...entry, kind: "edited" })] : []),
        ...(status === claim.status ? [] : [timelineInsert(hub.db, { ...entry, kind: "moved" })]),
        auditInsert(hub.db, {
          clinicId,
          actor: userId,
          action: "claim.update",
          subject: claim.claimId,
          correlationId,
          at: now,
        }),
      ]);
    } catch (thrown) {
      if (!isVersionMoved(thrown)) throw thrown;
      return refuse("conflict", "The claim changed meanwhile. Read it again.");
    }
    return ok(200, showClaim(next));
  },
);
