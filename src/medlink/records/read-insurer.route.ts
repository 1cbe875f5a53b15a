import { z } from "@hono/zod-openapi";
import { cachedInsurers } from "../cache/record-cache.edge.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { insurerSchema, showInsurer } from "./schemas.ts";

export const readInsurer = operation(
  {
    method: "get",
    path: "/api/insurers/{insurerId}",
    summary: "One insurer",
    params: z.object({ insurerId: z.string() }),
    body: none,
    answers: { 200: { description: "The insurer", schema: insurerSchema } },
  },
  async ({ hub, user, params }) => {
    const insurer = (await cachedInsurers(hub, user.clinicId, [params.insurerId])).get(params.insurerId);
    return insurer === undefined ? notFound("insurer") : ok(200, showInsurer(insurer));
  },
);
