import { auditInsert } from "../audit/audit.store.ts";
import { newId } from "../ids.ts";
import { none, ok, operation } from "../operation.edge.ts";
import { providerUpsert } from "./records.store.ts";
import { providerFields, providerSchema, showProvider } from "./schemas.ts";

export const createProvider = operation(
  {
    method: "post",
    path: "/api/providers",
    summary: "Add a provider",
    roles: ["admin"],
    params: none,
    body: providerFields,
    answers: { 201: { description: "The provider", schema: providerSchema } },
  },
  async ({ hub, user, body, correlationId }) => {
    const now = hub.now();
    const provider = { providerId: newId("prv", hub.random), name: body.name, licenceNumber: body.licenceNumber };
    await hub.db.batch([
      providerUpsert(hub.db, { ...provider, clinicId: user.clinicId }, now),
      auditInsert(hub.db, {
        clinicId: user.clinicId,
        actor: user.userId,
        action: "provider.create",
        subject: provider.providerId,
        correlationId,
        at: now,
      }),
    ]);
    return ok(201, showProvider({ ...provider, createdAt: now }));
  },
);
