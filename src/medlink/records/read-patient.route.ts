import { z } from "@hono/zod-openapi";
import { viewed } from "../audit/audited.edge.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { findPatient } from "./patients.store.ts";
import { patientSchema, showPatient } from "./schemas.ts";

export const readPatient = operation(
  {
    method: "get",
    path: "/api/patients/{patientId}",
    summary: "One patient",
    params: z.object({ patientId: z.string() }),
    body: none,
    answers: { 200: { description: "The patient", schema: patientSchema } },
  },
  async (input) => {
    const { hub, user, params } = input;
    const patient = await findPatient(hub.db, hub.fields, user.clinicId, params.patientId);
    if (patient === undefined) return notFound("patient");
    await viewed(input, "patient.view", patient.patientId);
    return ok(200, showPatient(patient));
  },
);
