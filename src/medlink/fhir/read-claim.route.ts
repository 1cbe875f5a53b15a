import { z } from "@hono/zod-openapi";
import { findClaim } from "../claims/claims.store.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { acceptsJson, versionHeaders } from "./answers.edge.ts";
import { showClaimResource } from "./claim-out.ts";
import { FHIR_WIRE } from "./fhir-wire.ts";
import { fromFhirId } from "./ids.ts";

export const readFhirClaim = operation(
  {
    method: "get",
    path: "/fhir/Claim/{id}",
    summary: "One claim as a FHIR R4 Claim",
    wire: FHIR_WIRE,
    gate: acceptsJson,
    params: z.looseObject({ id: z.string().max(64) }),
    body: none,
    answers: { 200: { description: "The claim", schema: z.looseObject({}) } },
  },
  async ({ hub, user, params }) => {
    const claim = await findClaim(hub.db, hub.fields, user.clinicId, fromFhirId(params.id));
    return claim === undefined ? notFound("claim") : ok(200, showClaimResource(claim), versionHeaders(claim));
  },
);
