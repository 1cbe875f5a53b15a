/**
 * Erasing: first core, which destroys the key to what it holds, then the objects, then the hub's own rows, claim by claim; each
 * step may be made again. A person is gone when the last claim is.
 */
import * as z from "zod";
import type { ErasureReason } from "../../workflow/erasure.ts";
import { claimPrefix } from "../attachments/attachment.ts";
import { auditInsert } from "../audit/audit.store.ts";
import { findLiveJob } from "../auto-submit/jobs.store.ts";
import { isMissingReference } from "../batch.store.ts";
import type { Hub } from "../hub.edge.ts";
import {
  type ClaimToErase,
  claimErased,
  claimsOfPatient,
  erasureDelayed,
  erasureInsert,
  erasureProgress,
  findErasure,
  patientErased,
} from "./erasure.store.ts";
import { type Erasure, hubCompleteAt, RETRY_AFTER_MS } from "./retention.ts";

interface By {
  readonly actor: string;
  readonly correlationId: string;
  readonly reason: ErasureReason;
}

export type ErasedClaim =
  | { readonly type: "erased"; readonly completeEverywhereAt: number }
  /** Nothing is lost: it is tried again. `error` is a closed code. */
  | { readonly type: "later"; readonly error: string };

const answerSchema = z.object({
  subject: z.string().regex(/^0x[0-9a-f]{64}$/),
  completeEverywhereBy: z.iso.datetime().transform((text) => Date.parse(text)),
});

type AtCore =
  | { readonly type: "done"; readonly requestIdHash: string | undefined; readonly completeEverywhereAt: number }
  | { readonly type: "later"; readonly error: string };

/** Core is asked about every claim: one that seems never to have been sent may have arrived all the same. */
async function eraseAtCore(hub: Hub, claimId: string, by: By): Promise<AtCore> {
  const answer = await hub.core.call({
    method: "DELETE",
    path: `/workflow/requests/${encodeURIComponent(claimId)}/personal-data`,
    surface: "workflow",
    body: { reason: by.reason },
    correlationId: by.correlationId,
  });
  if (answer.type !== "answered") return { type: "later", error: `core_${answer.type}` };
  if (answer.status === 404) return { type: "done", requestIdHash: undefined, completeEverywhereAt: 0 };
  try {
    const parsed = answerSchema.safeParse(JSON.parse(answer.text));
    if (answer.status === 200 && parsed.success) {
      const { subject, completeEverywhereBy } = parsed.data;
      return { type: "done", requestIdHash: subject, completeEverywhereAt: completeEverywhereBy };
    }
  } catch {
    // Not what core says: tried again like any other refusal.
  }
  return { type: "later", error: `core_${answer.status}` };
}

/** A claim has at most MAX_CLAIM_ATTACHMENTS objects, and a few that a crash left. */
const LIST_ROUNDS = 5;

async function deleteObjects(hub: Hub, { clinicId, claimId }: ClaimToErase): Promise<void> {
  const prefix = claimPrefix(clinicId, claimId);
  for (let round = 0; round < LIST_ROUNDS; round++) {
    const { objects, truncated } = await hub.attachments.list({ prefix });
    if (objects.length > 0) await hub.attachments.delete(objects.map(({ key }) => key));
    if (!truncated) return;
  }
}

/** @param more statements that stand or fall with the claim's rows; `at` is when everything known of it is gone. */
export async function eraseClaim(
  hub: Hub,
  claim: ClaimToErase,
  by: By,
  more: (completeEverywhereAt: number) => readonly D1PreparedStatement[] = () => [],
): Promise<ErasedClaim> {
  const live = await findLiveJob(hub.db, claim.clinicId, claim.claimId);
  if (live?.state === "running") return { type: "later", error: "submission_under_way" };
  const core = await eraseAtCore(hub, claim.claimId, by);
  if (core.type === "later") return core;
  await deleteObjects(hub, claim);
  const now = hub.now();
  const completeEverywhereAt = Math.max(core.completeEverywhereAt, hubCompleteAt(now));
  try {
    await hub.db.batch([
      ...claimErased(hub.db, claim, core.requestIdHash, now),
      auditInsert(hub.db, {
        clinicId: claim.clinicId,
        actor: by.actor,
        action: "claim.erase",
        subject: claim.claimId,
        detail: by.reason,
        correlationId: by.correlationId,
        at: now,
      }),
      ...more(completeEverywhereAt),
    ]);
  } catch (thrown) {
    // A submission began meanwhile and still names the claim.
    if (!isMissingReference(thrown)) throw thrown;
    return { type: "later", error: "submission_under_way" };
  }
  return { type: "erased", completeEverywhereAt };
}

/** Begins, or finds the one that was begun. @returns undefined when there is no such patient and never was one erased. */
export async function startErasure(
  hub: Hub,
  place: { readonly clinicId: string; readonly patientId: string },
  by: By,
): Promise<Erasure | undefined> {
  const known = await findErasure(hub.db, place.clinicId, place.patientId);
  if (known !== undefined) return known;
  const { actor: requestedBy, correlationId, reason } = by;
  await hub.db.batch([...erasureInsert(hub.db, { ...place, reason, requestedBy, correlationId }, hub.now())]);
  return findErasure(hub.db, place.clinicId, place.patientId);
}

/** Goes on with an erasure for at most `maxClaims` claims and about `forMs`. @returns where it stands then. */
export async function stepErasure(hub: Hub, erasure: Erasure, maxClaims: number, forMs: number): Promise<Erasure> {
  const { patientId, clinicId, reason, correlationId } = erasure;
  const by: By = { actor: erasure.requestedBy, correlationId, reason };
  const until = hub.now() + forMs;
  for (let done = 0; erasure.state === "running" && done <= maxClaims; done++) {
    const [claim] = await claimsOfPatient(hub.db, erasure, 1);
    if (claim === undefined) {
      if (await erasePatient(hub, erasure, by)) break;
      continue;
    }
    if (done === maxClaims || hub.now() > until) {
      await erasureDelayed(hub.db, patientId, null, hub.now()).run();
      break;
    }
    const erased = await eraseClaim(hub, claim, by, (at) => [erasureProgress(hub.db, patientId, at)]);
    if (erased.type === "later") {
      hub.log("warn", "erasure.delayed", { code: erased.error, correlationId });
      await erasureDelayed(hub.db, patientId, erased.error, hub.now() + RETRY_AFTER_MS).run();
      break;
    }
  }
  return (await findErasure(hub.db, clinicId, patientId)) ?? erasure;
}

/** @returns false when a claim was filed for the patient meanwhile: it goes first. */
async function erasePatient(hub: Hub, erasure: Erasure, by: By): Promise<boolean> {
  const now = hub.now();
  try {
    await hub.db.batch([
      ...patientErased(hub.db, erasure, hubCompleteAt(now), now),
      auditInsert(hub.db, {
        clinicId: erasure.clinicId,
        actor: by.actor,
        action: "patient.erase",
        subject: erasure.patientId,
        detail: by.reason,
        correlationId: by.correlationId,
        at: now,
      }),
    ]);
    return true;
  } catch (thrown) {
    if (!isMissingReference(thrown)) throw thrown;
    return false;
  }
}
