import { z } from "@hono/zod-openapi";
import { none, ok, operation } from "../operation.edge.ts";
import { pageQuery } from "../page-query.ts";
import { listPatients } from "./records.store.ts";
import { nextCursor, patientSchema, showPatient } from "./schemas.ts";

export const listPatientsRoute = operation(
  {
    method: "get",
    path: "/api/patients",
    summary: "The clinic's patients, newest first",
    params: z.object(pageQuery),
    body: none,
    answers: { 200: { description: "A page", schema: z.object({ patients: z.array(patientSchema), nextCursor }) } },
  },
  async ({ hub, user, params }) => {
    const page = await listPatients(hub.db, hub.fields, user.clinicId, { limit: params.limit, after: params.cursor });
    return ok(200, { patients: page.items.map(showPatient), nextCursor: page.nextCursor ?? null });
  },
);
