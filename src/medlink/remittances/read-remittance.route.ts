import { z } from "@hono/zod-openapi";
import { viewed } from "../audit/audited.edge.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { findRemittance } from "./remittances.store.ts";
import { remittanceSchema, showRemittance } from "./show-remittance.ts";

export const readRemittanceRoute = operation(
  {
    method: "get",
    path: "/api/remittances/{remittanceId}",
    summary: "One remittance with its lines",
    roles: ["billing", "admin"],
    params: z.object({ remittanceId: z.string() }),
    body: none,
    answers: { 200: { description: "The remittance", schema: remittanceSchema } },
  },
  async (input) => {
    const { hub, user, params } = input;
    const remittance = await findRemittance(hub.db, user.clinicId, params.remittanceId);
    if (remittance === undefined) return notFound("remittance");
    await viewed(input, "remittance.view", remittance.remittanceId);
    return ok(200, showRemittance(remittance));
  },
);
