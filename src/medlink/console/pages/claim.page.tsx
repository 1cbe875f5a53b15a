import * as z from "zod";
import { parseBundle } from "../../../ledger/bundle.ts";
import { fromBase64, fromUtf8 } from "../../../platform/encoding.ts";
import { MAX_ATTACHMENT_BYTES } from "../../attachments/attachment.ts";
import { listAttachments } from "../../attachments/attachments.store.ts";
import { viewed } from "../../audit/audited.edge.ts";
import { findLiveJob } from "../../auto-submit/jobs.store.ts";
import { cachedInsurers, cachedProviders } from "../../cache/record-cache.edge.ts";
import { isEditable, isSubmittable } from "../../claims/claim-state.ts";
import { findClaim, findCorrection, readTimeline } from "../../claims/claims.store.ts";
import { readPayments } from "../../claims/core-payments.edge.ts";
import { readCoreHistory } from "../../claims/core-request.edge.ts";
import { mergeTimeline } from "../../claims/timeline.ts";
import { findPatient } from "../../records/patients.store.ts";
import { listRemittances } from "../../remittances/remittances.store.ts";
import { page } from "../page.edge.tsx";
import { ClaimView, type JobLine } from "./claim.view.tsx";
import { readLogKeys } from "./log-keys.edge.ts";
import { fullName } from "./parties.edge.ts";
import { ProofView } from "./proof.view.tsx";

/** Shown beside a claim. */
const REMITTANCES = 5;

export const claimParams = z.object({ claimId: z.string().max(64) });

export const claimPage = page({ path: "/claims/{claimId}", params: claimParams }, async (input) => {
  const { hub, ui, user, params, correlationId } = input;
  const { clinicId } = user;
  const claim = await findClaim(hub.db, hub.fields, clinicId, params.claimId);
  if (claim === undefined) return { type: "error", status: 404 };
  const { claimId, requestId } = claim;
  const isApproved = claim.status === "paid";
  const [own, core, live, patient, providers, insurers, successor, attachments, logKeys, payments, remittances] =
    await Promise.all([
      readTimeline(hub.db, clinicId, claimId),
      requestId === undefined ? undefined : readCoreHistory(hub, requestId, correlationId),
      findLiveJob(hub.db, clinicId, claimId),
      findPatient(hub.db, hub.fields, clinicId, claim.patientId),
      cachedProviders(hub, clinicId, [claim.providerId]),
      cachedInsurers(hub, clinicId, [claim.insurerId]),
      findCorrection(hub.db, clinicId, claimId),
      listAttachments(hub.db, hub.fields, clinicId, claimId),
      requestId === undefined ? undefined : readLogKeys(hub, correlationId),
      isApproved && requestId !== undefined ? readPayments(hub, requestId, correlationId) : undefined,
      // Payments of insurers are for billing to see, as their page is.
      isApproved && user.role !== "provider"
        ? listRemittances(hub.db, clinicId, { limit: REMITTANCES, after: undefined, insurerId: undefined, claimId })
        : undefined,
      viewed(input, "claim.view", claimId),
    ]);
  // The job itself is forgotten after a day.
  const lastTry = own.findLast(({ kind }) => kind === "queued" || kind === "submissionFailed");
  const failed = live === undefined && requestId === undefined && lastTry?.kind === "submissionFailed";
  const submittable = isSubmittable(claim) && live === undefined;
  return {
    type: "page",
    title: ui.t("claim.title", { type: ui.t(`type.${claim.type}`), claimId }),
    scripts: ["claim", "verify-proof"],
    body: (
      <ClaimView
        ui={ui}
        claim={claim}
        patient={patient === undefined ? undefined : fullName(patient)}
        provider={providers.get(claim.providerId)?.name}
        insurer={insurers.get(claim.insurerId)?.name}
        timeline={mergeTimeline(own, core?.events, core?.anchors ?? [])}
        coreAvailable={requestId === undefined ? undefined : core !== undefined}
        job={live === undefined ? undefined : jobLine(live)}
        failed={failed}
        successor={successor?.claimId}
        may={{
          edit: isEditable(claim, live !== undefined),
          submit: submittable && !failed,
          requeue: submittable && failed && user.role !== "provider",
          correct: claim.requestIdHash !== undefined && successor === undefined,
          answer: requestId !== undefined && claim.status === "infoRequested",
        }}
        attachments={attachments}
        maxAttachmentBytes={MAX_ATTACHMENT_BYTES}
        logKeys={logKeys}
        payments={payments ?? []}
        remittances={remittances?.items ?? []}
      />
    ),
  };
});

function jobLine(job: NonNullable<Awaited<ReturnType<typeof findLiveJob>>>): JobLine | undefined {
  const { state, attempt, maxAttempts } = job;
  switch (state) {
    case "queued":
    case "running":
    case "retrying":
      return { state, attempt, maxAttempts, nextAttemptAt: job.nextAttemptAt };
    case "succeeded":
    case "failed":
      return undefined;
  }
}

export const proofPage = page({ path: "/claims/{claimId}/proof", params: claimParams }, async (input) => {
  const { hub, ui, user, params, correlationId } = input;
  const claim = await findClaim(hub.db, hub.fields, user.clinicId, params.claimId);
  if (claim?.requestId === undefined || claim.requestIdHash === undefined) return { type: "error", status: 404 };
  const { claimId, requestId, requestIdHash } = claim;
  const [answer, logKeys] = await Promise.all([
    hub.core.call({
      method: "GET",
      path: `/workflow/requests/${encodeURIComponent(requestId)}/proof`,
      surface: "workflow",
      correlationId,
      timeoutMs: hub.settings.ITRANS_READ_TIMEOUT_MS,
    }),
    readLogKeys(hub, correlationId),
    viewed(input, "claim.proof", claimId),
  ]);
  const bundle = answer.type === "answered" && answer.status === 200 ? parseBundle(parseJson(answer.text)) : undefined;
  return {
    type: "page",
    title: ui.t("proof.pageTitle", { claimId }),
    scripts: ["verify-proof"],
    body: (
      <ProofView
        ui={ui}
        claimId={claimId}
        requestIdHash={requestIdHash}
        bundle={bundle}
        entryText={bundle === undefined ? "" : entryText(bundle.entry)}
        logKeys={logKeys}
      />
    ),
  };
});

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function entryText(base64: string): string {
  try {
    return fromUtf8(fromBase64(base64));
  } catch {
    return base64;
  }
}
