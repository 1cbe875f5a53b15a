import { auditInsert } from "../audit/audit.store.ts";
import {
  isAutoSubmitOn,
  queueStatements,
  type Submission,
  sendHint,
  showSubmission,
} from "../auto-submit/submit.edge.ts";
import { newId } from "../ids.ts";
import { none, ok, operation, refuse } from "../operation.edge.ts";
import { missingParties } from "../records/records.store.ts";
import type { Claim } from "./claim.ts";
import { claimInsert, timelineInsert } from "./claims.store.ts";
import { claimFields, claimSchema, readAmount, showClaim, submissionSchema } from "./show-claim.ts";

export const createClaim = operation(
  {
    method: "post",
    path: "/api/claims",
    summary: "File a claim or pre-authorization; with auto-submit on it is queued for iTrans at once",
    params: none,
    body: claimFields,
    answers: {
      201: { description: "The claim", schema: claimSchema.extend({ itransSubmission: submissionSchema.optional() }) },
    },
  },
  async ({ hub, user, body, correlationId }) => {
    const { clinicId, userId } = user;
    const money = readAmount(body.amount, body.currency, body.codes);
    if (!money.ok) return refuse("invalid_amount", `This is no amount of the currency: ${money.path}.`);
    const missing = await missingParties(hub.db, clinicId, body);
    if (missing.length > 0) return refuse("invalid_body", `This clinic has no such record: ${missing.join(", ")}.`);
    const now = hub.now();
    const claim: Claim = {
      claimId: newId("clm", hub.random),
      clinicId,
      patientId: body.patientId,
      providerId: body.providerId,
      insurerId: body.insurerId,
      type: body.type,
      status: "draft",
      amount: money.amount,
      details: { codes: body.codes, notes: body.notes },
      requestId: undefined,
      requestIdHash: undefined,
      lastEvent: undefined,
      createdBy: userId,
      version: 0,
      createdAt: now,
      updatedAt: now,
    };
    const { claimId } = claim;
    const queue = (await isAutoSubmitOn(hub, clinicId))
      ? queueStatements(hub, claim, { userId, correlationId })
      : undefined;
    const statements = [
      await claimInsert(hub.db, hub.fields, claim),
      timelineInsert(hub.db, { claimId, clinicId, kind: "created", status: claim.status, actor: userId, at: now }),
      auditInsert(hub.db, {
        clinicId,
        actor: userId,
        action: "claim.create",
        subject: claimId,
        correlationId,
        at: now,
      }),
    ];
    const results = await hub.db.batch([...statements, ...(queue?.statements ?? [])]);
    if (queue === undefined) return ok(201, showClaim(claim));
    const taken = results[statements.length]?.meta.changes === 1;
    if (taken) await sendHint(hub, queue.job.jobId);
    const itransSubmission: Submission = taken
      ? showSubmission(queue.job)
      : { status: "rejected", queued: false, reason: "queue_full" };
    return ok(201, { ...showClaim(claim), itransSubmission });
  },
);
