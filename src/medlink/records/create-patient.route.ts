import { auditInsert } from "../audit/audit.store.ts";
import { isTaken } from "../batch.store.ts";
import { newId } from "../ids.ts";
import { none, ok, operation, refuse } from "../operation.edge.ts";
import { isHealthNumberTakenBefore, patientUpsert } from "./patients.store.ts";
import { patientFields, patientSchema, showPatient } from "./schemas.ts";

export const HEALTH_NUMBER_TAKEN = refuse("conflict", "A patient of this clinic has this health number already.");

export const createPatient = operation(
  {
    method: "post",
    path: "/api/patients",
    summary: "Add a patient",
    params: none,
    body: patientFields,
    answers: { 201: { description: "The patient", schema: patientSchema } },
  },
  async ({ hub, user, body, correlationId }) => {
    const patientId = newId("pat", hub.random);
    const now = hub.now();
    const write = { clinicId: user.clinicId, patientId, details: body };
    if (await isHealthNumberTakenBefore(hub.db, hub.fields, write)) return HEALTH_NUMBER_TAKEN;
    try {
      await hub.db.batch([
        ...(await patientUpsert(hub.db, hub.fields, write, now)),
        auditInsert(hub.db, {
          clinicId: user.clinicId,
          actor: user.userId,
          action: "patient.create",
          subject: patientId,
          correlationId,
          at: now,
        }),
      ]);
    } catch (thrown) {
      if (!isTaken(thrown, "patients.clinic_id")) throw thrown;
      return HEALTH_NUMBER_TAKEN;
    }
    return ok(201, showPatient({ patientId, ...body, createdAt: now }));
  },
);
