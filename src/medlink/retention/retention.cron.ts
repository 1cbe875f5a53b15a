/** What is past its clinic's retention, and erasures that wait: a bounded piece of both each minute. Idempotent. */
import * as z from "zod";
import { pruneAuditEvents } from "../audit/audit.store.ts";
import type { Hub } from "../hub.edge.ts";
import { WEBHOOK_EVENT_RETENTION_MS } from "../settings.ts";
import { readTask, taskUpdate } from "../tasks/tasks.store.ts";
import { eraseClaim, startErasure, stepErasure } from "./erase.edge.ts";
import { dueErasures, pruneErasedRequests } from "./erasure.store.ts";
import { nextClinic, pastClaims, pastPatients } from "./retention.store.ts";
import { cutoffOf } from "./retention.ts";

const TASK = "retention";
const ACTOR = "retention";
const REASON = "RETENTION_EXPIRED";
const SWEEP_MS = 20_000;
const CLINICS_A_SWEEP = 20;
const CLAIMS_A_CLINIC = 20;
const PATIENTS_A_CLINIC = 20;
const ERASURES_A_SWEEP = 5;
const PRUNE_LIMIT = 1_000;

const stateSchema = z.object({ after: z.string() });

/** @returns how many claims and patients were erased for their age. */
export async function sweepRetention(hub: Hub): Promise<number> {
  const until = hub.now() + SWEEP_MS;
  for (const erasure of await dueErasures(hub.db, hub.now(), ERASURES_A_SWEEP)) {
    if (hub.now() > until) return 0;
    await stepErasure(hub, erasure, CLAIMS_A_CLINIC, until - hub.now());
  }
  await pruneErasedRequests(hub.db, hub.now() - WEBHOOK_EVENT_RETENTION_MS, PRUNE_LIMIT);
  const task = await readTask(hub.db, TASK);
  let { after } = task === undefined ? { after: "" } : stateSchema.parse(JSON.parse(task.state));
  let erased = 0;
  for (let clinics = 0; clinics < CLINICS_A_SWEEP && hub.now() < until; clinics++) {
    const clinic = await nextClinic(hub.db, after);
    if (clinic === undefined) {
      after = "";
      break;
    }
    const swept = await sweepClinic(hub, clinic, until);
    erased += swept.erased;
    if (!swept.done) break;
    after = clinic.clinicId;
  }
  await taskUpdate(hub.db, TASK, task, JSON.stringify({ after }), hub.now()).run();
  return erased;
}

/** @returns `done` false when more of this clinic is past, or core does not answer. */
async function sweepClinic(
  hub: Hub,
  { clinicId, retentionYears }: { readonly clinicId: string; readonly retentionYears: number },
  until: number,
): Promise<{ readonly erased: number; readonly done: boolean }> {
  const cutoff = cutoffOf(hub.now(), retentionYears);
  const by = { actor: ACTOR, correlationId: hub.newUuid(), reason: REASON } as const;
  let erased = 0;
  const claims = await pastClaims(hub.db, clinicId, cutoff, CLAIMS_A_CLINIC);
  for (const claim of claims) {
    if (hub.now() > until) return { erased, done: false };
    const answer = await eraseClaim(hub, claim, by);
    if (answer.type === "later") {
      hub.log("warn", "retention.delayed", { code: answer.error, correlationId: by.correlationId });
      return { erased, done: false };
    }
    erased++;
  }
  if (claims.length === CLAIMS_A_CLINIC) return { erased, done: false };
  const patients = await pastPatients(hub.db, clinicId, cutoff, PATIENTS_A_CLINIC);
  for (const patientId of patients) {
    const erasure = await startErasure(hub, { clinicId, patientId }, by);
    if (erasure === undefined) continue;
    await stepErasure(hub, erasure, 1, Math.max(0, until - hub.now()));
    erased++;
  }
  const pruned = await pruneAuditEvents(hub.db, clinicId, cutoff, PRUNE_LIMIT);
  return { erased, done: patients.length < PATIENTS_A_CLINIC && pruned < PRUNE_LIMIT };
}
