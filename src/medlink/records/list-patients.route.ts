import { z } from "@hono/zod-openapi";
import { type Deed, viewed } from "../audit/audited.edge.ts";
import { type Answer, none, ok, operation, refuse } from "../operation.edge.ts";
import { pageQuery } from "../page-query.ts";
import { listPatients, type PatientFilter } from "./patients.store.ts";
import { nextCursor, patientSchema, showPatient } from "./schemas.ts";

const page = z.object({ patients: z.array(patientSchema), nextCursor });

async function answerPatients(
  deed: Deed,
  filter: PatientFilter,
  { limit, cursor }: z.output<z.ZodObject<typeof pageQuery>>,
): Promise<Answer> {
  const { hub, user } = deed;
  const [found] = await Promise.all([
    listPatients(hub.db, hub.fields, user.clinicId, { ...filter, limit, after: cursor }),
    viewed(deed, "patients.view", "patients"),
  ]);
  return ok(200, { patients: found.items.map(showPatient), nextCursor: found.nextCursor ?? null });
}

export const listPatientsRoute = operation(
  {
    method: "get",
    path: "/api/patients",
    summary: "The clinic's patients, newest first",
    params: z.object({ ...pageQuery, q: z.string().optional(), healthNumber: z.string().optional() }),
    body: none,
    answers: { 200: { description: "A page", schema: page } },
  },
  async (input) => {
    const { q, healthNumber, ...query } = input.params;
    if (q !== undefined || healthNumber !== undefined) {
      return refuse(
        "invalid_query",
        "What a patient is searched by is no part of an address: POST /api/patients/search.",
      );
    }
    return answerPatients(input, { q, healthNumber }, query);
  },
);

/** A POST, since addresses are logged and remembered in many places, and names and numbers must not be. */
export const searchPatients = operation(
  {
    method: "post",
    path: "/api/patients/search",
    summary: "Patients by whole words of the name, birth date or health number, newest first",
    scope: "read",
    params: none,
    body: z.object({
      ...pageQuery,
      q: z.string().trim().min(1).max(200).optional(),
      healthNumber: z.string().trim().min(1).max(40).optional(),
    }),
    answers: { 200: { description: "A page", schema: page } },
  },
  async (input) => {
    const { q, healthNumber, ...query } = input.body;
    return answerPatients(input, { q, healthNumber }, query);
  },
);
