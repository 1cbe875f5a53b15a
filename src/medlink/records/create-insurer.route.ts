import { auditInsert } from "../audit/audit.store.ts";
import { newId } from "../ids.ts";
import { none, ok, operation } from "../operation.edge.ts";
import { insurerUpsert } from "./records.store.ts";
import { insurerFields, insurerSchema, showInsurer } from "./schemas.ts";

export const createInsurer = operation(
  {
    method: "post",
    path: "/api/insurers",
    summary: "Add an insurer",
    roles: ["admin"],
    params: none,
    body: insurerFields,
    answers: { 201: { description: "The insurer", schema: insurerSchema } },
  },
  async ({ hub, user, body, correlationId }) => {
    const now = hub.now();
    const insurer = { insurerId: newId("ins", hub.random), name: body.name, insurerAddress: body.insurerAddress };
    await hub.db.batch([
      insurerUpsert(hub.db, { ...insurer, clinicId: user.clinicId }, now),
      auditInsert(hub.db, {
        clinicId: user.clinicId,
        actor: user.userId,
        action: "insurer.create",
        subject: insurer.insurerId,
        correlationId,
        at: now,
      }),
    ]);
    return ok(201, showInsurer({ ...insurer, createdAt: now }));
  },
);
