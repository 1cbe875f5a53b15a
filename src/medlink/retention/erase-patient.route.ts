import { z } from "@hono/zod-openapi";
import { ERASURE_REASONS } from "../../workflow/erasure.ts";
import { changed } from "../audit/audited.edge.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { startErasure, stepErasure } from "./erase.edge.ts";
import { findErasure } from "./erasure.store.ts";
import { erasureSchema, showErasure } from "./show-erasure.ts";

const CLAIMS_A_CALL = 20;
const CALL_MS = 10_000;

export const erasePatientRoute = operation(
  {
    method: "delete",
    path: "/api/patients/{patientId}/personal-data",
    summary: "Erase a person here and in the ledger's payloads; what a call does not finish, the hub goes on with",
    roles: ["admin"],
    params: z.object({ patientId: z.string() }),
    body: z.object({ reason: z.enum(ERASURE_REASONS) }),
    answers: {
      200: { description: "Erased, now or before", schema: erasureSchema },
      202: { description: "Under way", schema: erasureSchema },
    },
  },
  async (input) => {
    const { hub, user, params, body, correlationId } = input;
    const place = { clinicId: user.clinicId, patientId: params.patientId };
    const by = { actor: user.userId, correlationId, reason: body.reason };
    const erasure = await startErasure(hub, place, by);
    if (erasure === undefined) return notFound("patient");
    await hub.db.batch([changed(input, "patient.erase-asked", erasure.patientId, body.reason)]);
    const now = await stepErasure(hub, erasure, CLAIMS_A_CALL, CALL_MS);
    return ok(now.state === "complete" ? 200 : 202, showErasure(now));
  },
);

export const readErasure = operation(
  {
    method: "get",
    path: "/api/patients/{patientId}/personal-data",
    summary: "How far the erasure of a person is",
    roles: ["admin"],
    params: z.object({ patientId: z.string() }),
    body: none,
    answers: { 200: { description: "Where it stands", schema: erasureSchema } },
  },
  async ({ hub, user, params }) => {
    const erasure = await findErasure(hub.db, user.clinicId, params.patientId);
    return erasure === undefined ? notFound("erasure") : ok(200, showErasure(erasure));
  },
);
