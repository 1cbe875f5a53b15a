import { z } from "@hono/zod-openapi";
import { none, ok, operatorOperation } from "../operation.edge.ts";
import { iso, pageQuery } from "../page-query.ts";
import { listClinics } from "./clinics.store.ts";

export const clinicSchema = z
  .object({ clinicId: z.string(), name: z.string(), users: z.number().int(), createdAt: z.string() })
  .openapi("ListedClinic");

export const listClinicsRoute = operatorOperation(
  {
    method: "get",
    path: "/api/admin/clinics",
    summary: "The hub's clinics, newest first",
    params: z.object(pageQuery),
    body: none,
    answers: {
      200: {
        description: "A page",
        schema: z.object({ clinics: z.array(clinicSchema), nextCursor: z.string().nullable() }),
      },
    },
  },
  async ({ hub, params }) => {
    const { items, nextCursor } = await listClinics(hub.db, { limit: params.limit, after: params.cursor });
    const clinics = items.map((clinic) => ({ ...clinic, createdAt: iso(clinic.createdAt) }));
    return ok(200, { clinics, nextCursor: nextCursor ?? null });
  },
);
