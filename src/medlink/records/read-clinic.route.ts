import { cachedClinic } from "../cache/record-cache.edge.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { clinicSchema, showClinic } from "./schemas.ts";

export const readClinic = operation(
  {
    method: "get",
    path: "/api/clinic",
    summary: "One's own clinic",
    params: none,
    body: none,
    answers: { 200: { description: "The clinic", schema: clinicSchema } },
  },
  async ({ hub, user }) => {
    const clinic = await cachedClinic(hub, user.clinicId);
    return clinic === undefined ? notFound("clinic") : ok(200, showClinic(clinic));
  },
);
