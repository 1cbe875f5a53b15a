/** Filing a claim: a new one, or one that corrects another. */
import { changed, type Deed } from "../audit/audited.edge.ts";
import { readSwitchesRow, type SwitchesRow, switchesSelect } from "../auto-submit/settings.store.ts";
import { queueStatements, type Submission, showSubmission } from "../auto-submit/submit.edge.ts";
import { isOn } from "../auto-submit/switches.ts";
import { wake } from "../auto-submit/wake.edge.ts";
import { noAmount, unknownRecord } from "../field-rule.ts";
import { newId } from "../ids.ts";
import { type Answer, ok, refuse } from "../operation.edge.ts";
import { missingOf, type PartiesRow, partiesSelect } from "../records/records.store.ts";
import type { Claim, ClaimDetails, ClaimType, Corrects } from "./claim.ts";
import { claimInsert, timelineInsert } from "./claims.store.ts";
import { readAmount, showClaim } from "./show-claim.ts";
import { batchWithEvents } from "./write-events.edge.ts";

export interface FiledFields extends ClaimDetails {
  readonly patientId: string;
  readonly providerId: string;
  readonly insurerId: string;
  readonly type: ClaimType;
  readonly amount: string | number;
  readonly currency: string;
}

export const noSuchAmount = (path: string): Answer =>
  refuse("invalid_amount", `This is no amount of the currency: ${path}.`, { issues: [noAmount(path)] });

export const noSuchRecords = (paths: readonly string[]): Answer =>
  refuse("invalid_body", `This clinic has no such record: ${paths.join(", ")}.`, { issues: paths.map(unknownRecord) });

/** Writes the claim as a draft and, with auto-submit on, queues it. @returns 201 with the claim, or what is wrong. */
export async function fileClaim(deed: Deed, fields: FiledFields, corrects?: Corrects): Promise<Answer> {
  const { hub, user, correlationId } = deed;
  const { clinicId, userId } = user;
  const money = readAmount(fields.amount, fields.currency, fields.codes);
  if (!money.ok) return noSuchAmount(money.path);
  const [parties, switches] = await hub.db.batch<PartiesRow & SwitchesRow>([
    partiesSelect(hub.db, clinicId, fields),
    switchesSelect(hub.db, clinicId),
  ]);
  const missing = missingOf(parties?.results[0]);
  if (missing.length > 0) return noSuchRecords(missing);
  const setting = hub.settings.ITRANS_AUTO_SUBMIT_ENABLED;
  const isQueued = isOn({ ...readSwitchesRow(switches?.results[0]), setting });
  const now = hub.now();
  const claim: Claim = {
    claimId: newId("clm", hub.random),
    clinicId,
    patientId: fields.patientId,
    providerId: fields.providerId,
    insurerId: fields.insurerId,
    type: fields.type,
    status: "draft",
    amount: money.amount,
    details: {
      codes: fields.codes,
      notes: fields.notes,
      diagnoses: fields.diagnoses,
      identifiers: fields.identifiers,
      category: fields.category,
      serviceDate: fields.serviceDate,
    },
    requestId: undefined,
    requestIdHash: undefined,
    lastEvent: undefined,
    corrects,
    createdBy: userId,
    version: 0,
    createdAt: now,
    updatedAt: now,
  };
  const { claimId } = claim;
  const queue = isQueued ? queueStatements(hub, claim, { userId, correlationId }) : undefined;
  const statements = [
    await claimInsert(hub.db, hub.fields, claim),
    timelineInsert(hub.db, { claimId, clinicId, kind: "created", status: claim.status, actor: userId, at: now }),
    changed(deed, "claim.create", claimId),
    // The incident is kept with the claim that was wrong, where it is looked for.
    ...(corrects === undefined ? [] : [changed(deed, "claim.correct", corrects.claimId, corrects.incidentTicket)]),
  ];
  const results = await batchWithEvents(hub, [...statements, ...(queue?.statements ?? [])]);
  if (queue === undefined) return ok(201, showClaim(claim));
  const taken = results[statements.length]?.meta.changes === 1;
  if (taken) await wake(hub, queue.job.jobId);
  const itransSubmission: Submission = taken
    ? showSubmission(queue.job)
    : { status: "rejected", queued: false, reason: "queue_full" };
  return ok(201, { ...showClaim(claim), itransSubmission });
}
