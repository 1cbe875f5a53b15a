import { z } from "@hono/zod-openapi";
import { changed } from "../audit/audited.edge.ts";
import { isTaken } from "../batch.store.ts";
import { notFound, ok, operation, refuse } from "../operation.edge.ts";
import { HEALTH_NUMBER_TAKEN } from "./create-patient.route.ts";
import { findPatient, isHealthNumberTakenBefore, patientTermStatements, patientUpdate } from "./patients.store.ts";
import type { PatientDetails } from "./record.ts";
import { patientPatch, patientSchema, showPatient } from "./schemas.ts";

const given = <Value>(patch: Value | null | undefined, kept: Value | undefined): Value | undefined =>
  patch === undefined ? kept : (patch ?? undefined);

export const updatePatient = operation(
  {
    method: "patch",
    path: "/api/patients/{patientId}",
    summary: "Change a patient's details",
    params: z.object({ patientId: z.string() }),
    body: patientPatch,
    answers: { 200: { description: "The patient", schema: patientSchema } },
  },
  async (input) => {
    const { hub, user, params, body } = input;
    const { clinicId } = user;
    const patient = await findPatient(hub.db, hub.fields, clinicId, params.patientId);
    if (patient === undefined) return notFound("patient");
    const { patientId } = patient;
    const details: PatientDetails = {
      firstName: body.firstName ?? patient.firstName,
      lastName: body.lastName ?? patient.lastName,
      birthDate: given(body.birthDate, patient.birthDate),
      healthNumber: given(body.healthNumber, patient.healthNumber),
      notes: given(body.notes, patient.notes),
    };
    const write = { clinicId, patientId, details };
    if (await isHealthNumberTakenBefore(hub.db, hub.fields, write)) return HEALTH_NUMBER_TAKEN;
    try {
      const update = await patientUpdate(hub.db, hub.fields, write, patient.sealed, hub.now());
      const [updated] = await hub.db.batch([
        update,
        ...patientTermStatements(hub.db, hub.fields, write),
        changed(input, "patient.update", patientId),
      ]);
      if (updated?.meta.changes !== 1) return refuse("conflict", "The patient changed meanwhile. Read it again.");
    } catch (thrown) {
      if (!isTaken(thrown, "patients.clinic_id")) throw thrown;
      return HEALTH_NUMBER_TAKEN;
    }
    return ok(200, showPatient({ patientId, ...details, createdAt: patient.createdAt }));
  },
);
