import { z } from "@hono/zod-openapi";
import { auditInsert } from "../audit/audit.store.ts";
import { newId } from "../ids.ts";
import { none, ok, operatorOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { clinicInsert } from "./clinics.store.ts";
import { clinicSchema } from "./list-clinics.route.ts";
import { nameField } from "./schemas.ts";

export const createClinic = operatorOperation(
  {
    method: "post",
    path: "/api/admin/clinics",
    summary: "Begin a clinic; its first administrator is invited with POST /api/invitations and its clinicId",
    params: none,
    body: z.object({ name: nameField }),
    trail: () => ({ action: "HUB_CLINIC_CREATE" }),
    answers: { 201: { description: "The clinic", schema: clinicSchema } },
  },
  async ({ hub, actor, body, correlationId }) => {
    const clinicId = newId("cln", hub.random);
    const at = hub.now();
    await hub.db.batch([
      clinicInsert(hub.db, clinicId, body.name, at),
      auditInsert(hub.db, {
        clinicId,
        actor: actor.name,
        action: "clinic.create",
        subject: clinicId,
        correlationId,
        at,
      }),
    ]);
    return ok(201, { clinicId, name: body.name, users: 0, createdAt: iso(at) });
  },
);
