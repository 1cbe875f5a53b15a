import { changed } from "../audit/audited.edge.ts";
import { forgetClinic } from "../cache/record-cache.edge.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import type { Clinic } from "./record.ts";
import { clinicUpdate, findClinic } from "./records.store.ts";
import { clinicPatch, clinicSchema, showClinic } from "./schemas.ts";

export const updateClinic = operation(
  {
    method: "patch",
    path: "/api/clinic",
    summary: "Change the clinic's name, language, or how long personal data is kept",
    roles: ["admin"],
    params: none,
    body: clinicPatch,
    answers: { 200: { description: "The clinic", schema: clinicSchema } },
  },
  async (input) => {
    const { hub, user, body } = input;
    const clinic = await findClinic(hub.db, user.clinicId);
    if (clinic === undefined) return notFound("clinic");
    const next: Clinic = {
      ...clinic,
      name: body.name ?? clinic.name,
      locale: body.locale ?? clinic.locale,
      retentionYears: body.retentionYears ?? clinic.retentionYears,
    };
    const retention = next.retentionYears === clinic.retentionYears ? undefined : `${next.retentionYears}y`;
    await hub.db.batch([clinicUpdate(hub.db, next), changed(input, "clinic.update", clinic.clinicId, retention)]);
    forgetClinic(clinic.clinicId);
    return ok(200, showClinic(next));
  },
);
