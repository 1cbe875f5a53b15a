import { z } from "@hono/zod-openapi";
import { changed } from "../audit/audited.edge.ts";
import { forgetInsurer } from "../cache/record-cache.edge.ts";
import { notFound, ok, operation } from "../operation.edge.ts";
import type { Insurer } from "./record.ts";
import { findInsurer, insurerUpsert } from "./records.store.ts";
import { insurerPatch, insurerSchema, showInsurer } from "./schemas.ts";

/** Claims sent before went to the address of then; those on their way are sent to the new one. */
export const updateInsurer = operation(
  {
    method: "patch",
    path: "/api/insurers/{insurerId}",
    summary: "Change an insurer",
    roles: ["admin"],
    params: z.object({ insurerId: z.string() }),
    body: insurerPatch,
    answers: { 200: { description: "The insurer", schema: insurerSchema } },
  },
  async (input) => {
    const { hub, user, params, body } = input;
    const { clinicId } = user;
    const insurer = await findInsurer(hub.db, clinicId, params.insurerId);
    if (insurer === undefined) return notFound("insurer");
    const next: Insurer = {
      ...insurer,
      name: body.name ?? insurer.name,
      insurerAddress: body.insurerAddress ?? insurer.insurerAddress,
    };
    await hub.db.batch([
      insurerUpsert(hub.db, { ...next, clinicId }, hub.now()),
      changed(input, "insurer.update", insurer.insurerId),
    ]);
    forgetInsurer(clinicId, insurer.insurerId);
    return ok(200, showInsurer(next));
  },
);
